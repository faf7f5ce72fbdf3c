// reduce: sums over whole buffers whose order depends on nothing but the length.
//
//   sum_of_squares  chunks of 65,536; in a chunk 16 lanes of double over blocks in order (each square is exact), lanes
//                   added 0, 1, ..., 15; chunks added in order
//   add_slots       to[i] = a tree over the slots: neighbours in pairs, the pairs' sums in pairs, ...
//   all_finite      1 when no value is infinite or NaN
#pragma once

#include "kernels/table.h"

namespace hone::reference {

double sum_of_squares(uint64_t n, const float *x);  // in the very order above
float add_slots(uint64_t i, uint32_t n_slots, const float *const *slots);  // to[i]; n_slots a power of two
bool all_finite(uint64_t n, const float *x);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_reduce(hone_kernels &);
}
#endif
