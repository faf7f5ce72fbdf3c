// choose.cpp -- the library's one exported symbol: the fastest set that this CPU can run, or the one HONE_ISA names (null
// when there is none of that name, or this CPU cannot run it).
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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
static bool has_bf16_dot() {
  unsigned a = 0, b = 0, c = 0, d = 0;  // clang 14 knows no name for it here
  return runs_level_4() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}
// Tiles need the system's leave too, which it gives to a process and all its threads once for all.
static bool has_tiles() {
  constexpr long kAskForState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_bf16_dot() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1) &&
         syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
}
#endif

const hone_kernels *set_named(const char *isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!std::strcmp(isa, "amx"))
    return has_tiles() && amx::tiles_keep_the_blocks() && avx512bf16::dot_keeps_the_chain() ? amx::set() : nullptr;  // it packs by avx512bf16's
  if (!std::strcmp(isa, "avx512bf16")) return has_bf16_dot() && avx512bf16::dot_keeps_the_chain() ? avx512bf16::set() : nullptr;
  if (!std::strcmp(isa, "avx512")) return runs_level_4() ? avx512::set() : nullptr;
  if (!std::strcmp(isa, "avx2")) return runs_level_3() ? avx2::set() : nullptr;
#endif
  return std::strcmp(isa, "plain") ? nullptr : plain::set();
}

}  // namespace hone::kernels

extern "C" __attribute__((visibility("default"))) const hone_kernels *hone_kernels_v1(void) {
  using hone::kernels::set_named;
  if (const char *wanted = std::getenv("HONE_ISA"); wanted && *wanted) return set_named(wanted);
#if defined(__x86_64__)
  if (const hone_kernels *set = set_named("amx")) return set;
  if (const hone_kernels *set = set_named("avx512bf16"); set && hone::kernels::avx512bf16::dot_is_faster()) return set;
#endif
  for (const char *isa : {"avx512", "avx2"})
    if (const hone_kernels *set = set_named(isa)) return set;
  return set_named("plain");
}
