// weights_test.cpp -- layout, first values, model directories, and configurations that are refused.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/base/file.h"
#include "core/model/safetensors.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

Registry registry() { return registry_of({"llama", "deepseek_moe"}); }

TEST(Weights, LieAlignedTrainedOnesFirst) {
  for (bool value_head : {false, true}) {
    const Weights weights(architecture("deepseek_moe", deepseek_config()), value_head);
    uint64_t trained = 0;
    std::vector<bool> taken(weights.total_size());
    for (const ParameterInfo &parameter : weights.parameters()) {
      EXPECT_EQ(parameter.offset % 16, 0u);
      ASSERT_LE(parameter.offset + parameter.size, weights.total_size());
      for (uint64_t i = 0; i < parameter.size; ++i) {
        EXPECT_FALSE(taken[parameter.offset + i]) << parameter.name;
        taken[parameter.offset + i] = true;
      }
      if (parameter.flags & HONE_PARAMETER_BUFFER)
        EXPECT_GE(parameter.offset, weights.trained_size());
      else
        trained = std::max(trained, parameter.offset + parameter.size);
    }
    EXPECT_LE(trained, weights.trained_size());
    EXPECT_EQ(weights.trained_size() % 16, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data()) % 64, 0u);
    EXPECT_EQ(weights.has_value_head(), value_head);
    if (value_head) EXPECT_EQ(weights.parameters().back().name, "score.weight");
  }
}

TEST(Weights, AreInitialisedBySeedAlone) {
  nlohmann::json config = llama_config();
  config.update({{"initializer_range", 0.5}, {"hidden_size", 64}, {"vocab_size", 400}});
  const auto shape = architecture("llama", config);
  const auto a = Weights::initialised(shape, 1), again = Weights::initialised(shape, 1),
             b = Weights::initialised(shape, 2);
  EXPECT_EQ(a->checksum(), again->checksum());
  EXPECT_NE(a->checksum(), b->checksum());
  double sum = 0, square = 0, fourth = 0;
  const uint64_t n = a->parameters()[0].size;
  for (uint64_t i = 0; i < n; ++i) {
    const double x = a->parameter(0)[i] / 0.5;
    sum += x, square += x * x, fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0, 4 / std::sqrt(n));
  EXPECT_NEAR(square / n, 1, 6 / std::sqrt(n));
  EXPECT_NEAR(fourth / n, 3, 40 / std::sqrt(n));
  EXPECT_EQ(a->parameters()[1].name, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(a->parameter(1)[5], 1.0f);
  EXPECT_NE(std::memcmp(a->parameter(2), a->parameter(3), 64), 0) << "parameters must differ";
}

TEST(Weights, HaveTheChecksumOfAllTheirNumbersInOneRun) {
  nlohmann::json big = llama_config();
  big["vocab_size"] = 70001;  // more than three pieces of 4 MiB, and no whole number of them
  for (const auto &config : {llama_config(), big}) {
    const auto weights = random_weights(architecture("llama", config), 3, true);
    const std::string_view bytes(reinterpret_cast<const char *>(weights->data()),
                                 weights->total_size() * sizeof(float));
    EXPECT_EQ(weights->checksum(), checksum(bytes));
  }
}

TEST(Weights, CloneAndGrowAValueHeadWithoutChangingANumber) {
  const auto weights = random_weights(architecture("deepseek_moe", deepseek_config()), 3);
  const auto copy = weights->clone();
  EXPECT_EQ(copy->checksum(), weights->checksum());
  copy->add_value_head();
  EXPECT_TRUE(copy->has_value_head());
  EXPECT_FALSE(copy->prepared());
  for (uint32_t i = 0; i < weights->parameters().size(); ++i)
    EXPECT_EQ(std::memcmp(copy->parameter(i), weights->parameter(i), weights->parameters()[i].size * sizeof(float)), 0);
  EXPECT_EQ(copy->value_head()[0], 0.0f);
  EXPECT_GT(copy->trained_size(), weights->trained_size());
}

TEST(ModelDirectory, ReadsBackWhatItWrote) {
  nlohmann::json latent = deepseek_config(), tied = llama_config();
  latent["q_lora_rank"] = 9;
  tied["tie_word_embeddings"] = true;
  tied.update({{"model_type", "qwen3"}, {"head_dim", 6}});
  const std::pair<const char *, nlohmann::json> cases[] = {
      {"deepseek_moe", deepseek_config()}, {"deepseek_moe", latent}, {"llama", llama_config()}, {"llama", tied}};
  for (const auto &[plugin, config] : cases)
    for (bool value_head : {false, true}) {
      const ScratchFolder folder;
      const auto weights = random_weights(architecture(plugin, config), 3, value_head);
      save_model(folder.path, *weights, *word_tokenizer());
      const LoadedModel loaded = load_model(folder.path, registry(), host());
      EXPECT_EQ(loaded.weights->checksum(), weights->checksum());
      EXPECT_EQ(loaded.weights->has_value_head(), value_head);
      EXPECT_EQ(loaded.architecture->config(), weights->architecture().config());
      EXPECT_EQ(loaded.tokenizer->files(), word_tokenizer()->files());
    }
}

TEST(ModelDirectory, IsInHuggingFacesLayout) {
  const ScratchFolder folder;
  save_model(folder.path, *random_weights(architecture("deepseek_moe", deepseek_config()), 3), *word_tokenizer());
  const nlohmann::json config = nlohmann::json::parse(read_file(folder.path / "config.json"));
  EXPECT_EQ(config["model_type"], "deepseek_v3");
  EXPECT_EQ(config["architectures"], nlohmann::json::array({"DeepseekV3ForCausalLM"}));
  EXPECT_TRUE(config["q_lora_rank"].is_null());
  EXPECT_TRUE(config.value("rope_scaling", nlohmann::json()).is_null());
  EXPECT_EQ(config["eos_token_id"], 1);
  const Safetensors file(folder.path / "model.safetensors");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.require("model.layers.1.mlp.experts.7.down_proj.weight").shape, (std::vector<uint64_t>{24, 12}));
  EXPECT_EQ(file.require("model.layers.1.mlp.gate.e_score_correction_bias").shape, std::vector<uint64_t>{8});
  EXPECT_EQ(file.require("model.layers.0.self_attn.kv_a_proj_with_mqa.weight").shape, (std::vector<uint64_t>{16, 24}));
  EXPECT_FALSE(file.tensors().contains("model.layers.0.mlp.gate.weight"));
}

