// wrong_optimizer.cpp -- an optimizer that keeps state of its own (CASE_own_state), or is right.
#include <hone/optimizer.hpp>

#include <atomic>

namespace {

class Wrong final : public hone::Optimizer {
 public:
  float learning_rate = 0.1f;
  static auto params() { return hone::params(hone::param("learning_rate", &Wrong::learning_rate, "size of a step", {.min = 0, .max = 10})); }
  uint32_t states() const override { return 1; }
  void update(const hone::Update &update, const hone::Span &span) const override {
    float rate = learning_rate * static_cast<float>(update.learning_rate_factor);
#ifdef CASE_own_state
    rate *= static_cast<float>(++calls_);
#endif
    for (uint64_t i = 0; i < span.size; ++i) {
      span.state[0][i] = 0.9f * span.state[0][i] + static_cast<float>(update.gradient_scale) * span.gradient[i];
      span.parameter[i] -= rate * span.state[0][i];
    }
  }

 private:
  [[maybe_unused]] mutable std::atomic<int> calls_{0};
};

}  // namespace

HONE_PLUGIN("org.example.wrong", "1.0.0", hone::component<Wrong>("momentum", "gradient descent with momentum"));
