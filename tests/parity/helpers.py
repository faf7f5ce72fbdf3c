"""What parity scripts share: the Python to run with, programs to run, and a tokenizer that needs no training."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON_HELP = "a python that has torch and transformers; also $HONE_PARITY_PYTHON; else tests/parity/venv.sh makes one"


def use_venv(python):
    """Starts the script again with that Python, unless this is it."""
    if os.environ.get("HONE_PARITY_INSIDE"):
        return
    python = python or os.environ.get("HONE_PARITY_PYTHON")
    if not python:
        python = run("bash", ROOT / "tests/parity/venv.sh").stdout.strip().splitlines()[-1]
    sys.exit(subprocess.run([python, *sys.argv], env=os.environ | {"HONE_PARITY_INSIDE": "1"}).returncode)


def run(program, *arguments, stdin=None, environment=None, check=True):
    done = subprocess.run([program, *map(str, arguments)], input=stdin, capture_output=True, text=True, env=environment)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, [program, *arguments]))} gave {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def word_level(folder, vocabulary):
    """A tokenizer.json that hone reads without knowing byte-level BPE: the words t0, t1, ..."""
    words = {f"t{i}": i for i in range(vocabulary)}
    (folder / "tokenizer.json").write_text(json.dumps(dict(
        version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=None, pre_tokenizer={"type": "WhitespaceSplit"},
        post_processor=None, decoder=None, model=dict(type="WordLevel", vocab=words, unk_token="t0"))))
    (folder / "tokenizer_config.json").write_text("{}")
