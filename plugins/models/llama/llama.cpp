// llama.cpp -- decoders of Llama's kind (arXiv 2302.13971), for every row of families.hpp: blocks of grouped-query
// attention with rotary positions and of a SwiGLU network, or of several that are chosen from per token; RMSNorm
// throughout.
#include <cmath>

#include "settings.hpp"

namespace {

using hone::Linear;
using hone::Parameter;
using hone::Tensor;

class Llama final : public LlamaSettings {
 public:
  void declare(hone::Parameters &parameters) override {
    check();
    rope_ = rope_for(head_dim);
    const std::vector<bool> routed = layers_with_experts(), rotated = layers_with_rope();
    declare_around(parameters, [&](uint32_t i) { layers_.push_back(layer(parameters, i, routed[i], rotated[i])); });
    for (const Layer &layer : layers_) count_experts(layer.experts, num_experts_per_tok);
  }

  hone_model_info info() const override {
    hone_model_info info = info_around();
    info.kv_heads = num_key_value_heads;
    info.key_size = info.value_size = head_dim;
    info.experts = routed_layers_ ? num_experts : 0;
    info.experts_per_token = routed_layers_ ? num_experts_per_tok : 0;
    return info;
  }

  Tensor forward(const hone::Tape &tape) const override {
    Tensor x = scaled(tape, tape.embedding(embedding_), embedding_multiplier);
    for (const Layer &layer : layers_) {
      x = tape.boundary(x);
      const Tensor mixed = attention(tape, layer, norm(tape, x, layer.before_attention));
      x = add(tape, x, norm(tape, mixed, layer.after_attention));
      const Tensor input = norm(tape, x, layer.before_network);
      const Tensor output = layer.experts ? experts(tape, layer, input) : layer.network(tape, input);
      x = add(tape, x, norm(tape, output, layer.after_network));
    }
    x = norm(tape, x, norm_);
    return logits_scaling > 0 ? scaled(tape, x, 1 / logits_scaling) : x;
  }

 private:
  struct Layer {
    Parameter before_attention, after_attention, before_network, after_network;  // norms; some families lack some
    Parameter q_norm, k_norm;
    Linear q, k, v, o;
    hone::FeedForward network;  // of a dense layer
    hone::Experts experts;      // of one with experts
    bool rotated;
  };

  Layer layer(hone::Parameters &parameters, uint32_t i, bool routed, bool rotated) {
    const std::string at = "model.layers." + std::to_string(i) + ".", attention = at + "self_attn.", mlp = at + "mlp.";
    const uint32_t q_size = num_attention_heads * head_dim, kv_size = num_key_value_heads * head_dim;
    const auto has = [&](Bias bias) { return bias == Bias::always || (bias == Bias::by_setting && attention_bias); };
    const bool qkv_bias = has(family_->qkv_bias);
    Layer made;
    made.rotated = rotated;
    if (!family_->norms_after) made.before_attention = parameters.vector(at + "input_layernorm.weight", hidden_size);
    made.q = Linear::declare(parameters, attention + "q_proj", q_size, hidden_size, qkv_bias);
    made.k = Linear::declare(parameters, attention + "k_proj", kv_size, hidden_size, qkv_bias);
    made.v = Linear::declare(parameters, attention + "v_proj", kv_size, hidden_size, qkv_bias);
    made.o = Linear::declare(parameters, attention + "o_proj", hidden_size, q_size, has(family_->output_bias));
    if (family_->query_key_norm != QueryKeyNorm::none) {
      const bool all = family_->query_key_norm == QueryKeyNorm::of_all;
      made.q_norm = parameters.vector(attention + "q_norm.weight", all ? q_size : head_dim);
      made.k_norm = parameters.vector(attention + "k_norm.weight", all ? kv_size : head_dim);
    }
    // The same name for the norm after attention and for the one before the network.
    (family_->norms_after ? made.after_attention : made.before_network) =
        parameters.vector(at + "post_attention_layernorm.weight", hidden_size);
    if (routed)
      made.experts = hone::Experts::declare(parameters, mlp, num_experts, hidden_size, moe_intermediate_size, false);
    else
      made.network = hone::FeedForward::declare(parameters, mlp, hidden_size, intermediate_size, mlp_bias);
    if (family_->norms_after)
      made.after_network = parameters.vector(at + "post_feedforward_layernorm.weight", hidden_size);
    return made;
  }

  static Tensor scaled(const hone::Tape &tape, Tensor x, double factor) {
    return factor > 0 ? tape.scale(x, static_cast<float>(factor)) : x;
  }
  Tensor add(const hone::Tape &tape, Tensor x, Tensor more) const {
    return tape.add(x, scaled(tape, more, residual_multiplier));
  }

  Tensor attention(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    Tensor q = layer.q(tape, x), k = layer.k(tape, x);
    const Tensor v = layer.v(tape, x);
    if (layer.q_norm) {
      const bool all = family_->query_key_norm == QueryKeyNorm::of_all;
      const float epsilon = static_cast<float>(rms_norm_eps);
      q = tape.rms_norm(q, layer.q_norm, all ? num_attention_heads * head_dim : head_dim, epsilon);
      k = tape.rms_norm(k, layer.k_norm, all ? num_key_value_heads * head_dim : head_dim, epsilon);
    }
    if (layer.rotated) {
      q = tape.rope(q, rope_.shape(num_attention_heads, 0, false));
      k = tape.rope(k, rope_.shape(num_key_value_heads, 0, false));
    }
    const double scale = attention_multiplier > 0 ? attention_multiplier : 1 / std::sqrt(static_cast<double>(head_dim));
    const hone_attention_shape shape{sizeof shape, num_attention_heads, num_key_value_heads, static_cast<float>(scale)};
    return layer.o(tape, tape.attention(q, k, v, shape));
  }

  Tensor experts(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    hone_route_shape shape{};
    shape.struct_size = sizeof shape;
    shape.experts_per_token = num_experts_per_tok;
    shape.groups = shape.groups_kept = 1;
    shape.gate = HONE_GATE_SOFTMAX;
    shape.normalise = norm_topk_prob;
    shape.scaling = 1;
    return layer.experts(tape, x, shape);
  }

  std::vector<Layer> layers_;
};

}  // namespace

HONE_PLUGIN("hone.models.llama", "1.0.0",
            hone::component<Llama>("llama", "decoders of the Llama, Qwen, Mistral, Granite, SmolLM and OLMo families"));
