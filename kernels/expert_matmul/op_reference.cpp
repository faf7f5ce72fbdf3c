// expert_matmul in double: each expert's rows are a matmul of their own.
#include "kernels/expert_matmul/op.h"
#include "kernels/matmul/op.h"

namespace hone::reference {

void expert_matmul(uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K, const double *x, const double *W,
                   double *y) {
  for (size_t e = 0; e < E; ++e) {
    const size_t row = offsets[e];
    matmul(offsets[e + 1] - offsets[e], N, K, x + row * K, W + e * N * K, y + row * N);
  }
}

void expert_matmul_backward(uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K, const double *x,
                            const double *W, const double *dy, double *dx, double *dW) {
  for (size_t e = 0; e < E; ++e) {
    const size_t row = offsets[e];
    matmul_backward(offsets[e + 1] - offsets[e], N, K, x + row * K, W + e * N * K, dy + row * N, dx + row * K,
                    dW + e * N * K);
  }
}

}  // namespace hone::reference
