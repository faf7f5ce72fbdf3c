// dispatch by a stable sort, and its sums one number at a time.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/dispatch/op.h"

namespace hone::reference {

void dispatch(uint32_t T, uint32_t k, uint32_t E, const int32_t *index, uint32_t *order, uint32_t *place,
              uint32_t *offsets) {
  const uint32_t n = T * k;
  std::iota(order, order + n, 0u);
  std::stable_sort(order, order + n, [&](uint32_t a, uint32_t b) { return index[a] < index[b]; });
  for (uint32_t i = 0; i < n; ++i) place[order[i]] = i;
  for (uint32_t e = 0; e <= E; ++e)
    offsets[e] = uint32_t(std::count_if(index, index + n, [&](int32_t chosen) { return chosen < int32_t(e); }));
}

template <class Number>
void gather_rows(uint32_t n, uint32_t C, uint32_t k, const uint32_t *order, const Number *x, Number *y) {
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < C; ++c) y[i * C + c] = x[size_t(order[i] / k) * C + c];
}

template <class Number>
void combine(uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const Number *weight, const Number *x,
             Number *y) {
  for (size_t t = 0; t < T; ++t)
    for (size_t c = 0; c < C; ++c) {
      Number total = 0;
      for (size_t j = t * k; j < (t + 1) * k; ++j) total = std::fma(weight[j], x[size_t(place[j]) * C + c], total);
      y[t * C + c] = total;
    }
}

void gather_rows_backward(uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *dy, float *dx) {
  for (size_t t = 0; t < T; ++t)
    for (size_t c = 0; c < C; ++c)
      for (size_t j = t * k; j < (t + 1) * k; ++j) dx[t * C + c] += dy[size_t(place[j]) * C + c];
}

void combine_backward(uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const double *weight, const double *x,
                      const double *dy, double *dx, double *dweight) {
  for (size_t t = 0; t < T; ++t)
    for (size_t j = t * k; j < (t + 1) * k; ++j) {
      dweight[j] = 0;
      for (size_t c = 0; c < C; ++c) {
        dx[size_t(place[j]) * C + c] = weight[j] * dy[t * C + c];
        dweight[j] += dy[t * C + c] * x[size_t(place[j]) * C + c];
      }
    }
}

template decltype(gather_rows<float>) gather_rows<float>;
template decltype(gather_rows<double>) gather_rows<double>;
template decltype(combine<float>) combine<float>;
template decltype(combine<double>) combine<double>;

}  // namespace hone::reference
