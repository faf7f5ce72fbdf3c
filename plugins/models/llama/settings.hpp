// settings.hpp -- config.json's keys of every family in families.hpp, what they must be, and what they say of each
// layer.
#pragma once

#include <algorithm>
#include <cmath>
#include <hone/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "../shared/decoder.hpp"
#include "families.hpp"

namespace {

class LlamaSettings : public hone::Decoder {
 public:
  static constexpr const char *const *model_types = kModelTypes.data();
  static constexpr const char *const *architectures = kArchitectures.data();
  static constexpr const char *const *type_defaults = kDefaults.data();
  static constexpr const char *null_settings[] = {"num_key_value_heads",
                                                  "head_dim",
                                                  "rope_scaling",
                                                  "sliding_window",
                                                  "layer_types",
                                                  "num_experts",
                                                  "num_experts_per_tok",
                                                  "moe_intermediate_size",
                                                  "decoder_sparse_step",
                                                  "mlp_only_layers",
                                                  "no_rope_layers",
                                                  "no_rope_layer_interval",
                                                  "embedding_multiplier",
                                                  "attention_multiplier",
                                                  "residual_multiplier",
                                                  "logits_scaling",
                                                  nullptr};

  LlamaSettings() {
    vocab_size = 32000, hidden_size = 4096, num_hidden_layers = 32, num_attention_heads = 32;
    max_position_embeddings = 2048;
  }
  std::string model_type = "llama";
  uint32_t intermediate_size = 11008, num_key_value_heads = 0, head_dim = 0, sliding_window = 0;
  uint32_t num_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0, decoder_sparse_step = 0,
           no_rope_layer_interval = 0;
  double embedding_multiplier = 0, attention_multiplier = 0, residual_multiplier = 0, logits_scaling = 0;
  hone::JsonList layer_types, mlp_only_layers, no_rope_layers;
  bool attention_bias = false, mlp_bias = false, use_sliding_window = false, norm_topk_prob = false;

  static auto params() {
    using hone::param;
    using L = LlamaSettings;
    const auto blocks = hone::params(
        param("model_type", &L::model_type, "the family: what it does otherwise than Llama", families()),
        param("vocab_size", &L::vocab_size, "tokens in the vocabulary", {.min = 1, .max = 1 << 24}),
        param("hidden_size", &L::hidden_size, "width of the residual stream", {.min = 1, .max = 1 << 20}),
        param("intermediate_size", &L::intermediate_size, "width of the SwiGLU network", {.min = 1, .max = 1 << 22}),
        param("num_hidden_layers", &L::num_hidden_layers, "blocks", {.min = 1, .max = 4096}),
        param("num_attention_heads", &L::num_attention_heads, "query heads", {.min = 1, .max = 1 << 14}),
        param("num_key_value_heads", &L::num_key_value_heads, "key and value heads; 0: as many as query heads",
              {.min = 0, .max = 1 << 14}),
        param("head_dim", &L::head_dim, "width of a head; 0: hidden_size / num_attention_heads",
              {.min = 0, .max = 1 << 14}),
        param("max_position_embeddings", &L::max_position_embeddings, "most tokens in a sequence",
              {.min = 1, .max = 1 << 26}));
    const auto further = hone::params(
        param("attention_bias", &L::attention_bias, "whether q, k, v and o have biases (not qwen2, mistral)"),
        param("mlp_bias", &L::mlp_bias, "whether the SwiGLU network has biases (llama, granite, smollm3)"),
        param("use_sliding_window", &L::use_sliding_window, "whether sliding_window counts (qwen2, qwen3, smollm3)"),
        param("sliding_window", &L::sliding_window,
              "tokens that a token attends to; not supported, so it must be at least max_position_embeddings where it "
              "counts; 0: all",
              {.min = 0, .max = 1 << 26}),
        param("layer_types", &L::layer_types, "one for each layer, each \"full_attention\"; []: the family's own"),
        param("num_experts", &L::num_experts, "experts to choose from (qwen3_moe)", {.min = 0, .max = 1 << 16}),
        param("num_experts_per_tok", &L::num_experts_per_tok, "experts that one token uses (qwen3_moe)",
              {.min = 0, .max = 1 << 10}),
        param("moe_intermediate_size", &L::moe_intermediate_size, "width of one expert (qwen3_moe)",
              {.min = 0, .max = 1 << 20}),
        param("norm_topk_prob", &L::norm_topk_prob, "whether the chosen scores are divided by their sum (qwen3_moe)"),
        param("decoder_sparse_step", &L::decoder_sparse_step, "every how many-th layer has experts (qwen3_moe)",
              {.min = 0, .max = 4096}),
        param("mlp_only_layers", &L::mlp_only_layers, "layers that have none all the same (qwen3_moe)"),
        param("no_rope_layers", &L::no_rope_layers, "for each layer 1, or 0 where positions are not told (smollm3)"),
        param("no_rope_layer_interval", &L::no_rope_layer_interval,
              "without no_rope_layers: every how many-th is such a layer (smollm3)", {.min = 0, .max = 4096}),
        param("embedding_multiplier", &L::embedding_multiplier, "multiplies the embeddings (granite)", {.min = 0, .max = 1e6}),
        param("attention_multiplier", &L::attention_multiplier, "scale of the attention's scores (granite)",
              {.min = 0, .max = 1e6}),
        param("residual_multiplier", &L::residual_multiplier, "multiplies what a block's parts add (granite)",
              {.min = 0, .max = 1e6}),
        param("logits_scaling", &L::logits_scaling, "divides the logits (granite)", {.min = 0, .max = 1e6}));
    return std::tuple_cat(blocks, common_params(), further);
  }

