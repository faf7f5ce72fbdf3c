// elementwise, one number at a time; swiglu in double.
#include <cmath>

#include "kernels/elementwise/op.h"

namespace hone::reference {

void add(uint64_t n, const float *a, const float *b, float *y) {
  for (uint64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void add_scaled(uint64_t n, const float *x, float factor, float *y) {
  for (uint64_t i = 0; i < n; ++i) y[i] = std::fma(factor, x[i], y[i]);
}

template <class Number>
void add_bias(uint32_t T, uint32_t N, const Number *bias, Number *y) {
  for (size_t t = 0; t < T; ++t)
    for (size_t n = 0; n < N; ++n) y[t * N + n] += bias[n];
}

void add_bias_backward(uint32_t T, uint32_t N, const float *dy, float *dbias) {
  for (size_t t = 0; t < T; ++t)
    for (size_t n = 0; n < N; ++n) dbias[n] += dy[t * N + n];
}

void swiglu(uint64_t n, const double *gate, const double *up, double *y) {
  for (uint64_t i = 0; i < n; ++i) y[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
}

template decltype(add_bias<float>) add_bias<float>;
template decltype(add_bias<double>) add_bias<double>;

}  // namespace hone::reference
