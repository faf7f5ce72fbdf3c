// grpo.cpp -- Group Relative Policy Optimization: DeepSeekMath (arXiv 2402.03300) section 4.1, as used by DeepSeek-R1.
//
//   A_i  = (r_i - mean r) / deviation r           over the responses to one prompt (outcome supervision)
//   A_it = sum over the step ends j >= t of (r_ij - mean r) / deviation r      over all steps of the group (process supervision)
//   l_it = beta KL3 - min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A)      ratio = p / p_old
//   loss = mean over rows of the mean over their tokens of l
//
// The deviation is the population's and nothing is added to it. (TRL: n - 1, and 1e-4 added.) Iterative GRPO (section 4.1.4) is the
// host's ref_model_sync_steps.
#include <hone/policy_gradient.hpp>

namespace {

class Grpo final : public hone::PolicyGradient {
 public:
  std::string supervision = "outcome";

  Grpo() { aggregation = "sequence-mean-token-mean"; }

  static auto params() {
    return std::tuple_cat(hone::params(hone::param("supervision", &Grpo::supervision, "outcome: one reward for a response; process: one for each of its steps",
                                                   {.choices = {"outcome", "process"}})),
                          scale_params(), clip_params(), kl_params(), loss_params());
  }

  uint64_t needs() const override { return PolicyGradient::needs() | (supervision == "process" ? HONE_STEP_REWARD : 0); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    if (supervision == "process")
      hone::group_relative_steps(batch, scale_rewards, out);
    else
      hone::group_relative(batch, hone::rewards_of(batch.rows()), scale_rewards, out);
  }
};

}  // namespace

HONE_PLUGIN("hone.grpo", "2.0.0",
            hone::component<Grpo>("grpo", "Group Relative Policy Optimization: advantages from a group's own rewards."));