// transformers takes a null for head_dim as a width, but without the key it computes one; mistral without
// sliding_window has one of 4,096, and with null none.
TEST(ModelDirectory, SaysNoneAsItsReadersUnderstandIt) {
  const auto written = [](const char *family) {
    const ScratchFolder folder;
    nlohmann::json config = llama_config();
    config["model_type"] = family;
    save_model(folder.path, *random_weights(architecture("llama", config), 3), *word_tokenizer());
    return nlohmann::json::parse(read_file(folder.path / "config.json"));
  };
  const nlohmann::json llama = written("llama"), mistral = written("mistral");
  EXPECT_FALSE(llama.contains("head_dim") || llama.contains("sliding_window") || llama.contains("num_experts"));
  EXPECT_FALSE(mistral.contains("head_dim"));
  ASSERT_TRUE(mistral.contains("sliding_window"));
  EXPECT_TRUE(mistral["sliding_window"].is_null());
  EXPECT_EQ(llama["dtype"], "float32");
  EXPECT_EQ(llama["torch_dtype"], "float32");
}

// What loading says after one change to a good directory.
std::string after(const std::function<void(const std::filesystem::path &)> &change,
                  const nlohmann::json &config = llama_config()) {
  const ScratchFolder folder;
  save_model(folder.path, *random_weights(architecture("llama", config), 3), *word_tokenizer());
  change(folder.path);
  return refusal_of([&] { load_model(folder.path, registry(), host()); });
}
void edit_config(const std::filesystem::path &folder, const nlohmann::json &changes) {
  nlohmann::json config = nlohmann::json::parse(read_file(folder / "config.json"));
  config.update(changes);
  std::ofstream(folder / "config.json") << config;
}
void edit_tensors(const std::filesystem::path &folder, const std::string &drop, const std::string &add) {
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  {
    const Safetensors file(folder / "model.safetensors");
    for (const auto &[name, view] : file.tensors()) {
      if (name == drop) continue;
      values.emplace_back(view.bytes / 4);
      file.read_floats(name, values.back().data(), values.back().size());
      tensors.push_back({name, "F32", view.shape, nullptr, view.bytes});
    }
  }
  if (!add.empty()) {
    values.emplace_back(3);
    tensors.push_back({add, "F32", {3}, nullptr, 12});
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].data = values[i].data();
  write_safetensors(folder / "model.safetensors", tensors);
}

