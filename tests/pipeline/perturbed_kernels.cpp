// perturbed_kernels.cpp -- the real CPU kernels, but for cached attention, whose first output is moved by one unit in the last
// place (or by HONE_TEST_PERTURBATION) in some calls: what a wrong kernel, a race or a broken machine would do to sampling.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "kernels/table.h"

namespace {

hone_kernels table;
void (*real_attention)(hone_stream *, const hone_cached_rows *, const hone_kv_page_shape *, uint32_t, float, const float *, const float *,
                       const float *, void *, float *);

void attention(hone_stream *stream, const hone_cached_rows *rows, const hone_kv_page_shape *shape, uint32_t H, float scale, const float *q,
               const float *k, const float *v, void *pages, float *y) {
  real_attention(stream, rows, shape, H, scale, q, k, v, pages, y);
  static const char *const by = std::getenv("HONE_TEST_PERTURBATION");
  if (rows->first_position[0] % 7 == 3) y[0] = by ? y[0] + std::strtof(by, nullptr) : std::nextafterf(y[0], INFINITY);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const hone_kernels *hone_kernels_v1() {
  void *library = dlopen(REAL_KERNELS, RTLD_NOW | RTLD_LOCAL);
  if (!library) std::fprintf(stderr, "%s\n", dlerror()), std::abort();
  table = *reinterpret_cast<hone_kernels_entry>(dlsym(library, "hone_kernels_v1"))();
  real_attention = table.attention_cached;
  table.attention_cached = attention;
  return &table;
}
