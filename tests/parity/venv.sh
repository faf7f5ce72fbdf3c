#!/usr/bin/env bash
# venv.sh -- the Python that parity scripts run with: makes build/parity-venv once, adds the packages named, prints its python.
#   tests/parity/venv.sh [PACKAGE...]
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/parity-venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" >&2
"$venv/bin/pip" install --quiet --disable-pip-version-check torch transformers tokenizers safetensors jinja2 gguf "$@" >&2
echo "$PWD/$venv/bin/python"
