// value_head, one number at a time.
#include <cmath>

#include "kernels/value_head/op.h"

namespace hone::reference {

void value_head(uint32_t T, uint32_t C, const double *x, const double *w, double *y) {
  for (size_t t = 0; t < T; ++t) {
    y[t] = 0;
    for (size_t c = 0; c < C; ++c) y[t] += x[t * C + c] * w[c];
  }
}

void value_head_backward(uint32_t T, uint32_t C, const float *x, const float *w, const float *dy, float *dx,
                         float *dw) {
  for (size_t t = 0; t < T; ++t)
    for (size_t c = 0; c < C; ++c) {
      dx[t * C + c] = std::fma(dy[t], w[c], dx[t * C + c]);
      dw[c] = std::fma(dy[t], x[t * C + c], dw[c]);
    }
}

}  // namespace hone::reference
