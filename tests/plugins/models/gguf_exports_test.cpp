// gguf_exports_test.cpp -- a model whose settings a GGUF file cannot tell is refused; any other has, read back from the
// file, the log-probs that it had.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <set>

#include "core/base/failure.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_model.h"
#include "core/rollout/packed_pass.h"
#include "tests/core/model/small_gguf.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

std::vector<float> logprobs(const Weights &weights) {
  const Rows rows = random_rows({60, 33}, 20, 5);
  PackedRows packed;
  for (uint32_t r = 0; r < rows.rows(); ++r) {
    std::vector<uint32_t> places;
    for (uint32_t t = 1; t < rows.row(r).size(); ++t) places.push_back(t);
    packed.add(rows.row(r), places, false);
  }
  std::vector<float> out(packed.predicted());
  PackedPass(kernels(), Pool::serial_stream()).forward(weights, packed, 1, {out.data(), nullptr, nullptr, nullptr});
  return out;
}

struct GgufMeaning : testing::Test {
  fs::path path = fs::temp_directory_path() / ("hone-meaning-" + std::to_string(getpid()) + ".gguf");
  GgufVocabulary vocabulary = small_vocabulary();
  Registry registry;
  GgufMeaning() { registry.components_ = {component("llama"), component("deepseek_moe")}; }
  ~GgufMeaning() override { fs::remove(path); }

  // What the export, or the reading of its file, says of the changed model; "": both models have the same log-probs.
  std::string exported(const char *plugin, const json &changes) {
    json config = std::string(plugin) == "llama" ? llama_config() : deepseek_config();
    config.update(changes);
    const auto weights = random_weights(architecture(plugin, config), 3);
    fs::remove(path);
    try {
      save_gguf(path, *weights, vocabulary, "F32");
    } catch (const Failure &failure) {
      EXPECT_FALSE(fs::exists(path));
      return failure.what();
    }
    const LoadedModel back = load_model(path, registry, host());
    back.weights->prepare(pool());
    const std::vector<float> before = logprobs(*weights), after = logprobs(*back.weights);
    for (size_t i = 0; i < before.size(); ++i)
      if (!(std::abs(before[i] - after[i]) <= 1e-5)) {
        ADD_FAILURE() << changes << ": token " << i << " had " << before[i] << " and has " << after[i];
        break;
      }
    return "";
  }
  void expect_refused(const char *plugin, const json &changes, const std::vector<std::string> &words) {
    const std::string said = exported(plugin, changes);
    for (const std::string &word : words) EXPECT_NE(said.find(word), said.npos) << "no \"" << word << "\" in: " << said;
  }
};

json yarn(const json &more) {
  json scaling = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}, {"beta_fast", 4}};
  scaling.update(more);
  return {{"rope_scaling", scaling}};
}

TEST_F(GgufMeaning, IsKeptForEveryWayToChooseExpertsOrTheExportIsRefused) {
  int kept = 0;
  std::set<std::string> refusals;
  for (const char *type : {"deepseek_v2", "deepseek_v3"})
    for (const auto &[gate, method] : {std::pair{"sigmoid", "noaux_tc"},
                                       {"sigmoid", "greedy"},
                                       {"softmax", "greedy"},
                                       {"softmax", "group_limited_greedy"}})
      for (const bool normalise : {false, true})
        for (const double scale : {1.0, 2.5})
          for (const int used : {1, 3}) {
            const std::string said = exported("deepseek_moe", {{"model_type", type},
                                                               {"scoring_func", gate},
                                                               {"topk_method", method},
                                                               {"norm_topk_prob", normalise},
                                                               {"routed_scaling_factor", scale},
                                                               {"num_experts_per_tok", used}});
            kept += said.empty();
            if (!said.empty()) refusals.insert(said);
          }
  EXPECT_GE(kept, 42);
  for (const std::string &said : refusals) EXPECT_TRUE(said.find("has no place in a GGUF file") != said.npos) << said;
  EXPECT_EQ(refusals.size(), 3u) << "a sigmoid without its bias, and a softmax that is normalised: scaled, or over one expert";
}

TEST_F(GgufMeaning, IsKeptForEveryStretchOfPositionsOrTheExportIsRefused) {
  const double usual = 0.1 * std::log(4.0) + 1;
  for (const json &more : {json::object(), json{{"attention_factor", usual}}, json{{"factor", 1.0}},
                           json{{"factor", 1.0}, {"attention_factor", 1.0}}}) {
    EXPECT_EQ(exported("llama", yarn(more)), "") << more;
    EXPECT_EQ(exported("deepseek_moe", yarn(more)), "") << more;
  }
  for (const json &more :
       {json{{"mscale", 1.0}, {"mscale_all_dim", 1.0}}, json{{"mscale", 0.7}, {"mscale_all_dim", 0.7}},
        json{{"mscale", 0.7}, {"mscale_all_dim", 0.7}, {"attention_factor", 1.0}},
        json{{"mscale_all_dim", 0.7}, {"attention_factor", 1.0}}})
    EXPECT_EQ(exported("deepseek_moe", yarn(more)), "") << more;
  for (const char *plugin : {"llama", "deepseek_moe"}) {
    expect_refused(plugin, yarn({{"attention_factor", 1.5}}), {"attention_factor is 1.5", "always means 1.13"});
    expect_refused(plugin, yarn({{"factor", 1.0}, {"attention_factor", 1.5}}), {"attention_factor", "always means 1 "});
    expect_refused(plugin, yarn({{"truncate", false}}), {"truncate is false"});
    expect_refused(plugin, yarn({{"original_max_position_embeddings", 16.5}}), {"original_max_position", "16.5"});
  }
  expect_refused("deepseek_moe", yarn({{"mscale_all_dim", 0.7}}), {"attention_factor is 1.13", "always means 1 "});
  expect_refused("deepseek_moe", yarn({{"mscale", 1.0}, {"mscale_all_dim", 1.0}, {"attention_factor", usual}}),
                 {"attention_factor is 1.13", "always means 1 "});
}

// llama.cpp would scale what it has normalised, and normalise one weight to 1.
TEST_F(GgufMeaning, ThatHonesModelsDoNotHaveIsRefusedWhenRead) {
  ASSERT_EQ(exported("deepseek_moe", {{"model_type", "deepseek_v2"},
                                      {"scoring_func", "softmax"},
                                      {"topk_method", "greedy"},
                                      {"norm_topk_prob", true}}),
            "");
  const std::string good = read_file(path);
  const auto refused = [&](const std::string &key, const auto &value, const std::vector<std::string> &words) {
    std::ofstream(path, std::ios::binary) << with_metadata(good, key, value);
    try {
      config_from_gguf(Gguf(path));
      ADD_FAILURE() << key << " was accepted";
    } catch (const Failure &failure) {
      for (const std::string &word : words)
        EXPECT_NE(std::string(failure.what()).find(word), word.npos) << failure.what();
    }
  };
  refused("deepseek2.expert_weights_scale", 2.5f, {path.string(), "expert_weights_scale\" is 2.5", "must be 1"});
  refused("deepseek2.expert_used_count", uint32_t{1}, {path.string(), "expert_weights_norm", "one expert"});
}

TEST_F(GgufMeaning, OfHalvedRotationIsRefused) {
  expect_refused("deepseek_moe", {{"rope_interleave", false}}, {"rope_interleave is false", "deepseek2"});
}

}  // namespace
}  // namespace hone::test
