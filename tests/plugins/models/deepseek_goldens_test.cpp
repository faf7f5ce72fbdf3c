// deepseek_goldens_test.cpp -- DeepSeek-V2 and V3, read from checkpoints in Hugging Face's layout, against a PyTorch
// reference that was held to transformers (tests/parity/deepseek.py): log-probs, gradients, multi-token prediction.
#include <gtest/gtest.h>

#include <cmath>

#include "core/rollout/packed_pass.h"
#include "tests/plugins/models/golden.h"

namespace hone::test {
namespace {

constexpr double kMtpWeight = 0.3;  // as deepseek.py

LoadedModel load_golden(const std::string &name) {
  Registry registry;
  registry.components_ = {component("deepseek_moe")};
  LoadedModel model = load_model(golden_folder(name), registry, host());
  model.weights->prepare(pool());
  return model;
}

double norm(const std::vector<float> &x) {
  double sum = 0;
  for (float v : x) sum += double(v) * v;
  return std::sqrt(sum);
}

// Every tensor's gradient within 1e-3 of the reference's, by their norms; tensors without one there have none here.
void expect_gradients(const Weights &weights, const std::vector<float> &gradient, const Expected &expected,
                      const std::string &prefix) {
  auto found = by_tensor(weights, gradient);
  for (const std::string &name : expected.names(prefix)) {
    ASSERT_TRUE(found.contains(name)) << name;
    const std::vector<float> wanted = expected.floats(prefix + name), &got = found[name];
    ASSERT_EQ(got.size(), wanted.size()) << name;
    std::vector<float> difference(got.size());
    for (size_t i = 0; i < got.size(); ++i) difference[i] = got[i] - wanted[i];
    EXPECT_LE(norm(difference), 1e-3 * norm(wanted) + 1e-9) << prefix << name << " of norm " << norm(wanted);
    found.erase(name);
  }
  for (const auto &[name, got] : found) EXPECT_EQ(norm(got), 0) << name << " has a gradient that the reference has not";
}

PackedRows rows_of(const Rows &rows) {
  PackedRows packed;
  for (uint32_t r = 0; r < rows.rows(); ++r) {
    const std::vector<int32_t> row = rows.row(r);
    std::vector<uint32_t> places;
    for (uint32_t t = 1; t < row.size(); ++t) places.push_back(t);
    if (!places.empty()) packed.add(row, places, false);
  }
  return packed;
}

void check(const std::string &name, bool mtp, bool checkpointing = false) {
  const LoadedModel model = load_golden(name);
  const Expected expected(golden_folder(name));
  const PackedRows rows = rows_of(expected.rows());
  const uint32_t depths = mtp ? model.architecture->info().depths : 0;
  PackedPass pass(kernels(), Pool::serial_stream());
  std::vector<float> logp(rows.predicted());
  pass.forward(*model.weights, rows, 1, {logp.data(), nullptr, nullptr, nullptr}, true, checkpointing, nullptr, nullptr,
               depths);
  const std::vector<float> wanted = expected.floats("logprobs");
  ASSERT_EQ(logp.size(), wanted.size());
  for (size_t i = 0; i < logp.size(); ++i) EXPECT_NEAR(logp[i], wanted[i], 2e-5) << name << " token " << i;

  const float share = 1 / static_cast<float>(logp.size());
  const std::vector<float> dlogp(logp.size(), -share);
  std::vector<std::vector<float>> dlogp_ahead;
  if (mtp) {
    const std::vector<float> all = expected.floats("mtp.logprobs");
    size_t at = 0;
    for (const PackedPass::Ahead &depth : pass.ahead()) {
      for (size_t i = 0; i < depth.logp.size(); ++i, ++at)
        EXPECT_NEAR(depth.logp[i], all.at(at), 2e-5) << name << " number " << at << " ahead";
      dlogp_ahead.emplace_back(depth.logp.size(), static_cast<float>(-kMtpWeight / depths * share));
    }
    EXPECT_EQ(at, all.size());
  }
  std::vector<float> gradient(model.weights->trained_size());
  pass.backward(*model.weights, rows, 1, {dlogp.data(), nullptr, nullptr, nullptr}, gradient.data(), 0, nullptr,
                nullptr, dlogp_ahead);
  expect_gradients(*model.weights, gradient, expected, mtp ? "mtp.gradient." : "gradient.");
}

TEST(DeepseekGoldens, V3WithQueryLatentGroupsAndYarn) { check("deepseek_v3_mtp", false); }
TEST(DeepseekGoldens, V3WithBiasesHalvedRotationAndTiedHead) { check("deepseek_v3_plain", false); }
TEST(DeepseekGoldens, V2WithGroupLimitedSoftmaxAndMscale) { check("deepseek_v2", false); }
TEST(DeepseekGoldens, V3FromBlocksOfFp8) { check("deepseek_v3_fp8", false); }

TEST(DeepseekGoldens, V2LiteWithGreedySoftmaxAndBiases) { check("deepseek_v2_lite", false); }
TEST(DeepseekGoldens, V3WithTheLossOfMultiTokenPrediction) {
  check("deepseek_v3_mtp", true);
  check("deepseek_v3_mtp", true, true);
}

// What transformers leaves out of config.json is what its classes say of the model_type.
TEST(DeepseekGoldens, KeysThatAreLeftOutMeanWhatTheirTypeSays) {
  const LoadedModel v2 = load_golden("deepseek_v2"), v3 = load_golden("deepseek_v3_plain");
  EXPECT_EQ(v2.architecture->config()["scoring_func"], "softmax");
  EXPECT_EQ(v3.architecture->config()["scoring_func"], "sigmoid");
  EXPECT_EQ(v3.architecture->config()["topk_method"], "noaux_tc");
  EXPECT_EQ(v3.architecture->config()["q_lora_rank"], 0) << "null is none";
}

TEST(DeepseekGoldens, AModelWithoutTheLayersThatItsConfigTellsOfIsLoadedWithoutThem) {
  const LoadedModel with = load_golden("deepseek_v3_mtp"), without = load_golden("deepseek_v3_plain");
  EXPECT_EQ(with.architecture->info().depths, 1u);
  EXPECT_EQ(without.architecture->info().depths, 0u);
  EXPECT_EQ(without.architecture->config()["num_nextn_predict_layers"], 0);
}

}  // namespace
}  // namespace hone::test