 protected:
  // Finds the family and fills in what 0 stands for. Error for settings that do not fit it, or each other.
  void check() {
    const auto text = [](auto n) { return std::to_string(n); };
    const auto *row = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [&](const Family &each) { return each.model_type == model_type; });
    if (row == std::end(kFamilies)) throw hone::Error("model_type \"" + model_type + "\" is not known here");
    family_ = row;
    for (const auto &[name, value] : {std::pair{"num_key_value_heads", num_key_value_heads}, {"head_dim", head_dim}})
      if (family_->must_be_given == name) needed(name, value > 0, true);
    if (num_key_value_heads == 0) num_key_value_heads = num_attention_heads;
    if (num_attention_heads % num_key_value_heads)
      throw hone::Error("num_key_value_heads " + text(num_key_value_heads) + " does not divide num_attention_heads " +
                        text(num_attention_heads));
    if (head_dim == 0) {
      if (hidden_size % num_attention_heads)
        throw hone::Error("num_attention_heads " + text(num_attention_heads) + " does not divide hidden_size " +
                          text(hidden_size) + "; give head_dim");
      head_dim = hidden_size / num_attention_heads;
    }
    check_window();
    belongs("mlp_bias", mlp_bias, family_->mlp_bias);
    belongs("attention_bias", attention_bias, family_->qkv_bias != Bias::none);
    for (const auto &[name, value] : {std::pair{"num_experts", num_experts},
                                      {"num_experts_per_tok", num_experts_per_tok},
                                      {"moe_intermediate_size", moe_intermediate_size},
                                      {"decoder_sparse_step", decoder_sparse_step}})
      needed(name, value > 0, family_->experts);
    for (const auto &[name, value] : {std::pair{"embedding_multiplier", embedding_multiplier},
                                      {"attention_multiplier", attention_multiplier},
                                      {"residual_multiplier", residual_multiplier},
                                      {"logits_scaling", logits_scaling}}) {
      needed(name, value > 0, family_->multipliers);
      if (value > 0 && value < 1e-6) throw hone::Error(std::string(name) + " is above 0 but below 0.000001; in 16 bits or 32 the numbers would be lost");
    }
    belongs("norm_topk_prob", norm_topk_prob, family_->experts);
    belongs("mlp_only_layers", mlp_only_layers.text != "[]", family_->experts);
    const bool listed = no_rope_layers.text != "[]";
    belongs("no_rope_layers", listed, family_->layers_without_rope);
    if (!listed) needed("no_rope_layer_interval", no_rope_layer_interval > 0, family_->layers_without_rope);
    if (num_experts_per_tok > num_experts)
      throw hone::Error("num_experts_per_tok " + text(num_experts_per_tok) + " is more than num_experts " +
                        text(num_experts));
  }
  std::vector<bool> layers_with_experts() const {
    std::vector<bool> routed(num_hidden_layers);
    for (uint32_t i = 0; i < num_hidden_layers && family_->experts; ++i) routed[i] = (i + 1) % decoder_sparse_step == 0;
    for (const int64_t i : integers("mlp_only_layers", mlp_only_layers))
      if (i < num_hidden_layers) routed[static_cast<size_t>(i)] = false;
    return routed;
  }
  std::vector<bool> layers_with_rope() const {
    std::vector<bool> rotated(num_hidden_layers, true);
    const std::vector<int64_t> listed = integers("no_rope_layers", no_rope_layers);
    if (!listed.empty() && listed.size() < num_hidden_layers)
      throw hone::Error("no_rope_layers has " + std::to_string(listed.size()) +
                        " entries, fewer than num_hidden_layers, " + std::to_string(num_hidden_layers));
    for (uint32_t i = 0; i < num_hidden_layers && family_->layers_without_rope; ++i)
      rotated[i] = listed.empty() ? (i + 1) % no_rope_layer_interval != 0 : listed[i] != 0;
    return rotated;
  }

