// memory: fills and copies, one number at a time.
#include "kernels/memory/op.h"

namespace hone::reference {

void fill(float *x, uint64_t n, float value) {
  for (uint64_t i = 0; i < n; ++i) x[i] = value;
}

void copy(float *to, const float *from, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) to[i] = from[i];
}

}  // namespace hone::reference
