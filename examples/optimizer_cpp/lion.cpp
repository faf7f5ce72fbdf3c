// lion.cpp -- Lion, "Symbolic discovery of optimization algorithms", arXiv 2302.06675, algorithm 2.
//
//   c = beta1 m + (1 - beta1) g        p = p - learning_rate (sign(c) + weight_decay p)        m = beta2 m + (1 - beta2) g
#include <hone/optimizer.hpp>

namespace {

class Lion final : public hone::Optimizer {
 public:
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.99, weight_decay = 0;

  static auto params() {
    return hone::params(hone::param("learning_rate", &Lion::learning_rate, "before the schedule", {.min = 0}),
                        hone::param("beta1", &Lion::beta1, "share of the momentum in the direction", {.min = 0, .max = 1}),
                        hone::param("beta2", &Lion::beta2, "share of the momentum that is kept", {.min = 0, .max = 1}),
                        hone::param("weight_decay", &Lion::weight_decay, "decoupled, of matrices only", {.min = 0}));
  }

  uint32_t states() const override { return 1; }

  void update(const hone::Update &update, const hone::Span &span) const override {
    const double rate = learning_rate * update.learning_rate_factor, decay = span.decay ? weight_decay : 0;
    for (uint64_t i = 0; i < span.size; ++i) {
      float &m = span.state[0][i], &p = span.parameter[i];
      const double g = span.gradient[i] * update.gradient_scale, c = beta1 * m + (1 - beta1) * g;
      const double sign = c > 0 ? 1 : c < 0 ? -1 : 0;
      p = static_cast<float>(p - rate * (sign + decay * p));
      m = static_cast<float>(beta2 * m + (1 - beta2) * g);
    }
  }
};

}  // namespace

HONE_PLUGIN("org.example.lion", "1.0.0", hone::component<Lion>("lion", "sign of a momentum (Chen et al., 2023)"));
