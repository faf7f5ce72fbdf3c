// ppo.cpp -- Proximal Policy Optimization, arXiv 1707.06347, with a critic, for language models: Ouyang et al., arXiv 2203.02155.
//
//   r_t     = - kl_coef (log p_old - log p_ref), at the last token the reward besides, at a step's end its reward
//   delta_t = r_t + gamma V_t+1 - V_t                          V is 0 after the last token
//   A_t     = sum over s >= t of (gamma lam)^(s - t) delta_s   generalised advantages, arXiv 1506.02438, eq. 16
//   target  = A_t + V_t, with critic_lam for lam               decoupled as in VC-PPO, arXiv 2503.01491
//   loss    = mean over all tokens of  - min(ratio A, clip(ratio) A)
//             + vf_coef / 2 max((v - target)^2, (clip(v, V - cliprange_value, V + cliprange_value) - target)^2)
//
// Constants are TRL's: gamma 1, lam 0.95, vf_coef 0.1, cliprange_value 0.2; advantages are whitened over all tokens, (A - mean) /
// sqrt(variance + 1e-8) with n - 1 in the variance, after the targets were made. V is what the critic said before the step.
#include <hone/policy_gradient.hpp>

namespace {

class Ppo final : public hone::PolicyGradient {
 public:
  float gamma = 1, lam = 0.95f, critic_lam = -1;
  float vf_coef = 0.1f, cliprange_value = 0.2f;
  bool normalize_advantages = true;
  std::string supervision = "outcome";

  static auto params() {
    return std::tuple_cat(
        hone::params(hone::param("gamma", &Ppo::gamma, "discount of later rewards", {.min = 0, .max = 1}),
                     hone::param("lam", &Ppo::lam, "of generalised advantages: 1 trusts the rewards alone, less the critic more", {.min = 0, .max = 1}),
                     hone::param("critic_lam", &Ppo::critic_lam, "the same for the critic's targets; below 0: as lam", {.min = -1, .max = 1}),
                     hone::param("vf_coef", &Ppo::vf_coef, "weight of the critic's loss", {.min = 0}),
                     hone::param("cliprange_value", &Ppo::cliprange_value, "how far a value may move from the old one before it stops learning; 0: as far as it likes",
                                 {.min = 0}),
                     hone::param("normalize_advantages", &Ppo::normalize_advantages, "whiten advantages over the step"),
                     hone::param("supervision", &Ppo::supervision, "outcome: one reward for a response; process: one at the end of each of its steps besides",
                                 {.choices = {"outcome", "process"}})),
        reward_kl_params(), clip_params(), kl_params(), loss_params());
  }

  uint64_t needs() const override {
    return PolicyGradient::needs() | HONE_VALUE | (process() ? HONE_STEP_REWARD : 0);
  }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    const double of_critic = critic_lam < 0 ? lam : critic_lam;
    for (const hone::Row &row : batch.rows()) {
      const std::vector<double> rewards = hone::token_rewards(batch, row, kl_coef, process());
      double advantage = 0, critic = 0, next = 0;
      for (uint32_t t = row.end; t-- > row.begin;) {
        const double value = batch->value_old[t], error = rewards[t - row.begin] + gamma * next - value;
        advantage = error + double(gamma) * lam * advantage;
        critic = error + gamma * of_critic * critic;
        out.advantage[t] = static_cast<float>(advantage);
        out.target[t] = static_cast<float>(critic + value);
        next = value;
      }
    }
    if (normalize_advantages) hone::whiten({out.advantage, batch->n_tokens});
  }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    double total = PolicyGradient::loss(batch, out);
    for (const hone::Row &row : batch.rows()) {
      const double of_row = share_of(batch, row);
      for (uint32_t t = row.begin; t < row.end; ++t) {
        const double share = of_row * batch->weight[t] * vf_coef, old = batch->value_old[t], range = cliprange_value;
        const double off = double(batch->value[t]) - batch->target[t];
        const double kept = range > 0 ? std::clamp(double(batch->value[t]), old - range, old + range) - batch->target[t] : off;
        const bool flat = kept * kept > off * off;
        total += share / 2 * (flat ? kept * kept : off * off);
        out.dvalue[t] = flat ? 0.0f : static_cast<float>(share * off);
      }
    }
    return total;
  }

 private:
  bool process() const { return supervision == "process"; }
};

}  // namespace

HONE_PLUGIN("hone.ppo", "1.0.0", hone::component<Ppo>("ppo", "Proximal Policy Optimization with a critic and generalised advantages."));
