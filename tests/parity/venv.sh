#!/usr/bin/env bash
# venv.sh -- the Python that parity scripts run with: $HONE_PARITY_PYTHON when it is set, else that of build/parity-venv, made once;
# adds the packages named, prints the path. tests/parity/venv.sh [PACKAGE...]
set -euo pipefail
if [ -n "${HONE_PARITY_PYTHON:-}" ]; then echo "$HONE_PARITY_PYTHON"; exit 0; fi
cd "$(dirname "$0")/../.."
venv=build/parity-venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" >&2
"$venv/bin/pip" install --quiet --disable-pip-version-check torch transformers tokenizers safetensors jinja2 gguf "$@" >&2
echo "$PWD/$venv/bin/python"
