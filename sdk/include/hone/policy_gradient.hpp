// policy_gradient.hpp -- what all policy-gradient objectives share, written once: the clipped surrogate, how tokens are aggregated,
// the KL penalty in the loss, the entropy bonus, and the correction for rows that other weights sampled.
//
//   loss = sum_t share_t (w_t l_t + beta KL_t - entropy_coef H_t)      over the tokens of a step
//
// l_t is the objective's own, here PPO's (arXiv 1707.06347, eq. 7) with its dual clip (arXiv 1912.09729, eq. 5; in TRL's form
// min(ratio, delta), arXiv 2505.07291):
//
//   l_t = - min(min(ratio, delta) A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A)      ratio = p / p_old
//
// share_t, for a token of weight v_t (1, unless the stage says otherwise):
//   token-mean                     v_t / sum of v over the step                              DAPO, arXiv 2503.14476, eq. 8
//   sequence-mean-token-mean       v_t / (rows * sum of v over the row)                      GRPO, arXiv 2402.03300, eq. 3
//   sequence-mean-token-sum        v_t / rows
//   sequence-mean-token-sum-norm   v_t / (rows * max_completion_length)                      Dr. GRPO, arXiv 2503.20783, as in TRL
//
// w_t corrects for a sampler of other weights (p_old against what the rollout recorded), and is a constant. By TRL's names:
//   token_truncate   min(p_old / p_rollout, importance_sampling_cap)
//   sequence_mask    the product over the row of p_old / p_rollout, or 0 where that is above the cap
//
// A class that derives from PolicyGradient gives advantages(), may give a surrogate() of its own, and lists its settings as
//   std::tuple_cat(hone::params(...its own...), clip_params(), kl_params(), loss_params())
#pragma once

#include <tuple>

#include "hone/advantages.hpp"
#include "hone/token_kl.hpp"

namespace hone HONE_HIDDEN {

class PolicyGradient : public Objective {
 public:
  float epsilon = 0.2f, epsilon_high = 0, delta = 0;
  float beta = 0;
  std::string kl_estimator = "k3", kl_gradient = "own";
  float entropy_coef = 0;
  std::string aggregation = "token-mean";
  int64_t max_completion_length = 256;
  std::string importance_sampling_mode = "none";
  float importance_sampling_cap = 3;  // TRL's

  static auto clip_params() {
    return params(param("epsilon", &PolicyGradient::epsilon, "how far the ratio may fall below 1", {.min = 0, .max = 1}),
                  param("epsilon_high", &PolicyGradient::epsilon_high, "how far it may rise above 1; 0: as far as epsilon", {.min = 0}),
                  param("delta", &PolicyGradient::delta, "dual clip: the ratio counts for no more than this, which bounds the loss of a negative advantage; above 1, or 0: none",
                        {.min = 0}));
  }
  static auto kl_params() {
    return params(
        param("beta", &PolicyGradient::beta, "weight in the loss of the KL to the reference model; 0: none, and no reference", {.min = 0}),
        param("kl_estimator", &PolicyGradient::kl_estimator, "of that KL, from one token: k1, k2 or k3 of Schulman", {.choices = {"k1", "k2", "k3"}}),
        param("kl_gradient", &PolicyGradient::kl_gradient, "own: the estimator's derivative; unbiased: that of k2", {.choices = {"own", "unbiased"}}));
  }
  static auto loss_params() {
    return params(
        param("entropy_coef", &PolicyGradient::entropy_coef, "weight of the entropy of the next token, which is rewarded; 0: none"),
        param("aggregation", &PolicyGradient::aggregation, "how the losses of tokens are averaged",
              {.choices = {"token-mean", "sequence-mean-token-mean", "sequence-mean-token-sum", "sequence-mean-token-sum-norm"}}),
        param("max_completion_length", &PolicyGradient::max_completion_length,
              "tokens of a response at most; sequence-mean-token-sum-norm divides by it", {.min = 1, .max = 1e6}),
        param("importance_sampling_mode", &PolicyGradient::importance_sampling_mode,
              "of rows that other weights sampled: weigh each token by its ratio up to the cap, or each row by its own, and not at all above it",
              {.choices = {"none", "token_truncate", "sequence_mask"}}),
        param("importance_sampling_cap", &PolicyGradient::importance_sampling_cap, "of those ratios", {.min = 1e-6}));
  }

  // Of those that compare the responses to one prompt, and of those with KL in the reward.
  std::string scale_rewards = "group";
  float kl_coef = 0;
  static auto scale_params() {
    return params(param("scale_rewards", &PolicyGradient::scale_rewards, "divide advantages by the deviation of the group's rewards, of the batch's, or not",
                        {.choices = {"group", "batch", "none"}}));
  }
  static auto reward_kl_params() {
    return params(param("kl_coef", &PolicyGradient::kl_coef, "weight of each token's KL penalty (k1) in its reward; 0: none", {.min = 0}));
  }

  void start(const Services &) {
    if (delta > 0 && delta <= 1)
      throw Error("delta is " + std::to_string(delta) + ", which would stop a policy that has not moved from learning; it must be above 1 (1 + epsilon_high or more), or 0 for none");
  }

