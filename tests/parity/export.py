#!/usr/bin/env python3
"""What `hone export` writes, judged by those who will read it. A tiny random model of each family goes through hone:
  --to hf    transformers loads the directory; in f32 its logits are equal to the original's bit for bit, in bf16 and f16 to those
             of the original rounded so;
  --to gguf  the `gguf` package reads the file; its tensors and metadata are those that llama.cpp's converter makes of the original
             (as tests/parity/gguf_models.py lays them out); hone loads the file again with the same log-probs.
Usage: $(bash tests/parity/venv.sh torch transformers tokenizers safetensors gguf) tests/parity/export.py [--hone build/release/bin/hone] [--only NAME]"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import tokenizers
import torch
import transformers

import gguf_models

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = "The quick brown fox jumps over the lazy dog. 1234567890 The dog sleeps; the fox runs, and the quick dog runs. " * 4


def byte_level(folder, vocabulary):
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.train_from_iterator([TEXT], tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<eos>"], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<eos>", "tokenizer_class": "PreTrainedTokenizerFast"}))
    return made


def make(name, folder, vocabulary):
    kind, settings = gguf_models.MODELS[name]
    config = kind(**dict(settings, vocab_size=vocabulary))
    torch.manual_seed(2)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    for key, buffer in model.named_buffers():
        if key.endswith("e_score_correction_bias"):
            buffer.normal_(8, 0.001)  # what bf16 could not tell apart
    model.save_pretrained(folder)
    return config, model


def hone(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"hone {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def logits(model, rows):
    with torch.no_grad():
        return torch.stack([model(torch.tensor([row])).logits[0].float() for row in rows])


def log_probs(program, model, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps({"tokens": row}) + "\n" for row in rows))
        file.flush()
        return [json.loads(line)["logprobs"] for line in hone(program, "logprobs", "--model", model, "--input", file.name).splitlines()]


def check_directory(program, folder, model, rows):
    for dtype, kind in (("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)):
        out = folder / f"out-{dtype}"
        hone(program, "export", "--model", folder / "in", "--to", "hf", "--dtype", dtype, out)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=kind).eval()
        for (name, wanted), (_, got) in zip(sorted(model.state_dict().items()), sorted(loaded.state_dict().items())):
            # transformers keeps some in f32 whatever is asked for: these must not have been rounded on the way.
            assert torch.equal(wanted.to(got.dtype), got), f"{name} in {dtype}"
        if dtype == "f32":
            assert torch.equal(logits(model, rows), logits(loaded, rows)), "logits"
        assert transformers.AutoTokenizer.from_pretrained(out)("the dog")["input_ids"] == transformers.AutoTokenizer.from_pretrained(folder / "in")("the dog")["input_ids"]


def check_gguf(program, folder, name, config, rows):
    architecture = name.split("_")[0]
    original = log_probs(program, folder / "in", rows)
    wanted = {tensor: data for tensor, data in gguf_models.tensors(architecture, config, folder / "in")}
    if config.rope_parameters["rope_type"] == "llama3":
        wanted["rope_freqs.weight"] = gguf_models.llama3_factors(config)
    for dtype, kind in (("f32", None), ("bf16", gguf.GGMLQuantizationType.BF16), ("f16", gguf.GGMLQuantizationType.F16)):
        out = folder / f"model-{dtype}.gguf"
        hone(program, "export", "--model", folder / "in", "--to", "gguf", "--dtype", dtype, out)
        reader = gguf.GGUFReader(out)
        read = {tensor.name: tensor for tensor in reader.tensors}
        assert read.keys() == wanted.keys(), read.keys() ^ wanted.keys()
        for tensor, data in wanted.items():
            got = gguf.quants.dequantize(read[tensor].data, read[tensor].tensor_type).reshape(data.shape)
            if kind and read[tensor].tensor_type == kind:
                data = gguf.quants.dequantize(gguf.quants.quantize(data, kind), kind).reshape(data.shape)
            assert np.allclose(got, data, rtol=1e-6 if tensor == "rope_freqs.weight" else 0, atol=0), f"{tensor} in {dtype}"
        assert reader.get_field("general.architecture").contents() == architecture
        if dtype == "f32":
            again = log_probs(program, out, rows)
            assert again == original, "log-probs of the GGUF file"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hone", default=str(ROOT / "build/release/bin/hone"))
    options.add_argument("--only", default="")
    options.add_argument("--to", choices=["hf", "gguf"], default="")
    options = options.parse_args()
    failed = []
    for name in gguf_models.MODELS:
        if options.only and options.only != name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            (folder / "in").mkdir()
            tokenizer = byte_level(folder / "in", 300)
            config, model = make(name, folder / "in", tokenizer.get_vocab_size())
            rows = np.random.default_rng(1).integers(0, config.vocab_size, size=(3, 40)).tolist()
            for to, check in (("hf", lambda: check_directory(options.hone, folder, model, rows)), ("gguf", lambda: check_gguf(options.hone, folder, name, config, rows))):
                if options.to and options.to != to:
                    continue
                try:
                    check()
                    print(f"{name:15} {to:5} equal")
                except (AssertionError, RuntimeError) as error:
                    print(f"{name:15} {to:5} FAILED: {error}")
                    failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
