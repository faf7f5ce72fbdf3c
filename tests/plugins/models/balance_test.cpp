// balance_test.cpp -- the bias that balances DeepSeek-V3's experts (section 2.1.2), and YaRN's frequencies.
#include <gtest/gtest.h>

#include <algorithm>

#include "plugins/models/shared/rope.hpp"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

TEST(ExpertBalance, MovesTheBiasAgainstTheLoadByItsSpeed) {
  nlohmann::json config = deepseek_config();
  config["bias_update_speed"] = 0.25;
  const auto weights = random_weights(architecture("deepseek_moe", config), 1);
  std::vector<float *> buffers;
  std::vector<std::vector<float>> before;
  std::vector<float *> balance;
  for (uint32_t i = 0; i < weights->architecture().parameters().size(); ++i) {
    const bool buffer = weights->parameters()[i].flags & HONE_PARAMETER_BUFFER;
    buffers.push_back(buffer ? weights->parameter(i) : nullptr);
    if (!buffer) continue;
    balance.push_back(weights->parameter(i));
    before.emplace_back(weights->parameter(i), weights->parameter(i) + 8);
  }
  ASSERT_EQ(balance.size(), 2u);
  const uint64_t count[16] = {10, 10, 10, 10, 10, 10, 10, 10, 0, 20, 10, 11, 9, 10, 10, 10};
  const hone_step_counts counts{sizeof(hone_step_counts), 2, 8, count};
  hone_error error{};
  const Architecture &shape = weights->architecture();
  ASSERT_EQ(shape.methods().end_step(shape.self(), &counts, buffers.data(), &error), HONE_OK) << error.text;
  const float moved[8] = {0.25f, -0.25f, 0, -0.25f, 0.25f, 0, 0, 0};
  for (int e = 0; e < 8; ++e) {
    EXPECT_EQ(balance[0][e], before[0][e]);
    EXPECT_EQ(balance[1][e], before[1][e] + moved[e]);
  }
}

TEST(ExpertBalance, EvensTheLoadOverSteps) {
  nlohmann::json config = deepseek_config();
  config.update({{"bias_update_speed", 0.02}, {"n_group", 1}, {"topk_group", 1}});
  const auto weights = random_weights(architecture("deepseek_moe", config), 1);
  const Rows rows = random_rows({100, 100}, 37, 1);
  Tape tape(kernels(), Pool::serial_stream());
  const Architecture &shape = weights->architecture();
  std::vector<float *> buffers;
  for (uint32_t i = 0; i < shape.parameters().size(); ++i)
    buffers.push_back(shape.parameters()[i].flags & HONE_PARAMETER_BUFFER ? weights->parameter(i) : nullptr);
  const auto spread = [&] {
    tape.reset_expert_counts();
    tape.forward(*weights, rows.packed(), false);
    const auto [least, most] = std::minmax_element(tape.expert_counts().begin(), tape.expert_counts().end());
    return *most - *least;
  };
  const uint64_t first = spread();
  for (int step = 0; step < 100; ++step) {
    spread();
    const hone_step_counts counts{sizeof(hone_step_counts), 2, 8, tape.expert_counts().data()};
    hone_error error{};
    ASSERT_EQ(shape.methods().end_step(shape.self(), &counts, buffers.data(), &error), HONE_OK);
  }
  EXPECT_GT(first, 40u);
  EXPECT_LT(spread(), first / 2);
}

// Between DeepSeek-V3's published limits, short waves stay and long ones are slowed forty times.
TEST(RopeScaling, YarnKeepsShortWavesAndSlowsLongOnes) {
  const std::string scaling =
      R"({"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0})";
  const Rope rope = make_rope({64, 10000, scaling, 163840}), plain = make_rope({64, 10000, "{}", 163840});
  ASSERT_EQ(rope.inverse_frequency.size(), 32u);
  for (int i = 0; i < 32; ++i) {
    const double ratio = plain.inverse_frequency[i] / rope.inverse_frequency[i];
    if (i <= 10)
      EXPECT_NEAR(ratio, 1, 1e-5) << i;  // floor of 10.4: waves that turn 32 times or more in 4,096 positions
    else if (i >= 23)
      EXPECT_NEAR(ratio, 40, 1e-3) << i;  // ceiling of 22.5: that turn less than once
    else
      EXPECT_TRUE(ratio > 1 && ratio < 40) << i;
  }
  EXPECT_EQ(rope.magnitude, 1);
  EXPECT_NEAR(rope.score_factor, std::pow(0.1 * std::log(40) + 1, 2), 1e-5);
}

}  // namespace
}  // namespace hone::test
