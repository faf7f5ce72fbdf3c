// depths_test.cpp -- model directories with layers of multi-token prediction, whole, in part and without.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/model/opened_model.h"
#include "core/model/safetensors.h"
#include "core/model/type_defaults.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

struct Depths : testing::Test {
  Depths() {
    nlohmann::json config = deepseek_config();
    config["num_nextn_predict_layers"] = 1;
    weights = random_weights(architecture("deepseek_moe", config), 3);
    save_model(folder, *weights, *word_tokenizer());
  }

  std::string load() {
    return refusal_of([&] { loaded = load_model(folder, registry, host()); });
  }
  // Writes the tensors again without those that `drop` names by a part of theirs, and with the first number of `spoil`
  // changed.
  void rewrite(const std::vector<std::string> &drop, const std::string &spoil = "") {
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> tensors;
    {
      const Safetensors file(folder / "model.safetensors");
      for (const auto &[name, view] : file.tensors()) {
        bool dropped = false;
        for (const std::string &part : drop) dropped = dropped || name.find(part) != name.npos;
        if (dropped) continue;
        values.emplace_back(view.bytes / 4);
        file.read_floats(name, values.back().data(), values.back().size());
        if (name == spoil) values.back()[0] += 1;
        tensors.push_back({name, "F32", view.shape, nullptr, view.bytes});
      }
    }
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i].data = values[i].data();
    write_safetensors(folder / "model.safetensors", tensors);
  }

  const ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path;
  Registry registry = registry_of({"deepseek_moe"});
  std::unique_ptr<Weights> weights;
  LoadedModel loaded;
};

TEST_F(Depths, AreWrittenUnderThePublishedNamesAndReadBack) {
  {
    const Safetensors file(folder / "model.safetensors");
    const std::string at = "model.layers.3.";
    EXPECT_EQ(file.require(at + "eh_proj.weight").shape, (std::vector<uint64_t>{24, 48}));
    for (const char *name :
         {"enorm.weight", "hnorm.weight", "shared_head.norm.weight", "input_layernorm.weight",
          "self_attn.kv_b_proj.weight", "mlp.gate.e_score_correction_bias", "mlp.experts.7.up_proj.weight"})
      EXPECT_TRUE(file.tensors().contains(at + name)) << name;
    const TensorView &head = file.require("lm_head.weight"), &again = file.require(at + "shared_head.head.weight");
    ASSERT_EQ(head.bytes, again.bytes);
    EXPECT_EQ(std::memcmp(head.data, again.data, head.bytes), 0);
  }
  ASSERT_EQ(load(), "");
  EXPECT_EQ(loaded.weights->checksum(), weights->checksum());
  EXPECT_EQ(loaded.architecture->info().depths, 1u);
}

TEST_F(Depths, DoNotNeedTheCopiesButRefuseOnesThatDiffer) {
  rewrite({}, "model.layers.3.embed_tokens.weight");
  EXPECT_NE(load().find("\"model.layers.3.embed_tokens.weight\" must equal \"model.embed_tokens.weight\""),
            std::string::npos);
  rewrite({"layers.3.embed_tokens", "layers.3.shared_head.head"});
  ASSERT_EQ(load(), "");
  EXPECT_EQ(loaded.weights->checksum(), weights->checksum());
}

TEST_F(Depths, AreLeftOutWhenTheFilesHaveNoneAndRefusedInPart) {
  rewrite({"layers.3.eh_proj"});
  EXPECT_NE(load().find("lacks the tensor \"model.layers.3.eh_proj.weight\""), std::string::npos);
  rewrite({"layers.3."});
  ASSERT_EQ(load(), "");
  EXPECT_EQ(loaded.architecture->info().depths, 0u);
  for (uint32_t i = 0; i < loaded.weights->parameters().size(); ++i)
    EXPECT_EQ(std::memcmp(loaded.weights->parameter(i), weights->parameter(i),
                          loaded.weights->parameters()[i].size * sizeof(float)),
              0);
}

TEST_F(Depths, ArePlannedAsTheyAreLoaded) {
  EXPECT_EQ(architecture_of(folder, registry, host())->info().depths, 1u);
  rewrite({"layers.3."});
  EXPECT_EQ(architecture_of(folder, registry, host())->info().depths, 0u);
}

TEST_F(Depths, AreNoneOfTheParametersThatATokenUses) {
  const auto without = architecture("deepseek_moe", deepseek_config());
  EXPECT_EQ(weights->architecture().info().active_parameters, without->info().active_parameters);
}

TEST(TypeDefaults, FillWhatIsLeftOutAndMakeNullNone) {
  const ComponentInfo info = component("deepseek_moe");
  const auto v2 =
      with_type_defaults(info, {{"model_type", "deepseek_v2"}, {"hidden_size", 8}, {"n_shared_experts", nullptr}});
  EXPECT_EQ(v2["topk_method"], "greedy");
  EXPECT_EQ(v2["q_lora_rank"], 1536);
  EXPECT_EQ(v2["hidden_size"], 8);
  EXPECT_EQ(v2["n_shared_experts"], 0);
  const auto nulls = with_type_defaults(
      info,
      {{"model_type", "deepseek_v2"}, {"n_group", nullptr}, {"topk_group", nullptr}, {"norm_topk_prob", nullptr}});
  EXPECT_EQ(nulls["n_group"], 1) << "V2's, not the 8 that V3 has";
  EXPECT_EQ(nulls["topk_group"], 1);
  EXPECT_EQ(nulls["norm_topk_prob"], false);
  const auto v3 =
      with_type_defaults(info, {{"model_type", "deepseek_v3"}, {"q_lora_rank", nullptr}, {"n_group", nullptr}});
  EXPECT_EQ(v3["q_lora_rank"], 0);
  EXPECT_TRUE(v3["n_group"].is_null()) << "it has no way to be none";
  EXPECT_FALSE(v3.contains("topk_method"));
}

}  // namespace
}  // namespace hone::test
