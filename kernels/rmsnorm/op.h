// rms_norm (Zhang, Sennrich 2019): y = x inverse w with inverse = 1 / sqrt(mean(x^2) + epsilon), per group of `width`.
//
// Sums over a group: 16 lanes of fma in the order of its blocks of 16, then the tree of cpu/simd.h.
//   forward   y = (x inverse) w
//   backward  with z = x inverse, g = dy w: dx += inverse (g - z (sum(g z) / width))
//             dweight[c]: from dweight over the groups in order of fma(dy, z, ·)
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void rms_norm(uint64_t n, uint32_t width, const double *x, const double *weight, double epsilon, double *y);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_rmsnorm(hone_kernels &);
}
#endif
