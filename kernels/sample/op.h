// sample: picks one token per row from softmax(logits / temperature) after the filters, and tells its log-prob before them.
//
//   logp     exactly logprob's (cpu/softmax_row.h) at this temperature; greedy (temperature 0): at temperature 1
//   weights  e[v] = exp(z[v] - max z); a NaN logit has weight 0
//   filters, in this order, each on what the one before left:
//     top_k  the k largest logits, ties to the lower id
//     top_p  the fewest of the largest weights whose sum reaches top_p of all that is left, ties to the lower id; at least one
//     min_p  weights of at least min_p times the largest
//   pick     the first id at which the running sum of weights, in id order and in double, exceeds uniform * their total. Of more
//            than 1,024 ids, and without filters, whole chunks of 1,024 are passed over by their sums in f32 (16 lanes over
//            blocks in order, then the tree of cpu/simd.h), which also make up the total
//   greedy   the largest logit, the lowest id on ties
// No sort: what the filters cannot keep is left out block by block, and the cut among the rest is found digit by digit (radix
// selection). A row without any positive weight (all NaN or -infinity, or
// +infinity somewhere) gives its largest logit, the lowest id on ties, id 0 when there is none; logp is NaN then.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

// The ids that the filters keep, in order of id, and their weights, by a full sort.
uint32_t kept_by_filters(uint32_t V, const double *logits, const hone_sample_args &, int32_t *ids, double *weights);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_sample(hone_kernels &);
}
#endif
