// distill.cpp -- sequence-level distillation: the student learns the responses that a teacher sampled.
// Kim & Rush, arXiv 1606.07947, section 3.2; DeepSeek-R1, arXiv 2501.12948, section 2.4 (no reinforcement learning).
//
//   loss = - sum_t w_t log p_student(y_t | y_<t) / sum_t w_t      y ~ teacher; sums over the whole optimizer step
#include <hone/objective.hpp>

namespace {

class Distill final : public hone::Objective {
 public:
  static auto params() { return hone::params(); }

  uint32_t source() const override { return HONE_TEACHER; }

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

HONE_PLUGIN("hone.distill", "1.0.0",
            hone::component<Distill>("distill", "Learns the responses that a teacher model sampled."));
