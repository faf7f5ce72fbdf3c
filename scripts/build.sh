#!/usr/bin/env bash
# Configures and builds one preset: build.sh PRESET [targets...]. Uses ccache; prints nothing but progress and errors.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?build.sh: name a preset of CMakePresets.json, e.g. release}
shift
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
cmake --preset "$preset" ${HONE_CMAKE_ARGUMENTS:-} >"build-$preset.log" 2>&1 || { cat "build-$preset.log" >&2; exit 1; }
rm -f "build-$preset.log"
cmake --build "build/$preset" --parallel "${HONE_JOBS:-$(nproc)}" ${1:+--target} "$@"
