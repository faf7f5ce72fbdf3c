// adamw.cpp -- Adam with decoupled weight decay, for every parameter; the formula is in shared/adamw.hpp.
#include "../shared/adamw.hpp"

namespace {

class AdamW final : public hone::Optimizer {
 public:
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;

  static auto params() {
    constexpr double below_one = 1 - 1e-9;
    return hone::params(
        hone::param("learning_rate", &AdamW::learning_rate, "step size; the schedule multiplies it", {.min = 0}),
        hone::param("beta1", &AdamW::beta1, "decay of the mean of gradients", {.min = 0, .max = below_one}),
        hone::param("beta2", &AdamW::beta2, "decay of the mean of their squares", {.min = 0, .max = below_one}),
        hone::param("epsilon", &AdamW::epsilon, "added to the root, so that nothing is divided by zero",
                    {.min = 1e-30}),
        hone::param("weight_decay", &AdamW::weight_decay, "how fast matrices shrink, apart from the gradient",
                    {.min = 0}));
  }

  uint32_t states() const override { return 2; }

  void update(const hone::Update &update, const hone::Span &span) const override {
    hone::adamw_step({learning_rate, beta1, beta2, epsilon, weight_decay}, update, span);
  }
};

}  // namespace

HONE_PLUGIN("hone.adamw", "1.0.0",
            hone::component<AdamW>("adamw", "Adam with decoupled weight decay and bias correction."));
