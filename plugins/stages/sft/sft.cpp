// sft.cpp -- supervised fine-tuning, and pre-training: the negative log-likelihood of the trained tokens.
//
//   loss = - sum_t w_t log p(y_t | y_<t) / sum_t w_t        both sums over the whole optimizer step
#include <hone/objective.hpp>

namespace {

class Sft final : public hone::Objective {
 public:
  static auto params() { return hone::params(); }

  uint32_t source() const override { return HONE_ROWS; }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    if (!(batch->all_weight > 0)) return 0;  // every token has weight 0: nothing to learn from
    double total = 0;
    for (uint32_t t = 0; t < batch->n_tokens; ++t) {
      const double share = batch->weight[t] / batch->all_weight;
      total -= share * batch->logp[t];
      out.dlogp[t] = static_cast<float>(-share);
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("hone.sft", "1.0.0", hone::component<Sft>("sft", "Next-token likelihood of rows of data, or raw text."));