TEST(ModelDirectory, OfATiedModelMayHoldItsHeadAsWell) {
  nlohmann::json config = llama_config();
  config["tie_word_embeddings"] = true;
  const ScratchFolder folder;
  save_model(folder.path, *random_weights(architecture("llama", config), 3), *word_tokenizer());
  const uint64_t without = load_model(folder.path, registry(), host()).weights->checksum();
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  {
    const Safetensors file(folder.path / "model.safetensors");
    EXPECT_FALSE(file.tensors().contains("lm_head.weight")) << "it is written once";
    const auto keep = [&](const std::string &from, const std::string &as) {
      const TensorView &view = file.tensors().at(from);
      values.emplace_back(view.bytes / 4);
      file.read_floats(from, values.back().data(), values.back().size());
      tensors.push_back({as, "F32", view.shape, nullptr, view.bytes});
    };
    for (const auto &[name, view] : file.tensors()) keep(name, name);
    keep("model.embed_tokens.weight", "lm_head.weight");
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].data = values[i].data();
  write_safetensors(folder.path / "model.safetensors", tensors);
  EXPECT_EQ(load_model(folder.path, registry(), host()).weights->checksum(), without);
}

TEST(ModelDirectory, SaysWhatIsMissingExtraOrMisshapen) {
  EXPECT_EQ(after([](const auto &) {}), "");
  EXPECT_NE(after([](const auto &path) { std::filesystem::remove(path / "config.json"); }).find("has no config.json"),
            std::string::npos);
  EXPECT_NE(
      after([](const auto &path) { std::filesystem::remove(path / "model.safetensors"); }).find("model.safetensors"),
      std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              std::filesystem::rename(path / "model.safetensors", path / "pytorch_model.bin");
            }).find("pytorch_model.bin, which transformers writes as safetensors"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) { std::filesystem::remove(path / "tokenizer.json"); }).find("tokenizer.json"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) { std::ofstream(path / "config.json") << "{"; }).find("not a JSON object"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"model_type", "mamba"}});
            }).find("no model plugin serves model_type \"mamba\""),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"rope_scaling", {{"rope_type", "spiral"}}}});
            }).find("config.json: model llama: rope_scaling (or rope_parameters) type \"spiral\" is not supported"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"dtype", "int3"}});
            }).find("config.json: dtype is \"int3\", which is unknown"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"intermediate_size", 41}});
            }).find("has shape [40, 24], but config.json makes it [41, 24]"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"num_hidden_layers", 3}});
            }).find("lacks the tensors \"model.layers.2.input_layernorm.weight\""),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"num_hidden_layers", 1}});
            }).find("no place for"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"vocab_size", 30}});
            }).find("tokenizer has 37 tokens"),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_config(path, {{"tie_word_embeddings", true}});
            }).find("\"lm_head.weight\" must equal \"model.embed_tokens.weight\""),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_tensors(path, "model.norm.weight", "");
            }).find("lacks the tensor \"model.norm.weight\""),
            std::string::npos);
  EXPECT_NE(after([](const auto &path) {
              edit_tensors(path, "", "model.extra");
            }).find("\"model.extra\" that config.json has no place for"),
            std::string::npos);
  EXPECT_EQ(after([](const auto &path) { edit_tensors(path, "", "model.layers.0.self_attn.rotary_emb.inv_freq"); }),
            "");
  EXPECT_EQ(after([](const auto &path) {
              edit_config(path, {{"num_key_value_heads", 2}, {"rope_scaling", nullptr}, {"some_new_key", 5}});
            }),
            "");
}

TEST(ModelDirectory, ReadsShards) {
  const ScratchFolder folder;
  const auto weights = random_weights(architecture("llama", llama_config()), 3);
  save_model(folder.path, *weights, *word_tokenizer());
  {
    const Safetensors whole(folder.path / "model.safetensors");
    std::vector<TensorToWrite> shards[2];
    nlohmann::json map;
    int next = 0;
    for (const auto &[name, view] : whole.tensors()) {
      map[name] = next ? "b.safetensors" : "a.safetensors";
      shards[next].push_back({name, view.dtype, view.shape, view.data, view.bytes});
      next = 1 - next;
    }
    write_safetensors(folder.path / "a.safetensors", shards[0]);
    write_safetensors(folder.path / "b.safetensors", shards[1]);
    std::ofstream(folder.path / "model.safetensors.index.json") << nlohmann::json{{"weight_map", map}};
  }
  std::filesystem::remove(folder.path / "model.safetensors");
  EXPECT_EQ(load_model(folder.path, registry(), host()).weights->checksum(), weights->checksum());
  std::filesystem::remove(folder.path / "b.safetensors");
  EXPECT_NE(refusal_of([&] { load_model(folder.path, registry(), host()); }).find("b.safetensors"), std::string::npos);
  std::ofstream(folder.path / "model.safetensors.index.json") << R"({"weight_map": {"a": "../../etc/passwd"}})";
  EXPECT_NE(refusal_of([&] { load_model(folder.path, registry(), host()); }).find("same folder"), std::string::npos);
}

