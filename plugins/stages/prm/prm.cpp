// prm.cpp -- a process reward model: how likely each step of a response leads to a right answer. Lightman et al., arXiv 2305.20050;
// Math-Shepherd, arXiv 2312.08935, eq. 3, whose labels may be hard (0 or 1) or soft (a share of roll-outs).
//
//   loss = mean over step ends of  - y log sigmoid(v) - (1 - y) log(1 - sigmoid(v))
//
// v is the value head after the token that ends a step, and y the step_reward there; NaN marks tokens that end none.
#include <hone/objective.hpp>

namespace {

class Prm final : public hone::Objective {
 public:
  static auto params() { return hone::params(); }

  uint32_t source() const override { return HONE_ROWS; }
  uint64_t needs() const override { return HONE_VALUE | HONE_STEP_REWARD; }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    if (!(batch->all_weight > 0)) return 0;  // every step has weight 0: there is nothing to learn from
    double total = 0;
    for (uint32_t t = 0; t < batch->n_tokens; ++t) {
      const double label = batch->step_reward[t];
      if (std::isnan(label)) continue;
      if (label < 0 || label > 1) throw hone::Error("a step's label is " + std::to_string(label) + "; it must be from 0 to 1");
      const double share = batch->weight[t] / batch->all_weight;
      const hone::LogisticLoss right = hone::logistic_loss(batch->value[t]), wrong = hone::logistic_loss(-double(batch->value[t]));
      total += share * (label * right.value + (1 - label) * wrong.value);
      out.dvalue[t] = static_cast<float>(share * (label * right.slope - (1 - label) * wrong.slope));
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("hone.prm", "1.0.0", hone::component<Prm>("prm", "A process reward model from labelled steps."));
