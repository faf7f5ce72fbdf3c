#!/usr/bin/env python3
"""Writes 8 prompts of exactly 64 tokens, cut from texts: prompts.py MODEL OUT.jsonl TEXT..."""
import json
import pathlib
import sys

import transformers

tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer("".join(pathlib.Path(text).read_text() for text in sys.argv[3:]))["input_ids"]
rows, at = [], 0
while len(rows) < 8:
    if at + 64 > len(ids):
        raise SystemExit("prompts.py: the texts are too short for 8 prompts of 64 tokens")
    text = tokenizer.decode(ids[at:at + 64])
    same = tokenizer(text)["input_ids"] == ids[at:at + 64]
    if same:
        rows.append(json.dumps({"prompt": text}))
    at += 64 if same else 1
pathlib.Path(sys.argv[2]).write_text("\n".join(rows) + "\n")
