// adamw.cpp -- Adam with decoupled weight decay: Loshchilov & Hutter, arXiv 1711.05101, algorithm 2, in PyTorch's
// order.
//
//   p <- p - lr wd p                      (matrices only: the host says which)
//   m <- m + (1 - beta1) (g - m)          v <- beta2 v + (1 - beta2) g^2
//   p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
#include <cmath>
#include <hone/optimizer.hpp>

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
    const double rate = learning_rate * update.learning_rate_factor, t = static_cast<double>(update.step);
    const float scale = static_cast<float>(update.gradient_scale);
    const float keep = static_cast<float>(1 - (span.decay ? rate * weight_decay : 0));
    const float to_mean = static_cast<float>(1 - beta1), old_square = static_cast<float>(beta2),
                new_square = static_cast<float>(1 - beta2);
    const float step = static_cast<float>(rate / (1 - std::pow(beta1, t)));
    const float root = static_cast<float>(std::sqrt(1 - std::pow(beta2, t))), least = static_cast<float>(epsilon);
    float *__restrict parameter = span.parameter, *__restrict mean = span.state[0], *__restrict square = span.state[1];
    const float *__restrict gradient = span.gradient;
    for (uint64_t i = 0; i < span.size; ++i) {
      const float g = gradient[i] * scale;
      const float m = mean[i] + to_mean * (g - mean[i]);
      const float v = old_square * square[i] + new_square * (g * g);
      mean[i] = m;
      square[i] = v;
      parameter[i] = keep * parameter[i] - step * m / (std::sqrt(v) / root + least);
    }
  }
};

}  // namespace

HONE_PLUGIN("hone.adamw", "1.0.0",
            hone::component<AdamW>("adamw", "Adam with decoupled weight decay and bias correction."));
