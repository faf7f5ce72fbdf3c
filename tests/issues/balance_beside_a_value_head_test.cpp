// balance_beside_a_value_head_test.cpp -- a model with experts and a value head had its experts' balance written over
// the value head: end_step was given the buffers' places in weights without one.
#include <gtest/gtest.h>

#include <cstring>

#include "core/train/trainer.h"
#include "tests/support/tiny_model.h"

namespace hone {

TEST(Trainer, BalancesExpertsBesideAValueHead) {
  Pool pool(1);
  const Host host(pool, 1);
  const auto weights = tiny_weights(host, "deepseek_moe", 1, true);
  const BuiltInstance objective(host, "stage", "reward_model"),
      optimizer(host, "optimizer", "sgd", {{"learning_rate", 0.0}});
  Trainer trainer(kernels(), pool, *weights, objective.methods<hone_objective>(), objective.self(),
                  optimizer.methods<hone_optimizer>(), optimizer.self(), {});
  std::vector<TrainRow> rows(2);
  rows[0].ids = {1, 2, 3, 4, 5}, rows[1].ids = {1, 2, 3, 9, 9};
  rows[0].chosen = true;
  const std::vector<float> before(weights->data(), weights->data() + weights->total_size());
  trainer.step(rows, 1);
  bool balanced = false;
  for (const ParameterInfo &parameter : weights->parameters()) {
    const bool same = std::memcmp(weights->data() + parameter.offset, before.data() + parameter.offset,
                                  parameter.size * sizeof(float)) == 0;
    if (parameter.flags & HONE_PARAMETER_BUFFER)
      balanced = balanced || !same;
    else
      EXPECT_TRUE(same) << parameter.name << " moved at a learning rate of 0";
  }
  EXPECT_TRUE(balanced);
}

}  // namespace hone
