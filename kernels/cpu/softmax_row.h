// softmax_row.h -- the maximum and the sum of exponentials of one row of logits: the one body behind logprob, kl and sample,
// so that the log-prob recorded when a token is sampled is the trainer's, bit for bit.
#pragma once

#include "kernels/cpu/math.h"

namespace hone::kernels::HONE_ISA {

struct SoftmaxRow {
  float highest;    // max z, z = logit * inverse_temperature; a NaN is passed over
  float log_total;  // log(sum of exp(z - highest)): 16 lanes over blocks in order, then the tree
};

constexpr float kNothing = -__builtin_inff();

// weights [V], when wanted, gets exp(z - highest), 0 for NaN.
HONE_INLINE SoftmaxRow softmax_row(uint32_t V, const float *logits, float inverse_temperature, float *weights = nullptr) {
  const F16 factor = broadcast(inverse_temperature);
  F16 top = broadcast(kNothing), total = zero();
  each_block(0, V, [&](uint64_t i, uint32_t lanes) {
    F16 z = load_block(logits + i, lanes) * factor;
    if (lanes < 16) z = first(lanes, z, broadcast(kNothing));
    top = larger(z, top);
  });
  const float highest = largest(top);
  const F16 shift = broadcast(highest);
  each_block(0, V, [&](uint64_t i, uint32_t lanes) {
    F16 e = exp(load_block(logits + i, lanes) * factor - shift);
    if (lanes < 16) e = first(lanes, e, zero());
    total = total + e;
    if (weights) store_block(weights + i, lanes, larger(e, zero()));
  });
  return {highest, log(sum(total))};
}

HONE_INLINE float logp_of(const SoftmaxRow &row, float logit, float inverse_temperature) {
  return (logit * inverse_temperature - row.highest) - row.log_total;
}

}  // namespace hone::kernels::HONE_ISA
