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

}  // namespace
}  // namespace hone
