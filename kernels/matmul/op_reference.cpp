// matmul in double, one sum per output.
#include "kernels/matmul/op.h"

#include <cmath>
#include <cstring>

namespace hone::reference {

void matmul(uint32_t T, uint32_t N, uint32_t K, const double *x, const double *W, double *y) {
  for (uint32_t t = 0; t < T; ++t)
    for (uint32_t n = 0; n < N; ++n) {
      double sum = 0;
      for (uint32_t k = 0; k < K; ++k) sum += x[size_t(t) * K + k] * W[size_t(n) * K + k];
      y[size_t(t) * N + n] = sum;
    }
}

void matmul_backward(uint32_t T, uint32_t N, uint32_t K, const double *x, const double *W, const double *dy, double *dx,
                     double *dW) {
  for (size_t t = 0; t < T; ++t)
    for (size_t n = 0; n < N; ++n)
      for (size_t k = 0; k < K; ++k) {
        dx[t * K + k] += dy[t * N + n] * W[n * K + k];
        dW[n * K + k] += dy[t * N + n] * x[t * K + k];
      }
}

float rounded_to_bf16(float x) {
  if (std::isnan(x)) return x;
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t kept = bits >> 16, dropped = bits & 0xffff;
  const bool up = dropped > 0x8000 || (dropped == 0x8000 && (kept & 1));
  bits = (kept + up) << 16;
  std::memcpy(&x, &bits, 4);
  return x;
}

}  // namespace hone::reference
