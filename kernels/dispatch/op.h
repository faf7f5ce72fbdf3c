// dispatch: brings tokens to their experts and back. A choice is c = t k + j, expert index[c]; places are sorted by expert,
// stable in c.
//
//   gather_rows           y[i] = x[order[i] / k]
//   combine               y[t] : from 0 over j = 0 .. k-1 of fma(weight[t,j], x[place[t k + j]], ·)
//   combine_backward      dx[place] = weight dy[t]; dweight[t,j] = dy[t] . x[place]: 16 lanes of fma, tree. Both overwrite.
//   gather_rows_backward  dx[t]: from dx over j = 0 .. k-1 of · + dy[place[t k + j]]
#pragma once

#include "kernels/table.h"

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_dispatch(hone_kernels &);
}
#endif
