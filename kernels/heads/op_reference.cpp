// heads, one number at a time.
#include "kernels/heads/op.h"

namespace hone::reference {

template <class Number>
void copy_heads(uint32_t T, uint32_t H, uint32_t size, const Number *x, uint32_t ldx, uint32_t x_head, Number *y,
                uint32_t ldy, uint32_t y_head, bool accumulate) {
  for (size_t t = 0; t < T; ++t)
    for (size_t h = 0; h < H; ++h)
      for (size_t c = 0; c < size; ++c) {
        const Number value = x[t * ldx + h * x_head + c];
        Number &to = y[t * ldy + h * y_head + c];
        to = accumulate ? to + value : value;
      }
}

void sum_heads(uint32_t T, uint32_t H, uint32_t size, const float *dy, uint32_t lddy, uint32_t dy_head, float *dx,
               uint32_t lddx) {
  for (size_t t = 0; t < T; ++t)
    for (size_t c = 0; c < size; ++c)
      for (size_t h = 0; h < H; ++h) dx[t * lddx + c] += dy[t * lddy + h * dy_head + c];
}

template decltype(copy_heads<float>) copy_heads<float>;
template decltype(copy_heads<double>) copy_heads<double>;

}  // namespace hone::reference
