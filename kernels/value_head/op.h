// value_head: y[t] = x[t] . w, one number per token: 16 lanes of fma over blocks in order, then the tree of cpu/simd.h.
//   backward  dx[t] += dy[t] w (one fma); dw[c]: from dw over t = 0 .. T-1 of fma(dy[t], x[t,c], ·)
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void value_head(uint32_t T, uint32_t C, const double *x, const double *w, double *y);
// In the very order above
void value_head_backward(uint32_t T, uint32_t C, const float *x, const float *w, const float *dy, float *dx, float *dw);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_value_head(hone_kernels &);
}
#endif
