#!/usr/bin/env bash
# From a fresh Debian 12 machine to DeepSeek-R1's pipeline on a tiny model: installs, builds, and runs scripts/r1.lua.
# Arguments go to `hone run`, e.g. bash scripts/quickstart.sh --set seed=2
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install.sh run
HONE_CMAKE_ARGUMENTS=-DHONE_TESTS=OFF bash scripts/build.sh release
echo
build/release/bin/hone run scripts/r1.lua "$@"
echo "
The report of the run is report.html in its directory. Next:
  build/release/bin/hone run scripts/r1_zero.lua        pure RL from the base: accuracy and length rise
  build/release/bin/hone plan scripts/r1.lua            what a script is going to do
  build/release/bin/hone plugins                        what can be composed"
