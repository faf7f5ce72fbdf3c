// small_models.h -- small models of the built-in plugins in which every number is random, norms and biases too, with
// rows, a tokenizer and a registry to go with them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "core/tape/tape.h"
#include "tests/support/built_component.h"

namespace hone::test {

inline Pool &pool() {
  static Pool pool(2);
  return pool;
}
inline const Host &host() {
  static Host host(pool(), 1);
  return host;
}

inline ComponentInfo component(const std::string &name) { return built_component("model", name); }

inline Registry registry_of(const std::vector<std::string> &names) {
  Registry registry;
  for (const std::string &name : names) registry.components_.push_back(component(name));
  return registry;
}

// Of so many words, of which the first two are special.
inline std::unique_ptr<Tokenizer> word_tokenizer(size_t words = 37) {
  std::vector<std::string> vocabulary = {"<bos>", "<eos>"};
  while (vocabulary.size() < words) vocabulary.push_back("w" + std::to_string(vocabulary.size()));
  return Tokenizer::from_words(vocabulary, {"<bos>", "<eos>"}, "");
}

inline std::shared_ptr<const Architecture> architecture(const std::string &name, const nlohmann::json &config) {
  const ComponentInfo info = component(name);
  return std::make_shared<const Architecture>(info, host(), check_settings(info.settings, config, "test"));
}

// Every number random, norms and biases too, so that no gradient is zero by accident.
inline std::unique_ptr<Weights> random_weights(std::shared_ptr<const Architecture> architecture, uint32_t seed,
                                               bool value_head = false, uint32_t dtype = HONE_F32) {
  auto weights = std::make_unique<Weights>(std::move(architecture), value_head, dtype);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (uint32_t i = 0; i < weights->parameters().size(); ++i) {
    const ParameterInfo &parameter = weights->parameters()[i];
    const float scale = parameter.dims.size() == 1 ? 0.2f : 1.2f / std::sqrt(static_cast<float>(parameter.dims.back()));
    for (uint64_t k = 0; k < parameter.size; ++k)
      weights->parameter(i)[k] = (parameter.init == HONE_INIT_ONE ? 1.0f : 0.0f) + scale * normal(random);
  }
  weights->changed();
  weights->prepare(pool());
  return weights;
}

inline nlohmann::json llama_config() {
  return {
      {"vocab_size", 37},         {"hidden_size", 24},        {"intermediate_size", 40},       {"num_hidden_layers", 2},
      {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"max_position_embeddings", 128}};
}
inline nlohmann::json deepseek_config() {
  return {{"vocab_size", 37},
          {"hidden_size", 24},
          {"intermediate_size", 40},
          {"moe_intermediate_size", 12},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 3},
          {"n_shared_experts", 1},
          {"n_routed_experts", 8},
          {"num_experts_per_tok", 3},
          {"n_group", 4},
          {"topk_group", 2},
          {"first_k_dense_replace", 1},
          {"kv_lora_rank", 10},
          {"qk_rope_head_dim", 6},
          {"qk_nope_head_dim", 5},
          {"v_head_dim", 7},
          {"max_position_embeddings", 128},
          {"aux_loss_alpha", 0.3}};
}

// Rows packed one after another.
struct Rows {
  std::vector<int32_t> ids;
  std::vector<uint32_t> row_start{0};
  PackedTokens packed() const { return {ids, row_start}; }
  uint32_t tokens() const { return row_start.back(); }
  uint32_t rows() const { return static_cast<uint32_t>(row_start.size() - 1); }
  std::vector<int32_t> row(uint32_t r) const { return {ids.begin() + row_start[r], ids.begin() + row_start[r + 1]}; }
  void add(const std::vector<int32_t> &row) {
    ids.insert(ids.end(), row.begin(), row.end());
    row_start.push_back(static_cast<uint32_t>(ids.size()));
  }
};

inline Rows random_rows(const std::vector<uint32_t> &lengths, uint32_t vocabulary, uint32_t seed) {
  std::mt19937 random(seed);
  Rows rows;
  for (uint32_t length : lengths) {
    std::vector<int32_t> row(length);
    for (int32_t &id : row) id = static_cast<int32_t>(random() % vocabulary);
    rows.add(row);
  }
  return rows;
}

inline std::vector<float> random_floats(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float &value : values) value = normal(random);
  return values;
}

}  // namespace hone::test
