#!/bin/bash
# venv.sh PACKAGE... -- prints a Python that has the packages: $HONE_PARITY_PYTHON when it is set, else build/parity-venv's, made now.
set -euo pipefail
if [ -n "${HONE_PARITY_PYTHON:-}" ]; then echo "$HONE_PARITY_PYTHON"; exit 0; fi
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/build/parity-venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" >&2
[ $# -eq 0 ] || "$venv/bin/pip" install --quiet "$@" >&2
echo "$venv/bin/python"
