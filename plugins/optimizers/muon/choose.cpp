// choose.cpp -- which of the compiled sets of products this CPU runs.
#include <cstdlib>
#include <cstring>

#include "products.hpp"

namespace muon {

const Products &fastest_products() {
  const char *const given = std::getenv("HONE_ISA"), *const wanted = given ? given : "";
#if defined(__x86_64__)
  // The levels that the sets are compiled for; what is not named here, every CPU with these has.
  __builtin_cpu_init();
  const bool level_3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                       __builtin_cpu_supports("bmi2");
  const bool level_4 = level_3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl");
  const bool below_4 = !std::strcmp(wanted, "avx2"), below_3 = !std::strcmp(wanted, "plain");
  if (level_4 && !below_4 && !below_3) return avx512::products;
  if (level_3 && !below_3) return avx2::products;
#else
  (void)wanted;
#endif
  return plain::products;
}

}  // namespace muon
