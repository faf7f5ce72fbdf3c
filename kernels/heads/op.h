// heads: moves the columns of heads between tensors (slice, join) and sums them back.
//
//   copy_heads  y[t, h, :] = x[t, h, :], or y + x when accumulate
//   sum_heads   dx[t, :]: from dx over h = 0 .. H-1 of · + dy[t, h, :]
#pragma once

#include "kernels/table.h"

namespace hone::reference {

// float: in the very order above; double: for finite differences
template <class Number>
void copy_heads(uint32_t T, uint32_t H, uint32_t size, const Number *x, uint32_t ldx, uint32_t x_head, Number *y, uint32_t ldy,
                uint32_t y_head, bool accumulate);
void sum_heads(uint32_t T, uint32_t H, uint32_t size, const float *dy, uint32_t lddy, uint32_t dy_head, float *dx,
               uint32_t lddx);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_heads(hone_kernels &);
}
#endif
