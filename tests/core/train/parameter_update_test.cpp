// parameter_update_test.cpp -- what an optimizer of whole matrices is told of each: its shape, and whether it is an embedding or a head.
#include "core/train/parameter_update.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "tests/support/tiny_model.h"

namespace hone {
namespace {

struct Told {
  uint64_t spans = 0, rows = 0, columns = 0;
  uint32_t flags = 0;
  bool operator==(const Told &) const = default;
};
struct Recorder {
  std::mutex mutex;
  std::map<std::string, Told> told;
};

std::map<std::string, Told> told_of(Weights &weights) {
  hone_optimizer recording{};
  recording.struct_size = sizeof recording;
  recording.n_states = [](void *) { return 0u; };
  recording.granularity = [](void *) { return uint32_t{HONE_WHOLE_MATRIX}; };
  recording.update = [](void *self, const hone_update *, const hone_span *spans, uint32_t n, hone_error *) {
    auto &recorder = *static_cast<Recorder *>(self);
    std::lock_guard lock(recorder.mutex);
    for (uint32_t i = 0; i < n; ++i) {
      Told &told = recorder.told[std::string(spans[i].name.data, spans[i].name.size)];
      told = {told.spans + 1, spans[i].rows, spans[i].columns, spans[i].flags};
      EXPECT_EQ(spans[i].size, spans[i].rows ? spans[i].rows * spans[i].columns : spans[i].size);
    }
    return int32_t{HONE_OK};
  };
  Recorder recorder;
  Pool pool(2);
  const std::vector<float> gradient(weights.trained_size());
  ParameterUpdate(kernels(), weights, recording, &recorder).apply(pool, weights, gradient.data(), 1, 1);
  return recorder.told;
}

constexpr uint32_t kDecay = HONE_SPAN_DECAY, kEmbedding = HONE_SPAN_EMBEDDING, kHead = HONE_SPAN_HEAD;

TEST(ParameterUpdate, TellsEmbeddingsHeadsAndExpertsFromOtherMatrices) {
  Pool pool(1);
  const Host host(pool, 1);
  const auto told = told_of(*tiny_weights(host, "deepseek_moe", 1, true));
  EXPECT_EQ(told.at("model.embed_tokens.weight"), (Told{1, 37, 24, kDecay | kEmbedding}));
  EXPECT_EQ(told.at("lm_head.weight"), (Told{1, 37, 24, kDecay | kHead}));
  EXPECT_EQ(told.at("score.weight"), (Told{1, 1, 24, kHead}));
  EXPECT_EQ(told.at("model.layers.1.mlp.experts.{}.up_proj.weight"), (Told{4, 16, 24, kDecay}));
  EXPECT_EQ(told.at("model.layers.0.mlp.up_proj.weight"), (Told{1, 40, 24, kDecay}));
  EXPECT_EQ(told.at("model.norm.weight"), (Told{1, 0, 0, 0}));
}

TEST(ParameterUpdate, TellsATiedHeadAsBothAndNoAdapterAsEither) {
  Pool pool(1);
  const Host host(pool, 1);
  nlohmann::json config = tiny_architecture(host, "llama")->config();
  config["tie_word_embeddings"] = true;
  std::shared_ptr<Weights> tied = Weights::initialised(std::make_shared<const Architecture>(built_component("model", "llama"), host, config), 1);
  EXPECT_EQ(told_of(*tied).at("model.embed_tokens.weight"), (Told{1, 37, 24, kDecay | kEmbedding | kHead}));

  const LoraSettings lora = lora_settings({{"rank", 3}}, "here");
  const auto adapted = Weights::adapted(tied, lora, lora_targets(tied->architecture(), lora, "here"), 5, true);
  const auto told = told_of(*adapted);
  EXPECT_EQ(told.at("score.weight"), (Told{1, 1, 24, kHead}));
  EXPECT_EQ(told.at("model.layers.0.self_attn.q_proj.lora_A.weight"), (Told{1, 3, 24, kDecay}));
  for (const auto &[name, of] : told) EXPECT_EQ(of.flags, name == "score.weight" ? kHead : kDecay) << name;
}

}  // namespace
}  // namespace hone
