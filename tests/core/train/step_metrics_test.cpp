// step_metrics_test.cpp -- the metrics of a step against their definitions, token by token.
#include "core/train/step_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/built_component.h"

namespace hone {
namespace {

// The tokens are the old policy's, so its KL to the new one is estimated by r - 1 - log r, r = p / p_old: one that was pushed far down
// counts for about as much as its log-probability fell, not for its exponential.
TEST(StepMetrics, ApproximateKlIsThatFromThePolicyThatSampled) {
  Pool pool{1};
  const Host host{pool, 1};
  const BuiltInstance stage(host, "stage", "grpo");
  const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "grpo");
  TrainRow row;
  row.ids = {0, 0, 0, 0};
  row.logp_old = {-1, -1, -1};
  ObjectiveColumns columns = columns_of({row}, HONE_ON_POLICY);
  columns.logp = {-9, -1, -0.5f};
  columns.advantage = {1, 0, 1}, columns.dlogp = {0, 0, -1};
  StepMetrics metrics;
  metrics.add(columns, objective);
  std::map<std::string, double> told;
  metrics.put(told);
  double expected = 0, ratio = 0;
  for (const double moved : {-8.0, 0.0, 0.5}) expected += (std::exp(moved) - 1 - moved) / 3, ratio += std::exp(moved) / 3;
  EXPECT_NEAR(told.at("approx_kl"), expected, 1e-9);
  EXPECT_NEAR(told.at("ratio/mean"), ratio, 1e-9);
  EXPECT_NEAR(told.at("clip_ratio/region_mean"), 1.0 / 3, 1e-12);
}

TEST(StepMetrics, AnExactKlIsToldRatherThanAnEstimateOfIt) {
  hone_objective methods{};
  methods.struct_size = sizeof methods;
  methods.source = [](void *) -> uint32_t { return HONE_ON_POLICY; };
  methods.needs = [](void *) -> uint64_t { return HONE_KL | HONE_LOGP_REF; };
  TrainRow row;
  row.ids = {0, 0, 0};
  row.logp_ref = {-1, -2};
  ObjectiveColumns columns = columns_of({row}, HONE_ON_POLICY);
  columns.logp = {-3, -1}, columns.kl = {0.25f, 0.75f};
  StepMetrics metrics;
  metrics.add(columns, ObjectiveCalls(methods, nullptr, "an objective"));
  std::map<std::string, double> told;
  metrics.put(told);
  EXPECT_EQ(told.at("kl"), 0.5);
}

}  // namespace
}  // namespace hone
