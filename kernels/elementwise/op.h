// elementwise: add, add_scaled, add_bias and swiglu, y = g sigmoid(g) u.
//
//   add_scaled        y = fma(factor, x, y)
//   add_bias_backward dbias[n]: from dbias over t = 0 .. T-1 of · + dy[t,n]
//   swiglu            y = (g s) u with s = 1 / (1 + exp(-g))
//   swiglu_backward   dgate += (dy u) (s fma(g, 1 - s, 1)); dup += dy (g s), each (+)= rounded on its own
// 16 lanes with one arithmetic, tails included: an element does not depend on where it stands.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

// float: in the very order above; double: for finite differences
void add(uint64_t n, const float *a, const float *b, float *y);
void add_scaled(uint64_t n, const float *x, float factor, float *y);
template <class Number>
void add_bias(uint32_t T, uint32_t N, const Number *bias, Number *y);
void add_bias_backward(uint32_t T, uint32_t N, const float *dy, float *dbias);

void swiglu(uint64_t n, const double *gate, const double *up, double *y);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_elementwise(hone_kernels &);
}
#endif
