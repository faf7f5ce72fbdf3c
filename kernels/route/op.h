// route: chooses k of E experts per token (DeepSeek-V3, arXiv:2412.19437, section 2.1.2; DeepSeek-V2, arXiv:2405.04434, section
// 2.1.3), and the sequence-wise balance loss.
//
//   scores  s = sigmoid(logits), or softmax over E (max, exp, 16 lanes and the tree of cpu/simd.h)
//   choice  biased b = s + bias; with groups > 1 a group of E / groups experts counts the sum of its two largest b (its one
//           if it has one; group_score 1, V2's: its largest alone), the groups_kept best groups stay; then the k largest b.
//           Ties go to the lower index; NaN counts as the smallest, so the choice is always k different experts.
//   weight  s of the chosen, unbiased; divided by (their sum in the order chosen + 1e-20) when normalise; times scaling
//   sequence_balance (eq. 17-20), per row of T tokens: f_e = E / (k T) count_e, P_e = 1/T sum_t s[t,e] / sum_j s[t,j],
//           loss += alpha sum_e f_e P_e; f is constant in the gradient. Sums over tokens and experts in order, in double.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void route(const hone_route_args &, const double *logits, const double *bias, double *scores, int32_t *index, double *weight);
double sequence_balance(const hone_route_args &, uint32_t R, const uint32_t *row_start, const double *scores,
                        const int32_t *index, double alpha);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_route(hone_kernels &);
}
#endif
