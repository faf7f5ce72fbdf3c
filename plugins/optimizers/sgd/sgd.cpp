// sgd.cpp -- stochastic gradient descent with momentum (Polyak 1964), in PyTorch's order.
//
//   g <- g + wd p    (matrices only: the host says which)        b <- momentum b + g        p <- p - lr b
#include <hone/optimizer.hpp>

namespace {

class Sgd final : public hone::Optimizer {
 public:
  double learning_rate = 1e-2, momentum = 0, weight_decay = 0;

  static auto params() {
    return hone::params(
        hone::param("learning_rate", &Sgd::learning_rate, "step size; the schedule multiplies it", {.min = 0}),
        hone::param("momentum", &Sgd::momentum, "how much of the last direction is kept", {.min = 0, .max = 1 - 1e-9}),
        hone::param("weight_decay", &Sgd::weight_decay, "how fast matrices shrink, as a part of the gradient",
                    {.min = 0}));
  }

  uint32_t states() const override { return momentum > 0 ? 1 : 0; }

  void update(const hone::Update &update, const hone::Span &span) const override {
    const float rate = static_cast<float>(learning_rate * update.learning_rate_factor);
    const float scale = static_cast<float>(update.gradient_scale), kept = static_cast<float>(momentum);
    const float decay = span.decay ? static_cast<float>(weight_decay) : 0.0f;
    float *direction = momentum > 0 ? span.state[0] : nullptr;  // zero before the first step, so that b = g then
    for (uint64_t i = 0; i < span.size; ++i) {
      float g = span.gradient[i] * scale + decay * span.parameter[i];
      if (direction) g = direction[i] = kept * direction[i] + g;
      span.parameter[i] -= rate * g;
    }
  }
};

}  // namespace

HONE_PLUGIN("hone.sgd", "1.0.0", hone::component<Sgd>("sgd", "Gradient descent, with momentum if asked for."));
