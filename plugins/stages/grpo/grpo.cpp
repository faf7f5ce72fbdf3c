// grpo.cpp -- Group Relative Policy Optimization: DeepSeekMath (arXiv 2402.03300) section 4.1, as used by DeepSeek-R1.
//
//   A_i  = (r_i - mean r) / deviation r           over the responses to one prompt; scale_rewards "none": no division
//   l_it = beta KL3 - min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A)      ratio = p / p_old
//   KL3  = p_ref / p - log(p_ref / p) - 1         Schulman's k3: unbiased and never negative
//   loss = mean over rows of the mean over their tokens of l ("grpo"), or the mean over all tokens ("dapo", arXiv
//   2503.14476)
#include <algorithm>
#include <cmath>
#include <hone/objective.hpp>
#include <string>

namespace {

class Grpo final : public hone::Objective {
 public:
  float epsilon = 0.2f;
  float epsilon_high = 0;
  float beta = 0;
  std::string scale_rewards = "group";
  std::string loss_type = "grpo";

  static auto params() {
    return hone::params(
        hone::param("epsilon", &Grpo::epsilon, "how far the ratio may fall below 1", {.min = 0, .max = 1}),
        hone::param("epsilon_high", &Grpo::epsilon_high, "how far it may rise above 1; 0: as far as epsilon",
                    {.min = 0}),
        hone::param("beta", &Grpo::beta, "weight of the KL penalty to the reference model; 0: none, and no reference",
                    {.min = 0}),
        hone::param("scale_rewards", &Grpo::scale_rewards, "divide advantages by the group's deviation, or not",
                    {.choices = {"group", "none"}}),
        hone::param("loss_type", &Grpo::loss_type, "grpo: mean over rows of their tokens' means; dapo: over all tokens",
                    {.choices = {"grpo", "dapo"}}));
  }

  uint64_t needs() const override { return HONE_LOGP_OLD | (beta > 0 ? HONE_LOGP_REF : 0); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Group &group : batch.groups())
      for (const hone::Row &row : group.rows) {
        const double scale = scale_rewards == "group" ? group.deviation : 1;
        const double A = group.deviation > 0 ? (row.reward - group.mean) / scale : 0;
        std::fill(out.advantage + row.begin, out.advantage + row.end, static_cast<float>(A));
      }
  }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    const double low = 1.0 - epsilon, high = 1.0 + (epsilon_high > 0 ? epsilon_high : epsilon);
    double total = 0;
    for (const hone::Row &row : batch.rows()) {
      const double share = share_of(batch, row);
      for (uint32_t t = row.begin; t < row.end; ++t) {
        const double A = batch->advantage[t];
        const double ratio = std::exp(double(batch->logp[t]) - batch->logp_old[t]);
        const double clipped = std::clamp(ratio, low, high);
        const double gain = A == 0 ? 0 : ratio * A;  // however far the policy has moved: inf * 0 is no number
        const hone::TokenKl kl = beta > 0 ? hone::k3(batch->logp[t], batch->logp_ref[t]) : hone::TokenKl{0, 0};
        const bool moves = gain <= clipped * A;  // else the clip is flat and gives no gradient
        const double weight = share * batch->weight[t];
        total += weight * (beta * kl.value - std::min(gain, clipped * A));
        out.dlogp[t] = static_cast<float>(weight * (beta * kl.slope - (moves ? gain : 0)));
      }
    }
    return total;
  }

 private:
  // What one token of weight 1 counts for in the step's loss.
  double share_of(const hone::Batch &batch, const hone::Row &row) const {
    if (loss_type == "dapo") return batch->all_weight > 0 ? 1.0 / batch->all_weight : 0;
    double weight = 0;
    for (uint32_t t = row.begin; t < row.end; ++t) weight += batch->weight[t];
    return weight > 0 ? 1.0 / (double(batch->all_rows) * weight) : 0;
  }
};

}  // namespace

HONE_PLUGIN("hone.grpo", "1.0.0",
            hone::component<Grpo>("grpo",
                                  "Group Relative Policy Optimization: advantages from a group's own rewards."));
