// likelihood.hpp -- the loss of the stages that learn given tokens: their mean negative log-likelihood.
//
//   loss = - sum_t w_t log p(y_t | y_<t) / sum_t w_t        both sums over the whole optimizer step
#pragma once

#include <hone/objective.hpp>

namespace hone HONE_HIDDEN {

// Fills out.dlogp. 0, and no gradient, when every token of the step has weight 0: there is nothing to learn from.
inline double negative_log_likelihood(const hone::Batch &batch, hone_loss &out) {
  if (!(batch->all_weight > 0)) return 0;
  double total = 0;
  for (uint32_t t = 0; t < batch->n_tokens; ++t) {
    const double share = batch->weight[t] / batch->all_weight;
    total -= share * batch->logp[t];
    out.dlogp[t] = static_cast<float>(-share);
  }
  return total;
}

}  // namespace hone
