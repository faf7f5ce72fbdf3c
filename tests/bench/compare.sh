#!/usr/bin/env bash
# Sets hone beside llama.cpp, transformers and TRL on this machine, on the same weights, and writes docs/benchmarks.md and its chart:
#   bash tests/bench/compare.sh [--rounds N] [--threads N] [--only sample,prefill,...] [--out FOLDER]
# Makes all it needs: hone's own build, a venv with torch, transformers and trl, llama.cpp built from the source that
# llama-cpp-python carries, and SmolLM2-135M-Instruct. An hour or so on two cores, most of it building and the slower contenders.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hone/bench
mkdir -p "$cache"
bash scripts/install.sh build
gguf=$(bash scripts/smollm2.sh)
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
[ -f build/release/CMakeCache.txt ] || cmake --preset release >&2
cmake --build --preset release --target hone hone_kernels_cpu model_speed machine_limits hone_reward_letter_e \
  hone_model_llama hone_model_deepseek_moe hone_stage_grpo hone_stage_sft hone_optimizer_adamw >&2

venv=$cache/venv
if [ ! -x "$venv/bin/python" ]; then
  echo "compare.sh: making $venv" >&2
  python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet torch transformers trl datasets accelerate safetensors tokenizers gguf sentencepiece protobuf numpy matplotlib cmake ninja >&2

llama=$cache/llama.cpp
if [ ! -x "$llama/bin/llama-batched-bench" ]; then
  echo "compare.sh: building llama.cpp" >&2
  rm -rf "$cache/source" && mkdir -p "$cache/source"
  "$venv/bin/pip" download --quiet --no-deps --no-binary :all: --no-build-isolation --dest "$cache/source" llama-cpp-python >&2 ||
    "$venv/bin/pip" download --quiet --no-deps --no-binary llama-cpp-python --dest "$cache/source" llama-cpp-python >&2
  tar -xf "$cache"/source/llama_cpp_python-*.tar.gz -C "$cache/source"
  # -DGGML_NATIVE: every instruction that this CPU has, as hone chooses its kernels by.
  PATH=$venv/bin:$PATH cmake -G Ninja -S "$cache"/source/llama_cpp_python-*/vendor/llama.cpp -B "$llama" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DBUILD_SHARED_LIBS=OFF >&2
  PATH=$venv/bin:$PATH ninja -C "$llama" llama-bench llama-batched-bench >&2
  rm -rf "$cache/source"
fi
exec "$venv/bin/python" tests/bench/compare.py --cache "$cache" --gguf "$gguf" "$@"
