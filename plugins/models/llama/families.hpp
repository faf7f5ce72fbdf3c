// families.hpp -- the decoders that are Llama's (arXiv 2302.13971) but for a few things: one row each. What a row says
// is what transformers' class of that name computes.
#pragma once

#include <array>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace {

enum class Bias { none, always, by_setting };  // by_setting: attention_bias
enum class Window { never, if_used, always };  // if_used: use_sliding_window; always: wherever sliding_window is given
enum class QueryKeyNorm { none, of_heads, of_all };

struct Family {
  const char *model_type, *architecture;
  // What config.json means by keys that it leaves out, where that is not what the settings' own defaults say.
  const char *defaults;
  Bias qkv_bias = Bias::by_setting, output_bias = Bias::by_setting;
  bool mlp_bias = false;  // whether the setting of that name counts
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  bool norms_after = false;          // of what a block's parts give instead of what they take
  bool experts = false;              // num_experts and what belongs to it
  bool layers_without_rope = false;  // no_rope_layers
  bool multipliers = false;          // embedding_multiplier and its like
  Window window = Window::never;
  std::string_view must_be_given;  // the size whose 0, "as usual", transformers' class has no word for
};

constexpr Family kFamilies[] = {
    // Llama 1 to 3, SmolLM2
    {.model_type = "llama", .architecture = "LlamaForCausalLM", .defaults = "{}", .mlp_bias = true},
    // arXiv 2407.10671
    {.model_type = "qwen2",
     .architecture = "Qwen2ForCausalLM",
     .defaults = R"({"intermediate_size": 22016, "num_key_value_heads": 32,
                     "max_position_embeddings": 32768, "sliding_window": 4096})",
     .qkv_bias = Bias::always,
     .output_bias = Bias::none,
     .window = Window::if_used},
    // arXiv 2505.09388
    {.model_type = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .defaults = R"({"intermediate_size": 22016, "num_key_value_heads": 32, "head_dim": 128,
                     "max_position_embeddings": 32768, "sliding_window": 4096})",
     .query_key_norm = QueryKeyNorm::of_heads,
     .window = Window::if_used,
     .must_be_given = "head_dim"},
    {.model_type = "qwen3_moe",
     .architecture = "Qwen3MoeForCausalLM",
     .defaults = R"({"intermediate_size": 6144, "num_key_value_heads": 4, "max_position_embeddings": 32768,
                     "sliding_window": 4096, "num_experts": 128, "num_experts_per_tok": 8,
                     "moe_intermediate_size": 768, "decoder_sparse_step": 1})",
     .query_key_norm = QueryKeyNorm::of_heads,
     .experts = true,
     .window = Window::if_used,
     .must_be_given = "num_key_value_heads"},
    // arXiv 2310.06825
    {.model_type = "mistral",
     .architecture = "MistralForCausalLM",
     .defaults = R"({"intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072,
                     "sliding_window": 4096})",
     .qkv_bias = Bias::none,
     .output_bias = Bias::none,
     .window = Window::always,
     .must_be_given = "num_key_value_heads"},
    // IBM Granite 3
    {.model_type = "granite",
     .architecture = "GraniteForCausalLM",
     .defaults = R"({"embedding_multiplier": 1, "attention_multiplier": 1, "residual_multiplier": 1,
                     "logits_scaling": 1})",
     .mlp_bias = true,
     .multipliers = true},
    {.model_type = "smollm3",
     .architecture = "SmolLM3ForCausalLM",
     .defaults = R"({"num_key_value_heads": 4, "max_position_embeddings": 32768, "rope_theta": 2000000,
                     "no_rope_layer_interval": 4, "tie_word_embeddings": true})",
     .mlp_bias = true,
     .layers_without_rope = true,
     .window = Window::if_used},
    // arXiv 2501.00656
    {.model_type = "olmo2",
     .architecture = "Olmo2ForCausalLM",
     .defaults = R"({"rms_norm_eps": 1e-05})",
     .query_key_norm = QueryKeyNorm::of_all,
     .norms_after = true},
};

// One column of the table as the SDK wants it: with a null at its end.
constexpr auto column(const char *const Family::*member) {
  std::array<const char *, std::size(kFamilies) + 1> names{};
  for (size_t i = 0; i < std::size(kFamilies); ++i) names[i] = kFamilies[i].*member;
  return names;
}
constexpr auto kModelTypes = column(&Family::model_type);
constexpr auto kArchitectures = column(&Family::architecture);
constexpr auto kDefaults = column(&Family::defaults);

}  // namespace
