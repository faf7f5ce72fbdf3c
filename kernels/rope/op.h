// rope (Su et al. 2021): turns each pair (a, b) of a head's columns [begin, begin + size) by its position's angle. y may be x.
//   a' = fma(a, cos, -(b sin)),  b' = fma(b, cos, a sin);  direction -1 turns back, which is the gradient
// Pairs: (2i, 2i+1) when interleaved (DeepSeek), else (i, i + size/2) (Llama). cos_sin[position] is cos then sin.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void rope(uint32_t T, uint32_t H, uint32_t head_size, uint32_t begin, uint32_t size, int interleaved, const uint32_t *position,
          const double *cos_sin, double *x);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_rope(hone_kernels &);
}
#endif