TEST(ModelSettings, AreRefusedWithTheirValues) {
  const auto says = [](const char *plugin, nlohmann::json config, const nlohmann::json &changes) {
    config.update(changes);
    return refusal_of([&] { architecture(plugin, config); });
  };
  const auto llama = [&](const nlohmann::json &changes) { return says("llama", llama_config(), changes); };
  const auto deepseek = [&](const nlohmann::json &changes) { return says("deepseek_moe", deepseek_config(), changes); };
  EXPECT_EQ(llama(nlohmann::json::object()), "");
  EXPECT_EQ(deepseek(nlohmann::json::object()), "");
  EXPECT_NE(llama({{"num_attention_heads", 5}}).find("num_key_value_heads 2 does not divide num_attention_heads 5"),
            std::string::npos);
  EXPECT_NE(llama({{"hidden_size", 26}}).find("does not divide hidden_size 26"), std::string::npos);
  EXPECT_NE(llama({{"head_dim", 7}}).find("even, not 7"), std::string::npos);
  EXPECT_NE(llama({{"use_sliding_window", true}}).find("use_sliding_window"), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}}}).find("\"longrope\" is not supported"),
            std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "linear"}}}}).find("needs the number \"factor\""), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"factor", 2}}}}).find("no \"rope_type\""), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "linear"}, {"factor", -2}}}}).find("must be above 0"), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "linear"}, {"factor", "x"}}}}).find("must be a number, not \"x\""),
            std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "dynamic"}}}}).find("needs the number \"factor\""), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"beta_fast", 1}, {"beta_slow", 2}}}}).find("beta_fast"),
            std::string::npos);
  EXPECT_NE(deepseek({{"rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"mscale", 1e300}, {"mscale_all_dim", 1}}}}).find("scales cosines or scores by"),
            std::string::npos);
  EXPECT_NE(deepseek({{"routed_scaling_factor", 1e300}}).find("routed_scaling_factor"), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "yarn"}}}}).find("needs the number \"factor\""), std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "yarn"}, {"factor", 2}}}, {"rope_theta", 1}}).find("rope_theta above 1"),
            std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"type", "yarn"}, {"factor", 2}, {"truncate", 1}}}}).find("must be true or false, not 1"),
            std::string::npos);
  EXPECT_NE(llama({{"rope_scaling", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}})
                .find("\"partial_rotary_factor\": 0.5, which is not supported"),
            std::string::npos);
  EXPECT_NE(llama({{"hiden_size", 24}}).find("hidden_size"), std::string::npos);
  EXPECT_NE(llama({{"hidden_size", 0}}).find("hidden_size"), std::string::npos);
  EXPECT_NE(llama({{"hidden_act", "gelu"}}).find("silu"), std::string::npos);
  EXPECT_NE(deepseek({{"n_group", 3}}).find("n_group 3 does not divide n_routed_experts 8"), std::string::npos);
  EXPECT_NE(deepseek({{"topk_group", 5}}).find("topk_group 5 is more than n_group 4"), std::string::npos);
  EXPECT_NE(deepseek({{"num_experts_per_tok", 5}}).find("num_experts_per_tok 5 is more than the 4"), std::string::npos);
  EXPECT_NE(deepseek({{"scoring_func", "softmax"}}).find("noaux_tc"), std::string::npos);
  EXPECT_NE(deepseek({{"topk_method", "best"}}).find("group_limited_greedy"), std::string::npos);
  EXPECT_NE(deepseek({{"model_type", "deepseek_v2"}, {"rope_interleave", false}}).find("rope_interleave is false"),
            std::string::npos);
  EXPECT_NE(
      deepseek({{"model_type", "deepseek_v2"}, {"num_nextn_predict_layers", 1}}).find("num_nextn_predict_layers is 1"),
      std::string::npos);
  EXPECT_NE(deepseek({{"seq_aux", false}}).find("seq_aux"), std::string::npos);
  EXPECT_NE(deepseek({{"num_key_value_heads", 1}}).find("must equal num_attention_heads, 3"), std::string::npos);
  EXPECT_NE(deepseek({{"qk_rope_head_dim", 5}}).find("even, not 5"), std::string::npos);
}

