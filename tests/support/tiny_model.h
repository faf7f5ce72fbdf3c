// tiny_model.h -- small models with random weights, for tests: a llama and a DeepSeek-style mixture of experts.
#pragma once

#include <memory>
#include <string>

#include "core/model/model.h"
#include "tests/support/built_component.h"

namespace hone {

constexpr uint32_t tiny_vocabulary = 37;

// Weights wide enough that next-token distributions are far from flat.
inline std::shared_ptr<const Architecture> tiny_architecture(const Host &host, const std::string &family) {
  nlohmann::json config = {{"vocab_size", tiny_vocabulary}, {"hidden_size", 24},
                           {"intermediate_size", 40},       {"num_hidden_layers", 2},
                           {"num_attention_heads", 2},      {"max_position_embeddings", 160},
                           {"initializer_range", 0.25}};
  if (family == "llama") config["num_key_value_heads"] = 1;
  if (family == "deepseek_moe")
    config.update({{"moe_intermediate_size", 16},
                   {"n_shared_experts", 1},
                   {"n_routed_experts", 4},
                   {"num_experts_per_tok", 2},
                   {"n_group", 1},
                   {"topk_group", 1},
                   {"first_k_dense_replace", 1},
                   {"kv_lora_rank", 16},
                   {"q_lora_rank", 0},
                   {"qk_rope_head_dim", 8},
                   {"qk_nope_head_dim", 8},
                   {"v_head_dim", 12},
                   {"num_key_value_heads", 2},
                   {"aux_loss_alpha", 0.01}});
  const ComponentInfo &info = built_component("model", family);
  return std::make_shared<const Architecture>(info, host, check_settings(info.settings, config, family));
}

// family: a plugin's name, with _bf16 or _blocks after it for products of bf16 in pairs or in blocks.
inline std::unique_ptr<Weights> tiny_weights(const Host &host, const std::string &family, uint64_t seed = 1,
                                             bool value_head = false) {
  for (const auto &[suffix, dtype] : {std::pair<std::string, uint32_t>{"_bf16", HONE_BF16}, {"_blocks", HONE_BF16_BLOCKS}})
    if (family.ends_with(suffix))
      return Weights::initialised(tiny_architecture(host, family.substr(0, family.size() - suffix.size())), seed, value_head, dtype);
  return Weights::initialised(tiny_architecture(host, family), seed, value_head);
}

}  // namespace hone
