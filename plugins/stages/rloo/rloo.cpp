// rloo.cpp -- REINFORCE with a leave-one-out baseline: Ahmadian et al., arXiv 2402.14740, section 3.2.
//
//   R_i  = r_i - beta sum_t (log p_old - log p_ref)         the KL penalty is part of the reward, as in TRL
//   A_i  = R_i - mean of the other R_j = G / (G - 1) (R_i - mean R)
//   loss = - mean over rows of min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A)      ratio = p(y) / p_old(y)
//
// A whole response is one action: its ratio is that of the sequence, and the first update is exactly REINFORCE's. normalize_advantages
// is TRL's: (A - mean) / (deviation + 1e-4) over the step's rows, with n - 1 in the deviation; their mean is 0 already.
#include <hone/policy_gradient.hpp>

namespace {

class Rloo final : public hone::PolicyGradient {
 public:
  float reward_beta = 0;
  bool normalize_advantages = false;

  Rloo() { aggregation = "sequence-mean-token-mean"; }  // so that a row's shares add up to 1 / rows

  static auto params() {
    return std::tuple_cat(
        hone::params(hone::param("beta", &Rloo::reward_beta, "weight of the KL penalty in the reward; 0: none, and no reference model", {.min = 0}),
                     hone::param("normalize_advantages", &Rloo::normalize_advantages, "divide advantages by their deviation over the step")),
        clip_params(), loss_params());
  }

  uint64_t needs() const override { return PolicyGradient::needs() | (reward_beta > 0 ? HONE_LOGP_REF : 0); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    std::vector<double> all;
    for (const hone::Group &group : batch.groups()) {
      std::vector<double> reward;
      for (const hone::Row &row : group.rows) reward.push_back(row.reward - penalty(batch, row));
      const hone::Spread spread = hone::spread_of(reward);
      const double n = double(reward.size());
      for (const double r : reward) all.push_back(spread.deviation > 0 ? n / (n - 1) * (r - spread.mean) : 0);
    }
    const double deviation = normalize_advantages ? hone::spread_of(all).sample_deviation() + 1e-4 : 1;
    for (size_t i = 0; i < all.size(); ++i) hone::fill_row(out, batch.rows()[i], all[i] / deviation);
  }

 protected:
  double surrogate(const hone::Batch &batch, const hone::Row &row, std::span<const double> share, std::span<double> slope) const override {
    return sequence_surrogate(batch, row, false, share, slope);
  }

 private:
  double penalty(const hone::Batch &batch, const hone::Row &row) const {
    double sum = 0;
    if (reward_beta > 0)
      for (uint32_t t = row.begin; t < row.end; ++t) sum += double(batch->logp_old[t]) - batch->logp_ref[t];
    return reward_beta * sum;
  }
};

}  // namespace

HONE_PLUGIN("hone.rloo", "2.0.0",
            hone::component<Rloo>("rloo", "REINFORCE with the mean of the group's other rewards as baseline."));
