// low_rank.cpp -- LoRA (arXiv 2106.09685) beside the product with a targeted matrix: y += (scaling x A^T) B^T, and its
// gradients. Always unmerged, in every kind of pass, so that sampling and training have the same bits.
//
// Order of accumulation: low = scaling * (x A^T), rounded once more; a dense y goes on from W's chain over r = 0 ..
// rank - 1; of experts, the chain over r begins at 0 and is added to y. Frozen matrices have no gradient.
#include "core/tape/graph.h"

namespace hone {

float *Tape::State::add_low_rank(hone_tensor weight, ProductRows rows, const float *x, float *y) {
  const Weights::LowRank *low = weights->low_rank(index_of(weight));
  if (!low) return nullptr;
  const hone_weight *a = &weights->weight(low->a), *b = &weights->weight(low->b);
  const uint64_t n = uint64_t{rows.rows} * a->N;
  float *plain = scratch.floats(n), *scaled = scratch.floats(n);
  if (rows.offsets)
    kernels.expert_matmul(&stream, rows.experts, rows.offsets, x, a, plain);
  else
    kernels.matmul(&stream, rows.rows, x, a->K, a, plain, a->N, 0);
  kernels.fill(&stream, scaled, n, 0);
  kernels.add_scaled(&stream, n, plain, low->scaling, scaled);
  if (rows.offsets) {
    const uint64_t size = uint64_t{rows.rows} * b->N;
    float *added = scratch.floats(size);
    kernels.expert_matmul(&stream, rows.experts, rows.offsets, scaled, b, added);
    kernels.add_scaled(&stream, size, added, 1, y);
  } else {
    kernels.matmul(&stream, rows.rows, scaled, b->K, b, y, b->N, 1);
  }
  return scaled;
}

void Tape::State::differentiate_low_rank(hone_tensor weight, ProductRows rows, const float *x, const float *scaled,
                                         const float *dy, float *dx) {
  const Weights::LowRank *low = weights->low_rank(index_of(weight));
  if (!low) return;
  const hone_weight *a = &weights->weight(low->a), *b = &weights->weight(low->b);
  const uint32_t N = b->N, K = a->K, rank = a->N;
  const uint64_t n = uint64_t{rows.rows} * rank;
  float *db = parameter_gradient(kParameter | low->b), *da = parameter_gradient(kParameter | low->a);
  float *d_scaled = borrow_zeroes(n), *d_plain = borrow_zeroes(n);
  if (rows.offsets) {
    kernels.expert_matmul_backward_weight(&stream, b->dtype, rows.experts, rows.offsets, N, rank, scaled, dy, db);
    kernels.expert_matmul_backward_input(&stream, rows.experts, rows.offsets, dy, b, d_scaled);
  } else {
    kernels.matmul_backward_weight(&stream, b->dtype, rows.rows, N, rank, scaled, rank, dy, N, db);
    kernels.matmul_backward_input(&stream, rows.rows, dy, N, b, d_scaled, rank, 1);
  }
  kernels.add_scaled(&stream, n, d_scaled, low->scaling, d_plain);
  if (rows.offsets) {
    kernels.expert_matmul_backward_weight(&stream, a->dtype, rows.experts, rows.offsets, rank, K, x, d_plain, da);
    kernels.expert_matmul_backward_input(&stream, rows.experts, rows.offsets, d_plain, a, dx);
  } else {
    kernels.matmul_backward_weight(&stream, a->dtype, rows.rows, rank, K, x, K, d_plain, rank, da);
    kernels.matmul_backward_input(&stream, rows.rows, d_plain, rank, a, dx, K, 1);
  }
  give_back(d_scaled, n);
  give_back(d_plain, n);
}

}  // namespace hone
