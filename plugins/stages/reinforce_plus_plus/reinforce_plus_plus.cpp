// reinforce_plus_plus.cpp -- REINFORCE++, arXiv 2501.03262: no critic and no groups; advantages are normalised over the whole step.
//
//   r_t  = - kl_coef (log p_old - log p_ref), and at the last token the reward besides
//   A_t  = sum over s >= t of gamma^(s - t) r_s
//   A    = (A - mean) / sqrt(max(variance, 1e-8))         over all tokens of the step, as in the authors' OpenRLHF: the population's
//   loss = - mean over all tokens of min(ratio A, clip(ratio) A)
#include <hone/policy_gradient.hpp>

namespace {

class ReinforcePlusPlus final : public hone::PolicyGradient {
 public:
  float gamma = 1;

  static auto params() {
    return std::tuple_cat(
        hone::params(hone::param("gamma", &ReinforcePlusPlus::gamma, "discount of later rewards", {.min = 0, .max = 1})),
        reward_kl_params(), clip_params(), kl_params(), loss_params());
  }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Row &row : batch.rows()) {
      std::vector<double> to_come = hone::token_rewards(batch, row, kl_coef);
      hone::discount(to_come, gamma);
      for (uint32_t i = 0; i < row.size(); ++i) out.advantage[row.begin + i] = static_cast<float>(to_come[i]);
    }
    hone::standardize({out.advantage, batch->n_tokens});
  }
};

}  // namespace

HONE_PLUGIN("hone.reinforce_plus_plus", "1.0.0",
            hone::component<ReinforcePlusPlus>("reinforce_plus_plus", "REINFORCE with advantages normalised over the whole step."));