  uint64_t needs() const override {
    return HONE_LOGP_OLD | (beta > 0 ? HONE_LOGP_REF : 0) | (entropy_coef != 0 ? HONE_ENTROPY : 0) |
           (importance_sampling_mode != "none" ? HONE_LOGP_ROLLOUT : 0) | (kl_coef > 0 ? HONE_LOGP_REF : 0);
  }

  double loss(const Batch &batch, hone_loss &out) override {
    double total = 0;
    std::vector<double> share, weighted, slope;
    for (const Row &row : batch.rows()) {
      if (row.size() == 0) continue;
      const double of_row = share_of(batch, row);
      share.resize(row.size()), slope.assign(row.size(), 0.0);
      for (uint32_t i = 0; i < row.size(); ++i) {
        const uint32_t t = row.begin + i;
        share[i] = of_row * batch->weight[t];
        if (share[i] == 0) continue;  // 0 times infinity is no number
        if (beta > 0) {
          const TokenKl kl = token_kl(kl_estimator, kl_gradient == "unbiased", batch->logp[t], batch->logp_const[t], batch->logp_ref[t]);
          total += share[i] * (beta * kl.value);
          slope[i] += share[i] * (beta * kl.slope);
        }
        if (entropy_coef != 0) {
          total -= share[i] * entropy_coef * batch->entropy[t];
          out.dentropy[t] = static_cast<float>(-share[i] * entropy_coef);
        }
      }
      weighted = share;
      correct(batch, row, weighted);
      total += surrogate(batch, row, weighted, slope);
      for (uint32_t i = 0; i < row.size(); ++i) out.dlogp[row.begin + i] = static_cast<float>(slope[i]);
    }
    return total;
  }

 protected:
  // sum of share_t l_t over the row's tokens; adds its derivative by log p to slope. Both are of the row's tokens alone.
  virtual double surrogate(const Batch &batch, const Row &row, std::span<const double> share, std::span<double> slope) const {
    double total = 0;
    for (uint32_t i = 0; i < row.size(); ++i) {
      const uint32_t t = row.begin + i;
      if (share[i] == 0) continue;  // however far the policy has moved: 0 times infinity is no number
      const Gain gain = clipped(double(batch->logp[t]) - batch->logp_old[t], batch->advantage[t]);
      total -= share[i] * gain.value;
      slope[i] -= share[i] * gain.slope;
    }
    return total;
  }

  // The same with the whole response as one action: its ratio is the product of its tokens', or (mean) their geometric mean. It weighs as much as its tokens' shares together.
  double sequence_surrogate(const Batch &batch, const Row &row, bool mean, std::span<const double> share, std::span<double> slope) const {
    double moved = 0, weight = 0, shares = 0;
    for (uint32_t i = 0; i < row.size(); ++i) {
      const uint32_t t = row.begin + i;
      moved += batch->weight[t] * (double(batch->logp[t]) - batch->logp_old[t]);
      weight += batch->weight[t], shares += share[i];
    }
    if (!(weight > 0) || shares == 0) return 0;
    const double part = mean ? 1 / weight : 1;
    const Gain gain = clipped(moved * part, batch->advantage[row.begin]);
    for (uint32_t i = 0; i < row.size(); ++i) slope[i] -= shares * gain.slope * part * batch->weight[row.begin + i];
    return -shares * gain.value;
  }

  struct Gain {
    double value, slope;  // the slope is by log_ratio
  };
  // The clipped ratio times the advantage. Without an advantage nothing is gained, however far the policy has moved (infinity times 0
  // is no number).
  Gain clipped(double log_ratio, double advantage) const {
    if (advantage == 0) return {0, 0};
    const double ratio = std::exp(log_ratio);
    const bool bounded = delta > 0 && ratio > delta;
    const double gain = (bounded ? delta : ratio) * advantage;
    const double kept = std::clamp(ratio, 1.0 - epsilon, 1.0 + (epsilon_high > 0 ? epsilon_high : epsilon));
    if (gain > kept * advantage) return {kept * advantage, kept == ratio ? kept * advantage : 0};
    return {gain, bounded ? 0 : gain};
  }

  // What a token of weight 1 of this row counts for in the step's loss.
  double share_of(const Batch &batch, const Row &row) const {
    if (aggregation == "token-mean") return batch->all_weight > 0 ? 1.0 / batch->all_weight : 0;
    const double rows = double(batch->all_rows);
    if (aggregation == "sequence-mean-token-sum") return 1.0 / rows;
    if (aggregation == "sequence-mean-token-sum-norm") return 1.0 / (rows * double(max_completion_length));
    double weight = 0;
    for (uint32_t t = row.begin; t < row.end; ++t) weight += batch->weight[t];
    return weight > 0 ? 1.0 / (rows * weight) : 0;
  }

 private:
  void correct(const Batch &batch, const Row &row, std::span<double> share) const {
    if (importance_sampling_mode == "none") return;
    double moved = 0;
    for (uint32_t i = 0; i < row.size(); ++i) {
      const double by = double(batch->logp_old[row.begin + i]) - batch->logp_rollout[row.begin + i];
      moved += by;
      if (importance_sampling_mode == "token_truncate") share[i] *= std::min(std::exp(by), double(importance_sampling_cap));
    }
    if (importance_sampling_mode != "sequence_mask") return;
    const double ratio = std::exp(moved);
    for (double &s : share) s *= ratio > importance_sampling_cap ? 0 : ratio;
  }
};

}  // namespace hone
