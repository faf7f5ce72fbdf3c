#!/usr/bin/env python3
"""A real model held against transformers, on prose of this repository:
  f32     log-probs within 2e-4 of transformers' f32
  bf16    hone's mean distance to f32 at most 1.5 times transformers' own mean distance
  greedy  in f32, the same ids
The rows are ids, so that models are compared and not tokenizers: hone reads a copy of the folder whose tokenizer.json is word-level.
Usage: real_model.py FOLDER [--rows 8] [--length 256] [--python PYTHON] [--build build/release]
FOLDER is in Hugging Face's layout; tests/parity/smollm2_directory.py makes SmolLM2's."""
import argparse
import json
import pathlib
import sys
import tempfile
import time

from helpers import PYTHON_HELP, ROOT, run, use_venv, word_level

PROMPT, CONTINUATION = 32, 64


def make_rows(folder, count, length):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    files = ["docs/architecture.md", "docs/scripts.md", "docs/plugins.md", "README.md", "core/tape/record.cpp"]
    ids = [tokenizer.encode((ROOT / file).read_text(), add_special_tokens=False).ids for file in files]
    longest = max(map(len, ids))
    rows = [row[at:at + length] for at in range(0, longest, length) for row in ids if len(row) >= at + length]
    if len(rows) < count:
        raise SystemExit(f"the texts give only {len(rows)} rows of {length} tokens; ask for fewer")
    return rows[:count]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--rows", type=int, default=8)
    arguments.add_argument("--length", type=int, default=256)
    arguments.add_argument("--python", help=PYTHON_HELP)
    arguments.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    a = arguments.parse_args()
    use_venv(a.python)
    import torch
    import transformers
    transformers.utils.logging.disable_progress_bar()
    rows = make_rows(a.folder, a.rows, a.length)

    def theirs(dtype):
        model = transformers.AutoModelForCausalLM.from_pretrained(a.folder, dtype=dtype).eval()
        with torch.no_grad():
            logits = torch.stack([model(torch.tensor([row])).logits[0, :-1].float() for row in rows])
        return model, torch.log_softmax(logits, -1).gather(2, torch.tensor(rows)[:, 1:, None])[:, :, 0]

    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch)
        for file in a.folder.iterdir():
            if file.suffix == ".safetensors" or file.name in ("config.json", "model.safetensors.index.json"):
                (copy / file.name).symlink_to(file.resolve())
        word_level(copy, json.loads((a.folder / "config.json").read_text())["vocab_size"])

        def ours(dtype):
            text = "".join(json.dumps({"tokens": row}) + "\n" for row in rows)
            begin = time.time()
            out = run(a.build / "bin/hone", "logprobs", "--model", copy, "--dtype", dtype, "--input", "-", stdin=text).stdout
            print(f"hone logprobs --dtype {dtype}: {time.time() - begin:.1f} s with loading")
            return torch.tensor([json.loads(line)["logprobs"] for line in out.splitlines()])

        model, exact = theirs(torch.float32)
        found = ours("f32")
        far = (found - exact).abs()
        print(f"f32: {far.numel()} log-probs, apart by {far.mean():.1e} on average and {far.max():.1e} at most")
        if far.max() > 2e-4:
            problems.append("f32 log-probs are not within 2e-4")
        prompts = [row[:PROMPT] for row in rows]
        text = "".join(json.dumps({"prompt": " ".join(f"t{i}" for i in prompt)}) + "\n" for prompt in prompts)
        out = run(a.build / "bin/hone", "generate", "--model", copy, "--temperature", 0, "--max-tokens", CONTINUATION, "--input", "-",
                  stdin=text).stdout
        greedy = [json.loads(line)["tokens"] for line in out.splitlines()]
        model.generation_config.eos_token_id = None
        equal = 0
        for prompt, ids in zip(prompts, greedy):
            tensor = torch.tensor([prompt])
            wanted = model.generate(tensor, attention_mask=torch.ones_like(tensor), do_sample=False, max_new_tokens=CONTINUATION,
                                    pad_token_id=0)[0, PROMPT:].tolist()
            equal += ids == wanted
        print(f"greedy: {equal} of {len(prompts)} continuations of {CONTINUATION} tokens are equal")
        if equal < len(prompts):
            problems.append("greedy continuations differ")
        del model
        _, their_half = theirs(torch.bfloat16)
        own, other = (ours("bf16") - found).abs(), (their_half - exact).abs()
        print(f"bf16: hone {own.mean():.4f} on average and {own.max():.2f} at most from f32; transformers {other.mean():.4f} and {other.max():.2f}; "
              f"ratio of the averages {own.mean() / other.mean():.2f}")
        if own.mean() > 1.5 * other.mean():
            problems.append("bf16 is further from f32 than 1.5 times transformers' own")
    print("; ".join(problems) or "equal")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
