#!/usr/bin/env bash
# Installs, builds and tests everything on a fresh Debian 12 machine; ends with "N passed, N failed".
# test.sh [release|asan|tsan|all]: default is the release tests, then parsers, loader and ABI under ASan+UBSan and the host's
# threads under TSan. `test.sh asan` runs all tests under ASan+UBSan, `test.sh tsan` all threaded host code under TSan.
set -uo pipefail
cd "$(dirname "$0")/.."
what=${1:-default}
bash scripts/install.sh || exit 1
passed=0 failed=0 failures=()

# run PRESET [ctest arguments]: counts what ctest did; a build that fails is one failure.
run() {
  local preset=$1
  shift
  local results=$PWD/build/$preset/tests.xml
  rm -f "$results"
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --parallel "$(nproc)" --timeout 600 --output-junit "$results" "$@" ||
    echo "test.sh: some tests of $preset failed" >&2
  local counted
  counted=$(sed -n '/<testsuite/,/>/p' "$results" 2>/dev/null | tr '\n' ' ')
  local all bad skipped
  all=$(sed -n 's/.*tests="\([0-9]*\)".*/\1/p' <<<"$counted")
  bad=$(sed -n 's/.*failures="\([0-9]*\)".*/\1/p' <<<"$counted")
  skipped=$(sed -n 's/.*skipped="\([0-9]*\)".*/\1/p' <<<"$counted")
  if [ -z "$all" ] || [ "$all" = 0 ]; then
    failed=$((failed + 1)) && failures+=("$preset: no test ran")
  else
    passed=$((passed + all - bad - ${skipped:-0})) && failed=$((failed + bad))
    [ "$bad" = 0 ] || failures+=("$preset: $bad")
  fi
}
# The quickstart builds without tests in the same folder.
export HONE_CMAKE_ARGUMENTS=-DHONE_TESTS=ON
build() { bash scripts/build.sh "$@" || { failed=$((failed + 1)); failures+=("$1: the build"); return 1; }; }

export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# handle_segv=0: a worker that a test makes crash must die of the signal, as it does without the sanitizer.
export LSAN_OPTIONS=suppressions=$PWD/tests/leaks.supp TSAN_OPTIONS=halt_on_error=1:handle_segv=0:suppressions=$PWD/tests/threads.supp
case $what in
  release) build release && run release ;;
  asan) build asan && run asan ;;
  tsan) build tsan hone test_base test_reward test_core_rollout test_core_train && run tsan -R '^(base|reward|core_rollout|core_train)\.' ;;
  default | all)
    build release && run release
    build asan hone test_base test_plugin test_script test_template test_text test_model test_abi test_rewards test_run &&
      run asan -R '^(base|plugin|script|template|text|model|abi|rewards|run)\.'
    build tsan test_base && run tsan -R '^base\.'
    ;;
  *) echo "test.sh: \"$what\" is none of release, asan, tsan, all" >&2; exit 2 ;;
esac
[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}" >&2
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
