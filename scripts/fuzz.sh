#!/usr/bin/env bash
# Fuzzes one reader: scripts/fuzz.sh TARGET SECONDS, e.g. scripts/fuzz.sh tokenizer_json 600. Targets: tests/fuzz/*.cpp.
# Seeds are in tests/fuzz/seeds/TARGET; what the fuzzer finds is kept in build/fuzz/corpus/TARGET, and an input that
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
seeds=()
[ -d "tests/fuzz/seeds/$target" ] && seeds=("tests/fuzz/seeds/$target")
exec "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 \
  -artifact_prefix="build/fuzz/failures/$target-" "build/fuzz/corpus/$target" "${seeds[@]}"
