// remax.cpp -- ReMax, arXiv 2310.10505 section 4: the baseline of a response is the reward of the greedy response to its prompt.
//
//   r_t  = - kl_coef (log p_old - log p_ref), and at the last token the reward besides
//   A_t  = sum over s >= t of r_s - reward of the greedy response
//   loss = - mean over rows of the sum over their tokens of min(ratio A, clip(ratio) A)
//
// While the policy has not moved, the gradient is algorithm 1's: that of - A log p(y).
#include <hone/policy_gradient.hpp>

namespace {

class ReMax final : public hone::PolicyGradient {
 public:

  ReMax() { aggregation = "sequence-mean-token-sum"; }

  static auto params() {
    return std::tuple_cat(reward_kl_params(), clip_params(), kl_params(), loss_params());
  }

  uint64_t needs() const override { return PolicyGradient::needs() | HONE_BASELINE; }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Row &row : batch.rows()) {
      std::vector<double> to_come = hone::token_rewards(batch, row, kl_coef);
      hone::discount(to_come, 1);
      for (uint32_t i = 0; i < row.size(); ++i)
        out.advantage[row.begin + i] = static_cast<float>(to_come[i] - batch->reward_baseline[row.index]);
    }
  }
};

}  // namespace

HONE_PLUGIN("hone.remax", "1.0.0", hone::component<ReMax>("remax", "REINFORCE with the greedy response's reward as baseline."));
