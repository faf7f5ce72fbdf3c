// reduce: each sum as op.h orders it, the tree by recursion.
#include <algorithm>
#include <cmath>

#include "kernels/reduce/op.h"

namespace hone::reference {

double sum_of_squares(uint64_t n, const float *x) {
  double total = 0;
  for (uint64_t begin = 0; begin < n; begin += 65536) {
    double lanes[16] = {}, chunk = 0;
    for (uint64_t i = begin; i < std::min(n, begin + 65536); ++i) lanes[i % 16] += double(x[i]) * double(x[i]);
    for (double lane : lanes) chunk += lane;
    total += chunk;
  }
  return total;
}

float add_slots(uint64_t i, uint32_t n_slots, const float *const *slots) {
  if (n_slots == 1) return slots[0][i];
  return add_slots(i, n_slots / 2, slots) + add_slots(i, n_slots / 2, slots + n_slots / 2);
}

bool all_finite(uint64_t n, const float *x) {
  return std::all_of(x, x + n, [](float value) { return std::isfinite(value); });
}

}  // namespace hone::reference
