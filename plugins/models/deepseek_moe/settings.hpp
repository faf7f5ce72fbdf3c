// settings.hpp -- config.json's keys of DeepSeek-V2 and V3, and what they must be.
#pragma once

#include <string>
#include <tuple>

#include "../shared/decoder.hpp"

namespace {

class DeepseekSettings : public hone::Decoder {
 public:
  static constexpr const char *model_types[] = {"deepseek_v3", "deepseek_v2", nullptr};
  static constexpr const char *architectures[] = {"DeepseekV3ForCausalLM", "DeepseekV2ForCausalLM", nullptr};
  static constexpr const char *null_settings[] = {"q_lora_rank",      "rope_scaling",        "n_routed_experts",
                                                  "n_shared_experts", "num_key_value_heads", nullptr};
  static constexpr const char *depths_setting = "num_nextn_predict_layers";
  // Those of transformers' DeepseekV3Config and DeepseekV2Config; V2 has one gate, softmax, and names none.
  static constexpr const char *type_defaults[] = {
      R"({"q_lora_rank": 1536})",
      R"({"vocab_size": 102400, "hidden_size": 4096, "intermediate_size": 11008,
      "moe_intermediate_size": 1407, "num_hidden_layers": 32, "num_attention_heads": 32, "n_shared_experts": 2,
      "n_routed_experts": 64, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 0, "q_lora_rank": 1536,
      "max_position_embeddings": 2048, "scoring_func": "softmax", "topk_method": "greedy", "norm_topk_prob": false,
      "routed_scaling_factor": 1})",
      nullptr};

  DeepseekSettings() {
    vocab_size = 129280, hidden_size = 7168, num_hidden_layers = 61, num_attention_heads = 128;
    max_position_embeddings = 4096;
  }
  std::string model_type = "deepseek_v3", scoring_func = "sigmoid", topk_method = "noaux_tc";
  uint32_t intermediate_size = 18432, moe_intermediate_size = 2048, num_key_value_heads = 0;
  uint32_t n_shared_experts = 1, n_routed_experts = 256, num_experts_per_tok = 8;
  uint32_t n_group = 8, topk_group = 4, first_k_dense_replace = 3, moe_layer_freq = 1;
  uint32_t kv_lora_rank = 512, q_lora_rank = 0, qk_rope_head_dim = 64, v_head_dim = 128, qk_nope_head_dim = 128;
  uint32_t num_nextn_predict_layers = 0;
  double routed_scaling_factor = 2.5, bias_update_speed = 0.001, aux_loss_alpha = 0;
  bool norm_topk_prob = true, seq_aux = true, attention_bias = false, mlp_bias = false, rope_interleave = true;

  static auto params() {
    using hone::param;
    using M = DeepseekSettings;
    const auto blocks = hone::params(
        param("model_type", &M::model_type, "the family", {.choices = {"deepseek_v3", "deepseek_v2"}}),
        param("vocab_size", &M::vocab_size, "tokens in the vocabulary", {.min = 1, .max = 1 << 24}),
        param("hidden_size", &M::hidden_size, "width of the residual stream", {.min = 1, .max = 1 << 20}),
        param("intermediate_size", &M::intermediate_size, "width of a dense layer's SwiGLU network",
              {.min = 1, .max = 1 << 22}),
        param("moe_intermediate_size", &M::moe_intermediate_size, "width of one expert", {.min = 1, .max = 1 << 20}),
        param("num_hidden_layers", &M::num_hidden_layers, "blocks", {.min = 1, .max = 4096}),
        param("num_attention_heads", &M::num_attention_heads, "heads", {.min = 1, .max = 1 << 14}),
        param("num_key_value_heads", &M::num_key_value_heads, "as many as heads, or 0 for that: MLA expands its keys",
              {.min = 0, .max = 1 << 14}),
        param("n_shared_experts", &M::n_shared_experts, "experts that every token uses", {.min = 0, .max = 1024}),
        param("n_routed_experts", &M::n_routed_experts, "experts to choose from; 0: every layer is dense",
              {.min = 0, .max = 1 << 16}),
        param("num_experts_per_tok", &M::num_experts_per_tok, "routed experts that one token uses",
              {.min = 1, .max = 1 << 10}),
        param("n_group", &M::n_group, "groups of experts", {.min = 1, .max = 1 << 16}),
        param("topk_group", &M::topk_group, "groups that one token may choose from", {.min = 1, .max = 1 << 16}),
        param("first_k_dense_replace", &M::first_k_dense_replace, "first layers that are dense",
              {.min = 0, .max = 4096}),
        param("moe_layer_freq", &M::moe_layer_freq, "of the others, every how many-th has experts",
              {.min = 1, .max = 4096}),
        param("kv_lora_rank", &M::kv_lora_rank, "width of the latent from which keys and values are made",
              {.min = 1, .max = 1 << 16}),
        param("q_lora_rank", &M::q_lora_rank, "width of the latent from which queries are made; 0: none",
              {.min = 0, .max = 1 << 16}),
        param("qk_rope_head_dim", &M::qk_rope_head_dim, "rotated part of a head", {.min = 2, .max = 1 << 14}),
        param("qk_nope_head_dim", &M::qk_nope_head_dim, "part of a head that is not rotated",
              {.min = 1, .max = 1 << 14}),
        param("v_head_dim", &M::v_head_dim, "width of a head's values", {.min = 1, .max = 1 << 14}),
        param("max_position_embeddings", &M::max_position_embeddings, "most tokens in a sequence",
              {.min = 1, .max = 1 << 26}),
        param("scoring_func", &M::scoring_func, "how the router's logits become scores",
              {.choices = {"sigmoid", "softmax"}}),
        param(
            "topk_method", &M::topk_method,
            "noaux_tc: V3's biased choice, limited to groups; greedy: the highest scores; group_limited_greedy: V2's, "
            "the highest of the groups that have the highest ones",
            {.choices = {"noaux_tc", "greedy", "group_limited_greedy"}}),
        param("norm_topk_prob", &M::norm_topk_prob, "whether the chosen scores are divided by their sum"),
        param("routed_scaling_factor", &M::routed_scaling_factor, "multiplies the routed experts' weights",
              {.min = 0, .max = 1e6}),
        param("bias_update_speed", &M::bias_update_speed,
              "how far the choice's bias moves in one step to balance the experts", {.min = 0, .max = 1}),
        param("aux_loss_alpha", &M::aux_loss_alpha, "weight of the sequence-wise balance loss; 0: none", {.min = 0}),
        param("seq_aux", &M::seq_aux, "whether that loss is per sequence; must be true where it is used"));
    const auto further = hone::params(
        param("attention_bias", &M::attention_bias, "whether the latents' and the output projection have biases"),
        param("mlp_bias", &M::mlp_bias, "whether the dense and the shared networks have biases (V2)"),
        param("rope_interleave", &M::rope_interleave,
              "whether a head's rotated pairs are neighbours; false: halves (V3)"),
        param("num_nextn_predict_layers", &M::num_nextn_predict_layers,
              "depths of multi-token prediction: layers after the last, trained by a stage's mtp_loss_weight (V3)",
              {.min = 0, .max = 64}));
    return std::tuple_cat(blocks, common_params(), further);
  }

 protected:
  // Error for settings that do not fit each other.
  void check() {
    const auto text = [](auto n) { return std::to_string(n); };
    if (num_key_value_heads && num_key_value_heads != num_attention_heads)
      throw hone::Error("num_key_value_heads must equal num_attention_heads, " + text(num_attention_heads) +
                        ", because MLA expands its keys");
    if (model_type == "deepseek_v2" && !rope_interleave)
      throw hone::Error("rope_interleave is false, but DeepSeek-V2 rotates neighbours; leave it out");
    if (model_type == "deepseek_v2" && num_nextn_predict_layers)
      throw hone::Error("num_nextn_predict_layers is " + text(num_nextn_predict_layers) +
                        ", but DeepSeek-V2 has no multi-token prediction; it must be 0");
    if (topk_method == "noaux_tc" && scoring_func != "sigmoid")
      throw hone::Error("topk_method \"noaux_tc\" goes with scoring_func \"sigmoid\", not \"" + scoring_func + "\"");
    if (topk_method == "greedy") n_group = topk_group = 1;
    if (!n_routed_experts) return;
    if (n_routed_experts % n_group)
      throw hone::Error("n_group " + text(n_group) + " does not divide n_routed_experts " + text(n_routed_experts));
    if (topk_group > n_group)
      throw hone::Error("topk_group " + text(topk_group) + " is more than n_group " + text(n_group));
    if (num_experts_per_tok > n_routed_experts / n_group * topk_group)
      throw hone::Error("num_experts_per_tok " + text(num_experts_per_tok) + " is more than the " +
                        text(n_routed_experts / n_group * topk_group) +
                        " experts of the groups that a token may choose from");
    if (aux_loss_alpha > 0 && !seq_aux)
      throw hone::Error("aux_loss_alpha is given but seq_aux is false; the loss is per sequence only");
  }
};

}  // namespace
