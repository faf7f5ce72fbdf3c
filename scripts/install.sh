#!/usr/bin/env bash
# Installs what building, running and testing hone needs from Debian's packages. With "run" only what the program needs, with
# "fetch" only what scripts need that fetch a model.
# Nothing else is fetched from anywhere. Does nothing when all is there already.
set -euo pipefail
build=(ca-certificates git cmake ninja-build g++ ccache pkg-config libboost-dev libboost-filesystem-dev libboost-system-dev
  liblua5.4-dev libtomlplusplus-dev libspdlog-dev libfmt-dev libcli11-dev nlohmann-json3-dev libdnnl-dev libicu-dev libpcre2-dev
  libzstd-dev libxxhash-dev libdlpack-dev libedit-dev)
test=(libgtest-dev libgmock-dev libbenchmark-dev clang libclang-rt-14-dev libc++-dev libc++abi-dev)
fetch=(ca-certificates curl unzip)
case ${1:-all} in
  fetch) wanted=("${fetch[@]}") ;;
  run) wanted=("${build[@]}") ;;
  *) wanted=("${build[@]}" "${test[@]}") ;;
esac

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install.sh: needs root to install ${missing[*]}; run it as root or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work just after a machine has started: wait for it.
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update -q >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install -y -q --no-install-recommends "${missing[@]}" >&2
