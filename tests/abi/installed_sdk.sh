#!/bin/bash
# installed_sdk.sh BUILD SOURCE WORK -- installs the SDK alone, builds every example and every template against it as a
# stranger would, one example with clang++ and libc++ too, and gathers the plugins in WORK/plugins.
set -euo pipefail
build=$1 source=$2 work=$3
prefix=$work/prefix
rm -rf "$work" && mkdir -p "$work/plugins" "$work/clang"
cmake --install "$build" --component sdk --prefix "$prefix" > "$work/install.log"
test ! -e "$prefix/bin"  # alone: no program, no plugin

# The headers compile by themselves, as C11 and C++20, from the folder that pkg-config names.
flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags hone-sdk)
for header in $(cd "$prefix/include" && find hone -name '*.h'); do
  echo "#include <$header>" | cc -std=c11 -pedantic -Wall -Wextra -Werror $flags -fsyntax-only -x c -
done
for header in $(cd "$prefix/include" && find hone -name '*.hpp'); do
  echo "#include <$header>" | c++ -std=c++20 -Wall -Wextra -Werror $flags -fsyntax-only -x c++ -
done

configure() { cmake -S "$1" -B "$2" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release "${@:3}" > "$2.log"; }
for example in reward_c reward_cpp objective_cpp optimizer_cpp stage_cpp model_cpp; do
  configure "$source/examples/$example" "$work/$example"
  cmake --build "$work/$example" >> "$work/$example.log"
  cp "$work/$example"/lib/hone/*/*.so "$work/plugins/"
done

for kind in reward objective optimizer stage model; do
  cp -r "$prefix/share/hone/template/$kind" "$work/new_$kind"
  sed -i "s/my_plugin/new_$kind/g; s/MyPlugin/New/g" "$work/new_$kind"/*
  mv "$work/new_$kind/my_plugin.cpp" "$work/new_$kind/new_$kind.cpp"
  mv "$work/new_$kind/my_plugin_test.cpp" "$work/new_$kind/new_${kind}_test.cpp"
  configure "$work/new_$kind" "$work/new_$kind/build"
  cmake --build "$work/new_$kind/build" >> "$work/new_$kind/build.log"
  cmake --build "$work/new_$kind/build" --target check >> "$work/new_$kind/build.log"
  cp "$work/new_$kind"/build/lib/hone/*/*.so "$work/plugins/"
done

if echo '#include <string>
int main() { return std::string("x").size() == 1 ? 0 : 1; }' | clang++ -std=c++20 -stdlib=libc++ -x c++ - -o "$work/try" 2> /dev/null; then
  for example in reward_cpp objective_cpp; do
    configure "$source/examples/$example" "$work/clang_$example" -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=-stdlib=libc++
    cmake --build "$work/clang_$example" >> "$work/clang_$example.log"
    cp "$work/clang_$example"/lib/hone/*/*.so "$work/clang/"
  done
else
  echo "left out: clang++ with libc++ is not installed (apt-get install clang libc++-dev libc++abi-dev)"
fi
echo built
