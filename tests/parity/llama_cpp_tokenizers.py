#!/usr/bin/env python3
"""llama_cpp_tokenizers.py -- does llama.cpp cut text as hone does, with the tokenizer of a GGUF file that hone exported? For each style
of compare_tokenizers.py that GGUF can express: a tiny llama is exported, llama.cpp's server (package xllamacpp) and `hone tokenize` on
the file and on the directory get the same texts, with and without special tokens.

    python=$(bash tests/parity/venv.sh torch transformers tokenizers xllamacpp)
    $python tests/parity/llama_cpp_tokenizers.py [--hone build/release/bin/hone] [--count 500] [--only llama3]

The texts are lines of prose, code and numbers in many scripts, and pieces of them joined by odd spaces and special tokens. llama.cpp
normalises nothing, so a tokenizer that does (Qwen2's NFC) gets normalised texts. SentencePiece's vocabularies are held to its own library
(tests/core/text/bpe_golden_test.cpp)."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata
import urllib.request

import torch
import transformers
import xllamacpp

import compare_tokenizers as styles
from llama_cpp import parameters

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The tokens that begin and end a text, by style.
ENDS = {"gpt2": (None, "<|endoftext|>"), "llama3": ("<|begin_of_text|>", "<|end_of_text|>"), "qwen2": (None, "<|endoftext|>"),
        "deepseek3": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"), "smollm": ("<|im_start|>", "<|im_end|>")}


def texts(count, style):
    r = random.Random(7)
    lines = [line for line in styles.corpus() if line.strip()]
    begin, end = ENDS[style]
    joints = ["", " ", "  ", "\n", "\n\n", "\t", " \n ", "   ", "…", ", ", end] + ([begin] if begin else [])
    # GGUF has no words for these flags, so texts with such tokens are left out.
    flagged = [token.content for token in styles.STYLES[style]().get_added_tokens_decoder().values()
               if token.lstrip or token.rstrip or token.single_word]
    out = []
    while len(out) < count:
        parts = []
        for _ in range(r.randint(1, 4)):
            line = r.choice(lines)
            start = r.randrange(len(line))
            parts += [line[start:start + r.randint(1, 60)], r.choice(joints)]
        text = unicodedata.normalize("NFC", "".join(parts))
        if not any(token in text for token in flagged):
            out.append(text)
    return out


def make(style, folder):
    tokenizer = styles.STYLES[style]()
    begin, end = ENDS[style]
    config = transformers.LlamaConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                                      num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": begin, "eos_token": end}))
    (folder / "generation_config.json").unlink(missing_ok=True)


def hone_ids(hone, model, rows, special):
    lines = "".join(json.dumps({"text": t}) + "\n" for t in rows)
    done = subprocess.run([hone, "tokenize", "--model", str(model), "--input", "-"] + (["--add-special-tokens"] if special else []),
                          input=lines, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"hone tokenize failed: {done.stderr}")
    return [json.loads(line)["ids"] for line in done.stdout.splitlines()]


class LlamaCpp:
    def __init__(self, file):
        self.server = xllamacpp.Server(parameters(file, 64))

    def ids(self, text, special):
        body = json.dumps({"content": text, "add_special": special, "parse_special": True}).encode()
        request = urllib.request.Request(self.server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request).read())["tokens"]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hone", default=str(ROOT / "build/release/bin/hone"))
    options.add_argument("--count", type=int, default=500)
    options.add_argument("--only")
    o = options.parse_args()
    failed = False
    for style in [o.only] if o.only else ENDS:
        with tempfile.TemporaryDirectory() as scratch:
            folder, file = pathlib.Path(scratch) / "model", pathlib.Path(scratch) / "model.gguf"
            folder.mkdir()
            make(style, folder)
            done = subprocess.run([o.hone, "export", "--model", str(folder), "--to", "gguf", str(file)], capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{style}: hone export failed: {done.stderr}")
            rows = texts(o.count, style)
            other, differ, example = LlamaCpp(file), 0, ""
            for special in (False, True):
                of_folder, of_file = hone_ids(o.hone, folder, rows, special), hone_ids(o.hone, file, rows, special)
                for text, a, b in zip(rows, of_folder, of_file):
                    c = other.ids(text, special)
                    if not (a == b == c):
                        differ += 1
                        example = example or f"\n  {text!r}\n  directory {a}\n  file      {b}\n  llama.cpp {c}"
            failed |= differ > 0
            print(f"{style:10} {2 * len(rows)} texts, {differ} differ{example}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