  const Family *family_ = nullptr;

 private:
  static constexpr hone::Limits families() {
    hone::Limits limits;
    static_assert(std::size(kFamilies) < std::size(hone::Limits{}.choices));
    for (size_t i = 0; i < std::size(kFamilies); ++i) limits.choices[i] = kFamilies[i].model_type;
    return limits;
  }

  void belongs(const std::string &setting, bool given, bool has) const {
    if (given && !has) throw hone::Error(setting + " is given, but models of type " + model_type + " have none");
  }
  void needed(const std::string &setting, bool given, bool has) const {
    belongs(setting, given, has);
    if (has && !given) throw hone::Error("models of type " + model_type + " need " + setting + " above 0");
  }

  // A window as long as the longest row changes nothing; a shorter one is another model.
  void check_window() const {
    belongs("use_sliding_window", use_sliding_window, family_->window == Window::if_used);
    belongs("sliding_window", sliding_window > 0, family_->window != Window::never);
    const hone::Json types = hone::Json::parse(layer_types.text);
    bool slides = types.as_list().empty();
    if (!slides && types.as_list().size() < num_hidden_layers)
      throw hone::Error("layer_types has " + std::to_string(types.as_list().size()) +
                        " entries, fewer than num_hidden_layers, " + std::to_string(num_hidden_layers));
    for (const hone::Json &type : types.as_list()) {
      if (!type.is_string() || (type.as_string() != "full_attention" && type.as_string() != "sliding_attention"))
        throw hone::Error("layer_types has " + type.text() + ", but only \"full_attention\" is supported");
      slides |= type.as_string() == "sliding_attention";
    }
    const bool counts = family_->window == Window::always || use_sliding_window;
    if (!types.as_list().empty() && slides && sliding_window == 0)
      throw hone::Error("layer_types has \"sliding_attention\", but there is no sliding_window");
    if (counts && slides && sliding_window > 0 && sliding_window < max_position_embeddings)
      throw hone::Error("sliding_window is " + std::to_string(sliding_window) + " and counts (" +
                        (use_sliding_window ? "use_sliding_window is true" : "as always in " + model_type) +
                        "), but this model attends to all tokens; set max_position_embeddings, " +
                        std::to_string(max_position_embeddings) +
                        ", to the window's size or less, or sliding_window to null");
  }

  static std::vector<int64_t> integers(const char *name, const hone::JsonList &list) {
    std::vector<int64_t> values;
    const hone::Json parsed = hone::Json::parse(list.text);
    for (const hone::Json &value : parsed.as_list()) {
      const double number = value.is_number() ? value.as_number() : -1;
      if (number < 0 || number > 1 << 20 || number != std::floor(number))
        throw hone::Error(std::string(name) + " has " + value.text() + ", but must be a list of whole numbers");
      values.push_back(static_cast<int64_t>(number));
    }
    return values;
  }
};

}  // namespace
