#!/usr/bin/env python3
"""Does llama.cpp load GGUF files as hone lays them out, and compute the same? For each model of tests/core/model/goldens (whose
model.gguf `test_model` holds hone's own writer to), next-token log-probs of llama.cpp (package xllamacpp) after prefixes of a random
row are compared with transformers' on the Hugging Face directory beside it.
Usage: $(bash tests/parity/venv.sh torch transformers gguf safetensors xllamacpp) tests/parity/llama_cpp.py [--gguf FILE --hf DIRECTORY]"""
import argparse
import json
import pathlib
import sys
import tempfile

import torch
import transformers
import xllamacpp

import gguf_models

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "core/model/goldens"
TOLERANCE = 2e-4


def parameters(path, context):
    """Of a server on one thread that takes a text at a time."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = params.n_batch = context
    params.n_parallel = 1
    params.warmup = False
    params.cpuparams.n_threads = 1
    return params


def llama_cpp(path, prefixes, vocabulary):
    params = parameters(path, 256)
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    out = []
    for prefix in prefixes:
        answer = server.handle_completions({"prompt": prefix, "max_tokens": 1, "n_predict": 1, "n_probs": vocabulary, "logprobs": vocabulary,
                                            "temperature": 1.0, "cache_prompt": False, "top_k": 0, "top_p": 1.0, "min_p": 0.0})
        answer = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
        top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        out.append({entry["id"]: entry["logprob"] for entry in top})
    return out


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--gguf")
    options.add_argument("--hf")
    options = options.parse_args()
    pairs = [(options.gguf, options.hf)] if options.gguf else [(folder / "model.gguf", folder) for folder in sorted(GOLDENS.iterdir()) if folder.is_dir()]
    failed = 0
    # Without q_lora_rank llama.cpp takes a model for DeepSeek-V2-Lite, which it knows by its 27 layers: too many for a golden.
    scratch = tempfile.TemporaryDirectory()
    if not options.gguf:
        lite = pathlib.Path(scratch.name) / "deepseek2_lite_27"
        gguf_models.build("deepseek2_lite", lite, num_hidden_layers=27)
        pairs = [pair for pair in pairs if pair[1].name != "deepseek2_lite"] + [(lite / "model.gguf", lite)]
    for file, folder in pairs:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        size = model.config.vocab_size
        row = torch.randint(4, min(size, 20000), (40,), generator=torch.Generator().manual_seed(1))
        prefixes = [row[:n].tolist() for n in (2, 5, 13, 24, 40)]
        with torch.no_grad():
            wanted = torch.log_softmax(model(row[None]).logits[0].double(), -1)
        worst, common = 0.0, 0
        for prefix, got in zip(prefixes, llama_cpp(file, prefixes, min(size, 100))):
            for token, value in got.items():
                worst = max(worst, abs(value - wanted[len(prefix) - 1, token].item()))
                common += 1
        ok = common >= 5 * min(size, 100) - 5 and worst < TOLERANCE
        failed += not ok
        print(f"{pathlib.Path(file).parent.name:15} {common} log-probs, largest difference {worst:.2e} {'ok' if ok else 'FAILED'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
