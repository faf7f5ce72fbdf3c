#!/usr/bin/env python3
"""llama_cpp_files.py -- what real models ship, as far as llama.cpp's source has it: vocabularies with the ids that their own tokenizers
give for some fifty texts, and chat templates. hone must cut the texts alike, and write conversations as jinja2 does.

    python=$(bash tests/parity/venv.sh)
    $python tests/parity/llama_cpp_files.py [--build build/release/bin] [--only deepseek-llm]

The source comes in PyPI's package of llama-cpp-python, which pip fetches once into build/llama-cpp-files; nothing of it is built. Left out:
texts that NFC changes where the model's own tokenizer normalises and llama.cpp does not, and templates whose `| safe` means Markup."""
import argparse
import json
import pathlib
import subprocess
import sys
import tarfile
import unicodedata

import templates
from template_models import CONVERSATIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "llama-cpp-python==0.3.36"
MARKUP = "functionary"  # the name's part of templates that count on Markup


def fetch():
    folder = ROOT / "build/llama-cpp-files"
    if not list(folder.glob("*.tar.gz")):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
                        "-d", str(folder), PACKAGE], check=False)
    archive = next(iter(sorted(folder.glob("*.tar.gz"))), None)
    if archive is None:
        sys.exit(f"llama_cpp_files.py: pip could not fetch the source of {PACKAGE}; is PyPI within reach?")
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = pathlib.PurePath(member.name)
            if "models" in path.parts and path.suffix in (".gguf", ".inp", ".out", ".jinja") and member.isfile():
                target = folder / path.name
                if not target.exists():
                    target.write_bytes(tar.extractfile(member).read())
    return folder


def compare_vocabularies(folder, hone, only):
    texts = wrong = files = 0
    for file in sorted(folder.glob("*.gguf")):
        given, expected = file.with_suffix(".gguf.inp"), file.with_suffix(".gguf.out")
        if only not in file.name or not given.exists():
            continue
        with open(given, encoding="utf-8", newline="") as opened:
            rows = opened.read().split("\n__ggml_vocab_test__\n")
        ran = subprocess.run([hone, "tokenize", "--quiet", "--model", file, "--input", "-"], capture_output=True, text=True,
                             input="".join(json.dumps({"text": row}) + "\n" for row in rows))
        if ran.returncode and ("hone reads" in ran.stderr or "that hone knows" in ran.stderr):  # kinds of vocabulary that hone does not have
            print(f"{file.name}: not read: {ran.stderr.strip()[-150:]}")
            continue
        if ran.returncode:
            wrong += 1
            print(f"{file.name}: {ran.stderr.strip()[:400]}")
            continue
        files += 1
        ids = [json.loads(line)["ids"] for line in ran.stdout.splitlines()]
        for row, ours, line in zip(rows, ids, expected.read_text().split("\n")):
            if "qwen" in file.name and not unicodedata.is_normalized("NFC", row):
                continue
            texts += 1
            if ours != [int(one) for one in line.split()]:
                wrong += 1
                print(f"{file.name}: {row!r}\n  expected {line}\n  hone     {' '.join(map(str, ours))}")
    print(f"{files} vocabularies, {texts} texts: {wrong} wrong")
    return wrong


def compare_templates(folder, render_lines, only):
    environment, cases = templates.environment(), []
    for file in sorted(folder.glob("*.jinja")):
        if only in file.name and MARKUP not in file.name:
            cases += [(file.name, file.read_text(), {"tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", **conversation})
                      for conversation in CONVERSATIONS]
    ran = subprocess.run([render_lines], input="".join(json.dumps({"template": text, "variables": variables}) + "\n" for _, text, variables in cases),
                         capture_output=True, text=True, check=True)
    wrong = rendered = 0
    for (name, text, variables), line in zip(cases, ran.stdout.splitlines(), strict=True):
        theirs, ours = templates.render(environment, text, variables), json.loads(line)
        rendered += "text" in theirs
        if theirs.get("text") != ours.get("text") or ("error" in theirs) != ("error" in ours):
            wrong += 1
            print(f"--- {name}\n  jinja2: {json.dumps(theirs)[:400]}\n  hone:   {json.dumps(ours)[:400]}")
    print(f"{len({name for name, _, _ in cases})} templates x {len(CONVERSATIONS)} conversations, {rendered} with a text: {wrong} differ")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    folder, build = fetch(), pathlib.Path(options.build)
    sys.exit(compare_vocabularies(folder, build / "hone", options.only) + compare_templates(folder, build / "render_lines", options.only) > 0)


if __name__ == "__main__":
    main()
