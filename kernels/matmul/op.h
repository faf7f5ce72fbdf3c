// matmul: y[t, n] = sum over k of x[t, k] W[n, k], and its two gradients.
//
// Order of accumulation (f32), each output ONE chain of fused multiply-adds, one rounding per term:
//   matmul            y[t,n]:  from 0 (or from y when accumulate) over k = 0, 1, ..., K-1 of fma(x[t,k], W[n,k], ·)
//   backward_input    dx[t,k]: from 0 (or from dx when accumulate) over n = 0, 1, ..., N-1 of fma(dy[t,n], W[n,k], ·)
//   backward_weight   dW[n,k]: from dW over t = 0, 1, ..., T-1 of fma(dy[t,n], x[t,k], ·)
// A row of y or dx does not depend on the other rows in the call.
// HONE_BF16: all three round both factors to bf16, to nearest even, and run the same chains in f32, in which subnormal
// factors count as zero, before they are rounded, and subnormal sums become zero (as VDPBF16PS has it; cpu/bf16.h).
// HONE_BF16_BLOCKS: the same factors, but the chain of each output goes by blocks of 32 steps, the last filled up with zeroes,
// as TDPBF16PS has it (cpu/blocks.h): y = y + (chain from 0 over a block's even steps + chain from 0 over its odd ones).
// A gradient of a weight that is cut into calls keeps its bits if the cuts are between blocks.
// packed: panels of 16 outputs, zero padded: f32 [N/16][K][16]; bf16 [N/16][K/2][16] pairs of consecutive k, in blocks
// [N/16][K/32][16][16].
// Why this is no library's matmul, with measurements: docs/kernels.md.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void matmul(uint32_t T, uint32_t N, uint32_t K, const double *x, const double *W, double *y);  // y overwritten
void matmul_backward(uint32_t T, uint32_t N, uint32_t K, const double *x, const double *W, const double *dy, double *dx,
                     double *dW);     // += both
float rounded_to_bf16(float);         // to nearest even; NaN stays NaN

}  // namespace hone::reference

#ifdef HONE_ISA
#include "kernels/cpu/blocks.h"

namespace hone::kernels::HONE_ISA {
void fill_matmul(hone_kernels &);

// The rows of x as products read them, one of the three: as they are, or for bf16 as pairs in the caller's scratch.
struct LeftRows {
  const float *single;
  const LeftPair *paired;
  const BlockLeft *blocked;
  size_t ld;
};
LeftRows left_rows(uint32_t rows, const float *x, uint32_t ldx, const hone_weight &);

// One product on the caller's thread. Shared with expert_matmul.
void matmul_block(uint32_t rows, uint32_t first_column, uint32_t columns, const LeftRows &, const hone_weight &, float *y,
                  uint32_t ldy, bool accumulate);
}  // namespace hone::kernels::HONE_ISA
#endif
