// swiglu in double.
#include "kernels/elementwise/op.h"

#include <cmath>

namespace hone::reference {

void swiglu(uint64_t n, const double *gate, const double *up, double *y) {
  for (uint64_t i = 0; i < n; ++i) y[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
}

}  // namespace hone::reference
