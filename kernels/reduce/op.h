// reduce: sums over whole buffers whose order depends on nothing but the length.
//
//   sum_of_squares  chunks of 65,536; in a chunk 16 lanes of double over blocks in order (each square is exact), lanes
//                   added 0, 1, ..., 15; chunks added in order
//   add_slots       to[i] = a tree over the slots: neighbours in pairs, the pairs' sums in pairs, ...
//   all_finite      1 when no value is infinite or NaN
#pragma once

#include "kernels/table.h"

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_reduce(hone_kernels &);
}
#endif
