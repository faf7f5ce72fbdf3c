// reward_model.cpp -- a reward model from preferences: Bradley & Terry, Biometrika 1952; Ouyang et al., arXiv
// 2203.02155, section 3.5; the margin of Llama 2, arXiv 2307.09288, section 3.2.2; centred as in arXiv 2312.09244,
// section 2.1.
//
//   loss = mean over pairs of  -log sigmoid(v_chosen - v_rejected - margin) + c (v_chosen + v_rejected)^2
//
// v is the value head at the last token of a response.
#include <hone/objective.hpp>

namespace {

class RewardModel final : public hone::Objective {
 public:
  float center_rewards_coefficient = 0;

  static auto params() {
    return hone::params(hone::param("center_rewards_coefficient", &RewardModel::center_rewards_coefficient,
                                    "weight of the term that keeps rewards around 0; 0.01 is usual", {.min = 0}));
  }

  uint32_t source() const override { return HONE_PAIRS; }
  uint64_t needs() const override { return HONE_VALUE; }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    const double share = 1.0 / double(batch->all_groups), c = center_rewards_coefficient;
    double total = 0;
    for (const hone::Pair &pair : batch.pairs()) {
      if (pair.chosen.size() == 0 || pair.rejected.size() == 0) throw hone::Error("a response of a pair has no tokens");
      const uint32_t chosen = pair.chosen.end - 1, rejected = pair.rejected.end - 1;
      const double good = batch->value[chosen], bad = batch->value[rejected];
      const hone::LogisticLoss prefer = hone::logistic_loss(good - bad - batch->margin[pair.chosen.index]);
      total += share * (prefer.value + c * (good + bad) * (good + bad));
      out.dvalue[chosen] = static_cast<float>(share * (prefer.slope + 2 * c * (good + bad)));
      out.dvalue[rejected] = static_cast<float>(share * (-prefer.slope + 2 * c * (good + bad)));
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("hone.reward_model", "1.0.0",
            hone::component<RewardModel>("reward_model",
                                         "A value per response from pairs of preferences (Bradley-Terry)."));