TEST(ModelSettings, OfOneFamilyAreNotThoseOfAnother) {
  const auto refused = [](const char *family, const nlohmann::json &changes) {
    nlohmann::json config = llama_config();
    config["model_type"] = family;
    config.update(changes);
    return refusal_of([&] { architecture("llama", config); });
  };
  const auto says = [](const std::string &sentence, const char *words) {
    EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
  };
  const nlohmann::json experts = {
      {"num_experts", 4}, {"num_experts_per_tok", 2}, {"moe_intermediate_size", 8}, {"decoder_sparse_step", 1}};
  EXPECT_EQ(refused("qwen3_moe", experts), "");
  says(refused("llama", experts), "num_experts is given, but models of type llama have none");
  says(refused("qwen3_moe", nlohmann::json::object()), "models of type qwen3_moe need num_experts above 0");
  nlohmann::json greedy = experts;
  greedy["num_experts_per_tok"] = 5;
  says(refused("qwen3_moe", greedy), "num_experts_per_tok 5 is more than num_experts 4");
  greedy = experts;
  greedy["mlp_only_layers"] = {"first"};
  says(refused("qwen3_moe", greedy), "mlp_only_layers has \"first\", but must be a list of whole numbers");
  says(refused("granite", nlohmann::json::object()), "models of type granite need embedding_multiplier above 0");
  says(refused("qwen2", {{"mlp_bias", true}}), "mlp_bias is given, but models of type qwen2 have none");
  says(refused("mistral", {{"attention_bias", true}}), "attention_bias is given, but models of type mistral");
  says(refused("smollm3", nlohmann::json::object()), "models of type smollm3 need no_rope_layer_interval above 0");
  says(refused("smollm3", {{"no_rope_layers", {1}}}), "no_rope_layers has 1 entries, fewer than num_hidden_layers, 2");
  says(refused("qwen3", nlohmann::json::object()), "models of type qwen3 need head_dim above 0");
  says(refused("mistral", {{"num_key_value_heads", 0}}), "models of type mistral need num_key_value_heads above 0");
  says(refused("phi", nlohmann::json::object()), "model_type");
}

TEST(ModelSettings, AWindowIsRefusedWhereItWouldChangeTheModel) {
  const auto refused = [](const char *family, const nlohmann::json &changes) {
    nlohmann::json config = llama_config();  // 128 positions
    config["model_type"] = family;
    config.update(changes);
    return refusal_of([&] { architecture("llama", config); });
  };
  EXPECT_NE(
      refused("mistral", {{"sliding_window", 127}}).find("sliding_window is 127 and counts (as always in mistral)"),
      std::string::npos);
  EXPECT_EQ(refused("mistral", {{"sliding_window", 128}}), "");
  EXPECT_EQ(refused("mistral", {{"sliding_window", 0}}), "");
  EXPECT_EQ(refused("qwen2", {{"sliding_window", 16}}), "");
  EXPECT_NE(refused("qwen2", {{"sliding_window", 16}, {"use_sliding_window", true}}).find("use_sliding_window is true"),
            std::string::npos);
  EXPECT_EQ(refused("qwen2", {{"sliding_window", 16},
                              {"use_sliding_window", true},
                              {"layer_types", {"full_attention", "full_attention"}}}),
            "");
  EXPECT_NE(refused("qwen2", {{"layer_types", {"linear_attention", "full_attention"}}}).find("\"linear_attention\""),
            std::string::npos);
  EXPECT_NE(refused("qwen2", {{"layer_types", {"full_attention"}}}).find("fewer than num_hidden_layers"),
            std::string::npos);
}

TEST(ModelSettings, CountTheParametersThatOneTokenUses) {
  const auto shape = architecture("deepseek_moe", deepseek_config());
  uint64_t all = 0;
  for (const ParameterInfo &parameter : shape->parameters()) all += parameter.size;
  EXPECT_EQ(shape->info().active_parameters, all - uint64_t{2} * 3 * (12 * 24) * (8 - 3));
}

TEST(ModelSettings, AnImpossiblyLargeModelIsRefusedNotAllocated) {
  nlohmann::json config = llama_config();
  config.update({{"hidden_size", 1 << 20},
                 {"intermediate_size", 1 << 22},
                 {"vocab_size", 1 << 24},
                 {"num_attention_heads", 1024}});
  EXPECT_NE(refusal_of([&] { Weights(architecture("llama", config), false); }), "");
}

}  // namespace
}  // namespace hone::test
