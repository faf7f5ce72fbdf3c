// choose.cpp -- the library's one exported symbol: the fastest set that this CPU can run, or the one HONE_ISA names (null
// when there is none of that name, or this CPU cannot run it).
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernels/cpu/sets.h"

namespace hone::kernels {

#if defined(__x86_64__)
// The levels that the sets are compiled for. clang 14 knows no levels by name, nor the few instructions of level 3 that are
// not named here and that every CPU with these has.
static bool runs_level_3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
static bool runs_level_4() {
  return runs_level_3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const hone_kernels *set_named(const char *isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!std::strcmp(isa, "avx512")) return runs_level_4() ? avx512::set() : nullptr;
  if (!std::strcmp(isa, "avx2")) return runs_level_3() ? avx2::set() : nullptr;
#endif
  return std::strcmp(isa, "plain") ? nullptr : plain::set();
}

}  // namespace hone::kernels

extern "C" __attribute__((visibility("default"))) const hone_kernels *hone_kernels_v1(void) {
  using hone::kernels::set_named;
  if (const char *wanted = std::getenv("HONE_ISA"); wanted && *wanted) return set_named(wanted);
  for (const char *isa : {"avx512", "avx2"})
    if (const hone_kernels *set = set_named(isa)) return set;
  return set_named("plain");
}
