#!/usr/bin/env bash
# Fuzzes one reader: scripts/fuzz.sh TARGET SECONDS, e.g. scripts/fuzz.sh tokenizer_json 600. Targets: tests/fuzz/*.cpp.
# Seeds are tests/fuzz/seeds/TARGET and the models and templates of other tests; what the fuzzer finds is kept in build/fuzz/corpus/TARGET, and an input that
# fails in build/fuzz/failures/TARGET-*. Exits with an error when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-}
seconds=${2:-60}
if [ ! -f "tests/fuzz/$target.cpp" ]; then
  echo "fuzz.sh: \"$target\" is no fuzz target; there are: $(cd tests/fuzz && ls ./*.cpp | sed 's|\./||; s|\.cpp||' | tr '\n' ' ')" >&2
  exit 2
fi
command -v clang++ >/dev/null || { echo "fuzz.sh: needs clang++; bash scripts/install.sh installs it" >&2; exit 1; }
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >&2
cmake --build build/fuzz --target "fuzz_$target" ${HONE_JOBS:+-j "$HONE_JOBS"} >&2
mkdir -p "build/fuzz/corpus/$target" build/fuzz/failures
seeds=build/fuzz/seeds/$target
rm -rf "$seeds" && mkdir -p "$seeds"
cp "tests/fuzz/seeds/$target"/* "$seeds" 2>/dev/null || true
case $target in
  gguf | safetensors)
    n=0
    find tests -name "*.$target" -size -64k | sort | while read -r file; do n=$((n + 1)) && cp "$file" "$seeds/$n.$target"; done
    ;;
  template)
    python3 - "$seeds" <<'PYTHON' || echo "fuzz.sh: no python3, so it begins without templates" >&2
import json, pathlib, sys
goldens = json.loads(pathlib.Path("tests/core/template/goldens.json").read_text())
for name, text in goldens["models"].items():
    pathlib.Path(sys.argv[1], name + ".jinja").write_text(text)
PYTHON
    ;;
esac
exec "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 \
  -artifact_prefix="build/fuzz/failures/$target-" "build/fuzz/corpus/$target" "$seeds"
