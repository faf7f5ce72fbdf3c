// my_plugin.cpp -- an optimizer: gradient descent with momentum.
//
//   m = momentum m + g        p = p - learning_rate m
#include <hone/optimizer.hpp>

namespace {

class MyPlugin final : public hone::Optimizer {
 public:
  double learning_rate = 1e-2, momentum = 0.9;

  static auto params() {
    return hone::params(hone::param("learning_rate", &MyPlugin::learning_rate, "before the schedule", {.min = 0}),
                        hone::param("momentum", &MyPlugin::momentum, "share of the last step that is kept", {.min = 0, .max = 1}));
  }

  uint32_t states() const override { return 1; }

  void update(const hone::Update &update, const hone::Span &span) const override {
    const auto rate = static_cast<float>(learning_rate * update.learning_rate_factor);
    const auto keep = static_cast<float>(momentum), scale = static_cast<float>(update.gradient_scale);
    for (uint64_t i = 0; i < span.size; ++i) {
      float &m = span.state[0][i];
      m = keep * m + scale * span.gradient[i];
      span.parameter[i] -= rate * m;
    }
  }
};

}  // namespace

HONE_PLUGIN("org.example.my_plugin", "0.1.0", hone::component<MyPlugin>("my_plugin", "gradient descent with momentum"));
