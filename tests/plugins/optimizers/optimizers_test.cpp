// optimizers_test.cpp -- adamw and sgd against the same formulas in double, over many steps.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/base/failure.h"
#include "hone/ext/optimizer.h"
#include "tests/plugins/optimizers/made_up_numbers.h"
#include "tests/support/built_component.h"

namespace hone {
namespace {

struct OptimizerTest : testing::Test {
  Pool pool{1};
  Host host{pool, 1};

  struct Run {
    std::vector<float> parameter;
    std::vector<std::vector<float>> state;
  };

  // Updates n parameters for some steps, in pieces of `piece`.
  static Run run(const BuiltInstance &optimizer, size_t n, int steps, size_t piece, bool decay, double factor,
                 double scale) {
    const auto methods = optimizer.methods<hone_optimizer>();
    Run run{numbers(n, 7, 1), {}};
    run.state.assign(methods.n_states(optimizer.self()), std::vector<float>(n, 0));
    for (int step = 1; step <= steps; ++step) {
      const std::vector<float> gradient = numbers(n, 100 + step, 0.1f);
      std::vector<hone_span> spans;
      std::vector<std::vector<float *>> states;
      for (size_t from = 0; from < n; from += piece) {
        std::vector<float *> &state = states.emplace_back();
        for (auto &s : run.state) state.push_back(s.data() + from);
        hone_span span{};
        span.struct_size = sizeof span;
        span.flags = decay ? HONE_SPAN_DECAY : 0;
        span.name = {"w", 1};
        span.size = std::min(piece, n - from);
        span.parameter = run.parameter.data() + from;
        span.gradient = gradient.data() + from;
        span.state = state.data();
        spans.push_back(span);
      }
      const hone_update update{sizeof update, sizeof(hone_span), static_cast<uint64_t>(step), factor, scale};
      hone_error error{};
      check_call(methods.update(optimizer.self(), &update, spans.data(), static_cast<uint32_t>(spans.size()), &error),
                 error, "optimizer");
    }
    return run;
  }
};

TEST_F(OptimizerTest, AdamwFollowsTheFormulaInDouble) {
  for (const bool decay : {false, true}) {
    const double rate = 3e-3, b1 = 0.9, b2 = 0.95, epsilon = 1e-8, wd = 0.1, factor = 0.7, scale = 0.5;
    const BuiltInstance adamw(host, "optimizer", "adamw",
                              {{"learning_rate", rate}, {"beta1", b1}, {"beta2", b2}, {"weight_decay", wd}});
    const size_t n = 501;
    const Run got = run(adamw, n, 25, n, decay, factor, scale);
    const std::vector<float> start = numbers(n, 7, 1);
    std::vector<double> p(start.begin(), start.end()), m(n, 0), v(n, 0);
    for (int t = 1; t <= 25; ++t) {
      const std::vector<float> gradient = numbers(n, 100 + t, 0.1f);
      for (size_t i = 0; i < n; ++i) {
        const double g = scale * gradient[i];
        if (decay) p[i] *= 1 - factor * rate * wd;
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        const double m_hat = m[i] / (1 - std::pow(b1, t)), v_hat = v[i] / (1 - std::pow(b2, t));
        p[i] -= factor * rate * m_hat / (std::sqrt(v_hat) + epsilon);
      }
    }
    for (size_t i = 0; i < n; ++i) ASSERT_NEAR(got.parameter[i], p[i], 2e-6) << i << " decay " << decay;
  }
}

TEST_F(OptimizerTest, AdamwMovesByTheLearningRateInItsFirstStep) {
  const BuiltInstance adamw(host, "optimizer", "adamw", {{"learning_rate", 0.25}, {"weight_decay", 0.0}});
  const Run got = run(adamw, 64, 1, 64, false, 1, 1);
  const std::vector<float> start = numbers(64, 7, 1), gradient = numbers(64, 101, 0.1f);
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(got.parameter[i] - start[i], gradient[i] > 0 ? -0.25 : 0.25, 1e-5) << i;
}

TEST_F(OptimizerTest, SgdFollowsTheFormulaInDouble) {
  for (const double momentum : {0.0, 0.9})
    for (const bool decay : {false, true}) {
      const BuiltInstance sgd(host, "optimizer", "sgd",
                              {{"learning_rate", 0.05}, {"momentum", momentum}, {"weight_decay", 0.2}});
      const size_t n = 333;
      const Run got = run(sgd, n, 20, n, decay, 0.5, 0.25);
      const std::vector<float> start = numbers(n, 7, 1);
      std::vector<double> p(start.begin(), start.end()), b(n, 0);
      for (int t = 1; t <= 20; ++t) {
        const std::vector<float> gradient = numbers(n, 100 + t, 0.1f);
        for (size_t i = 0; i < n; ++i) {
          const double g = 0.25 * gradient[i] + (decay ? 0.2 * p[i] : 0);
          b[i] = momentum * b[i] + g;
          p[i] -= 0.05 * 0.5 * b[i];
        }
      }
      for (size_t i = 0; i < n; ++i) ASSERT_NEAR(got.parameter[i], p[i], 2e-6) << i << " momentum " << momentum;
    }
}

TEST_F(OptimizerTest, PiecesDoNotChangeABit) {
  for (const char *name : {"adamw", "sgd"}) {
    nlohmann::json settings = {{"weight_decay", 0.1}};
    if (std::string(name) == "sgd") settings["momentum"] = 0.9;
    const BuiltInstance optimizer(host, "optimizer", name, settings);
    const Run whole = run(optimizer, 1003, 5, 1003, true, 1, 0.3);
    for (size_t piece : {1, 7, 16, 500}) {
      const Run cut = run(optimizer, 1003, 5, piece, true, 1, 0.3);
      EXPECT_EQ(0, std::memcmp(whole.parameter.data(), cut.parameter.data(), 1003 * sizeof(float))) << name << piece;
    }
  }
}

TEST_F(OptimizerTest, SettingsOutsideTheirRangeAreRefused) {
  for (const nlohmann::json &settings : {nlohmann::json{{"learning_rate", -1}}, nlohmann::json{{"beta1", 1.0}},
                                         nlohmann::json{{"epsilon", 0.0}}, nlohmann::json{{"learning_rat", 1}}})
    EXPECT_THROW(BuiltInstance(host, "optimizer", "adamw", settings), Failure) << settings;
}

}  // namespace
}  // namespace hone
