// expert_matmul: matmul with one weight per expert; rows offsets[e] .. offsets[e+1] of x and y are expert e's.
// Per expert the formulas and the order of accumulation of matmul/op.h; an expert without rows leaves its dW untouched.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void expert_matmul(uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K, const double *x, const double *W, double *y);
// += both
void expert_matmul_backward(uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K, const double *x, const double *W,
                            const double *dy, double *dx, double *dW);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_expert_matmul(hone_kernels &);
}
#endif
