// dispatch: brings tokens to their experts and back. A choice is c = t k + j, expert index[c]; places are sorted by expert,
// stable in c.
//
//   gather_rows           y[i] = x[order[i] / k]
//   combine               y[t] : from 0 over j = 0 .. k-1 of fma(weight[t,j], x[place[t k + j]], ·)
//   combine_backward      dx[place] = weight dy[t]; dweight[t,j] = dy[t] . x[place]: 16 lanes of fma, tree. Both overwrite.
//   gather_rows_backward  dx[t]: from dx over j = 0 .. k-1 of · + dy[place[t k + j]]
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void dispatch(uint32_t T, uint32_t k, uint32_t E, const int32_t *index, uint32_t *order, uint32_t *place, uint32_t *offsets);

// float: in the very order above; double: for finite differences
template <class Number>
void gather_rows(uint32_t n, uint32_t C, uint32_t k, const uint32_t *order, const Number *x, Number *y);
template <class Number>
void combine(uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const Number *weight, const Number *x, Number *y);
void gather_rows_backward(uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *dy, float *dx);

void combine_backward(uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const double *weight, const double *x,
                      const double *dy, double *dx, double *dweight);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_dispatch(hone_kernels &);
}
#endif
