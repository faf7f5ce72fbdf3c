// heads: moves the columns of heads between tensors (slice, join) and sums them back.
//
//   copy_heads  y[t, h, :] = x[t, h, :], or y + x when accumulate
//   sum_heads   dx[t, :]: from dx over h = 0 .. H-1 of · + dy[t, h, :]
#pragma once

#include "kernels/table.h"

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_heads(hone_kernels &);
}
#endif
