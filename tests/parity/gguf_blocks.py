#!/usr/bin/env python3
"""Makes tests/core/model/goldens/blocks.gguf: random blocks of every type that hone reads, and what the `gguf` package
dequantises them to. Run again only when a type is added: python tests/parity/gguf_blocks.py (needs gguf and numpy)."""
import pathlib
import sys

import gguf
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "core/model/goldens"
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
SCALES = {"Q2_K": [80, 82], "Q3_K": [108], "Q6_K": [208], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2]}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(FOLDER / "blocks.gguf", "blocks")
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = 4 if numbers < 256 else 2
        if numbers == 1:  # plain types: ordinary numbers, both zeroes, the smallest and large ones
            values = random.normal(size=64).astype(np.float32)
            values[:6] = [0.0, -0.0, 2.0**-24, -(2.0**-14), 65504, -1.5]
            data = gguf.quants.quantize(values, kind).reshape(1, -1)
        else:  # all bits random, but for the half-precision scales, which must be finite
            data = random.integers(0, 256, size=(blocks, size), dtype=np.uint8)
            for at in SCALES.get(name, [0]):
                data[:, at : at + 2] = random.normal(size=(blocks, 1)).astype(np.float16).view(np.uint8)
            data = data.reshape(1, -1)
        expected = gguf.quants.dequantize(data, kind).astype(np.float32).reshape(-1)
        writer.add_tensor(name, data, raw_dtype=None if name in ("F32", "F16") else kind)
        writer.add_tensor(name + ".expected", expected)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(FOLDER / "blocks.gguf", (FOLDER / "blocks.gguf").stat().st_size, "bytes")


if __name__ == "__main__":
    sys.exit(main())
