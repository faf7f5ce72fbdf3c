// rms_norm in double; weight may be null.
#include "kernels/rmsnorm/op.h"

#include <cmath>

namespace hone::reference {

void rms_norm(uint64_t n, uint32_t width, const double *x, const double *weight, double epsilon, double *y) {
  for (uint64_t i = 0; i < n; ++i) {
    double squares = 0;
    for (uint32_t c = 0; c < width; ++c) squares += x[i * width + c] * x[i * width + c];
    const double inverse = 1 / std::sqrt(squares / width + epsilon);
    for (uint32_t c = 0; c < width; ++c) y[i * width + c] = x[i * width + c] * inverse * (weight ? weight[c] : 1.0);
  }
}

}  // namespace hone::reference
