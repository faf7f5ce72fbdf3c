#!/usr/bin/env python3
"""peft_adapters.py -- adapters of hone and of PEFT are each other's: log-probs of a tiny Llama with an adapter, in both directions.

    tests/parity/peft_adapters.py [--hone build/release/bin/hone] [--python VENV/bin/python]

Needs torch, transformers and peft: those of $HONE_PARITY_PYTHON or --python, or of a venv that tests/parity/venv.sh makes.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 2e-4


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hone", default=str(ROOT / "build/release/bin/hone"))
    parser.add_argument("--python", default=os.environ.get("HONE_PARITY_PYTHON", ""))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_base(folder, torch, transformers):
    torch.manual_seed(1)
    config = transformers.LlamaConfig(vocab_size=37, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                      num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3, tie_word_embeddings=False)
    transformers.LlamaForCausalLM(config).eval().save_pretrained(folder)
    words = {"<bos>": 0, "<eos>": 1} | {f"w{i}": i for i in range(2, 37)}
    added = [{"id": i, "content": word, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for word, i in (("<bos>", 0), ("<eos>", 1))]
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": ""}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<bos>", "eos_token": "<eos>"}))
    # The old spelling of the rope's base, which every version of hone reads.
    written = json.loads((folder / "config.json").read_text())
    written.setdefault("rope_theta", (written.pop("rope_parameters", None) or {}).get("rope_theta", 10000.0))
    written.pop("dtype", None)
    (folder / "config.json").write_text(json.dumps(written))


def of_hone(hone, model, sequences, folder):
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps({"tokens": ids}) + "\n" for ids in sequences))
    out = subprocess.run([hone, "logprobs", "--model", str(model), "--input", str(rows)], check=True, capture_output=True, text=True).stdout
    return [json.loads(line)["logprobs"] for line in out.splitlines()]


def of_peft(model, sequences, torch):
    result = []
    for ids in sequences:
        with torch.no_grad():
            logp = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        result.append([float(logp[t, ids[t + 1]]) for t in range(len(ids) - 1)])
    return result


def most_apart(a, b):
    return max(abs(x - y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True))


def compare(args):
    import peft
    import torch
    import transformers

    torch.set_num_threads(1)
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        base = folder / "base"
        base.mkdir()
        write_base(base, torch, transformers)
        generator = torch.Generator().manual_seed(3)
        sequences = [torch.randint(0, 37, (length,), generator=generator).tolist() for length in (5, 33, 60)]
        plain = of_hone(args.hone, base, sequences, folder)
        print(f"base: hone and transformers differ by {most_apart(plain, of_peft(transformers.AutoModelForCausalLM.from_pretrained(base), sequences, torch)):.1e}")
        for modules, rslora in ((["q_proj", "v_proj"], False), ("all-linear", True)):
            said = json.dumps(modules).replace("[", "{").replace("]", "}")
            (folder / "tune.lua").write_text(
                f'local hone = require "hone"\nreturn hone.pipeline {{ hone.stage "sft" {{ model = hone.model "{base}", steps = 20, batch_size = 8,\n'
                f'  lora = {{ rank = 5, alpha = 12, rslora = {str(rslora).lower()}, target_modules = {said} }}, optimizer = hone.optimizer "adamw" {{ learning_rate = 0.01 }},\n'
                '  data = hone.rows { count = 64, make = function(i) return { prompt = "w" .. (2 + i % 30), response = "w" .. (3 + i % 30) .. " w" .. (4 + i % 30) } end } } }\n')
            run = folder / f"run-{rslora}"
            subprocess.run([args.hone, "run", str(folder / "tune.lua"), "--out", str(run)], check=True, capture_output=True)
            trained = next((run / "01-sft/checkpoints").glob("step-20"))
            tuned = of_hone(args.hone, trained, sequences, folder)
            theirs = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(base), str(trained)).eval()
            there = most_apart(tuned, of_peft(theirs, sequences, torch))
            print(f"{modules}, rslora {rslora}: hone's adapter in PEFT differs by {there:.1e} (the base by {most_apart(tuned, plain):.2f})")
            assert most_apart(tuned, plain) > 0.1, "the adapter does nothing, so that it agrees says nothing"

            settings = peft.LoraConfig(r=3, lora_alpha=7, use_rslora=rslora, target_modules=modules, task_type="CAUSAL_LM")
            model = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(base), settings).eval()
            for key, values in model.named_parameters():
                if "lora_B" in key:
                    torch.nn.init.normal_(values, std=0.2, generator=generator)
            own = folder / f"peft-{rslora}"
            model.save_pretrained(own)
            read = of_hone(args.hone, own, sequences, folder)
            back = most_apart(read, of_peft(model, sequences, torch))
            print(f"{modules}, rslora {rslora}: PEFT's adapter in hone differs by {back:.1e} (the base by {most_apart(read, plain):.2f})")
            assert most_apart(read, plain) > 0.1, "the adapter does nothing, so that it agrees says nothing"
            worst = max(worst, there, back)
    print(f"largest difference of a log-prob: {worst:.1e} (at most {TOLERANCE:.0e})")
    return 0 if worst <= TOLERANCE else 1


def main():
    args = parse()
    if args.inside:
        return compare(args)
    python = args.python or subprocess.run(["bash", str(ROOT / "tests/parity/venv.sh"), "peft"], check=True, capture_output=True, text=True).stdout.split()[-1]
    return subprocess.run([python, __file__, "--inside", "--hone", args.hone]).returncode


if __name__ == "__main__":
    sys.exit(main())
