// expert_matmul: matmul with one weight per expert; rows offsets[e] .. offsets[e+1] of x and y are expert e's.
// Per expert the formulas and the order of accumulation of matmul/op.h; an expert without rows leaves its dW untouched.
#pragma once

#include "kernels/table.h"

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_expert_matmul(hone_kernels &);
}
#endif
