// rloo.cpp -- REINFORCE with a leave-one-out baseline: Ahmadian et al., arXiv 2402.14740, section 3.2.
//
//   R_i  = r_i - beta sum_t (log p - log p_ref)             the KL penalty is part of the reward
//   A_i  = R_i - mean of the other R_j = G / (G - 1) (R_i - mean R)
//   loss = - mean over rows of min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A)      ratio = p(y) / p_old(y)
//
// A whole response is one action: its ratio is that of the sequence, and the first update is exactly REINFORCE's.
#include <algorithm>
#include <cmath>
#include <hone/objective.hpp>
#include <vector>

namespace {

class Rloo final : public hone::Objective {
 public:
  float epsilon = 0.2f;
  float beta = 0;

  static auto params() {
    return hone::params(
        hone::param("epsilon", &Rloo::epsilon, "how far the ratio of a response may move from 1", {.min = 0, .max = 1}),
        hone::param("beta", &Rloo::beta, "weight of the KL penalty in the reward; 0: none, and no reference model",
                    {.min = 0}));
  }

  uint64_t needs() const override { return HONE_LOGP_OLD | (beta > 0 ? HONE_LOGP_REF : 0); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Group &group : batch.groups()) {
      std::vector<double> reward;
      for (const hone::Row &row : group.rows) reward.push_back(row.reward - penalty(batch, row));
      const double n = double(reward.size());
      // Equal rewards give exactly nothing: rounding must not invent a spread where there is none.
      const bool equal = std::all_of(reward.begin(), reward.end(), [&](double r) { return r == reward[0]; });
      double mean = 0;
      for (double r : reward) mean += r / n;
      for (size_t i = 0; i < reward.size(); ++i) {
        const hone::Row &row = group.rows[i];
        const double A = equal ? 0 : n / (n - 1) * (reward[i] - mean);
        std::fill(out.advantage + row.begin, out.advantage + row.end, static_cast<float>(A));
      }
    }
  }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    double total = 0;
    for (const hone::Row &row : batch.rows()) {
      if (row.size() == 0) continue;
      double moved = 0;
      for (uint32_t t = row.begin; t < row.end; ++t)
        moved += batch->weight[t] * (double(batch->logp[t]) - batch->logp_old[t]);
      if (batch->advantage[row.begin] == 0) {  // nothing to learn, however far the policy has moved (and inf * 0 is no number)
        std::fill(out.dlogp + row.begin, out.dlogp + row.end, 0.0f);
        continue;
      }
      const double A = batch->advantage[row.begin], share = 1.0 / double(batch->all_rows), ratio = std::exp(moved);
      const double clipped = std::clamp(ratio, 1.0 - epsilon, 1.0 + epsilon);
      const bool moves = ratio * A <= clipped * A;  // else the clip is flat and gives no gradient
      total -= share * std::min(ratio * A, clipped * A);
      for (uint32_t t = row.begin; t < row.end; ++t)
        out.dlogp[t] = moves ? static_cast<float>(-share * ratio * A * batch->weight[t]) : 0.0f;
    }
    return total;
  }

 private:
  double penalty(const hone::Batch &batch, const hone::Row &row) const {
    double sum = 0;
    if (beta > 0)
      for (uint32_t t = row.begin; t < row.end; ++t) sum += double(batch->logp[t]) - batch->logp_ref[t];
    return beta * sum;
  }
};

}  // namespace

HONE_PLUGIN("hone.rloo", "1.0.0",
            hone::component<Rloo>("rloo", "REINFORCE with the mean of the group's other rewards as baseline."));
