// deepseek_moe.cpp -- DeepSeek-V2 (arXiv 2405.04434) and DeepSeek-V3 (2412.19437): multi-head latent attention (MLA)
// with a decoupled rotary key shared by all heads, and mixture-of-experts layers of shared and routed experts. In V3
// the experts are balanced by a bias on the choice (section 2.1.2), beside an optional small sequence-wise loss (eq.
// 17-20), and layers after the last one may predict further tokens (multi-token prediction, section 2.2).
#include <cmath>

#include "settings.hpp"

namespace {

using hone::Linear;
using hone::Parameter;
using hone::Tensor;

class DeepseekMoe final : public DeepseekSettings {
 public:
  void declare(hone::Parameters &parameters) override {
    check();
    rope_ = rope_for(qk_rope_head_dim);
    declare_around(parameters, [&](uint32_t i) { layers_.push_back(layer(parameters, i, has_experts(i))); });
    for (const Layer &layer : layers_) count_experts(layer.experts, num_experts_per_tok);
    declare_depths(parameters);  // which are not among the parameters that a token uses
  }

  hone_model_info info() const override {
    hone_model_info info = info_around();
    info.kv_heads = num_attention_heads;
    info.key_size = key_size();
    info.value_size = v_head_dim;
    const bool routes = routed_layers_ || (num_nextn_predict_layers && n_routed_experts);
    info.experts = routes ? n_routed_experts : 0;
    info.experts_per_token = routes ? num_experts_per_tok : 0;
    info.depths = num_nextn_predict_layers;
    info.depth_attention_layers = info.depths ? 1 : 0;
    info.depth_routed_layers = info.depths && n_routed_experts ? 1 : 0;
    return info;
  }

  Tensor forward(const hone::Tape &tape) const override {
    Tensor x = tape.embedding(embedding_);
    for (const Layer &layer : layers_) x = block(tape, layer, tape.boundary(x));
    return norm(tape, x, norm_);
  }

  // Eq. 21-23, as the published checkpoint has them: the token's embedding first, and of the depth before what the head
  // sees.
  Tensor forward_ahead(const hone::Tape &tape, Tensor before, uint32_t depth) const override {
    const Depth &here = depths_.at(depth - 1);
    const Tensor token = norm(tape, tape.embedding_ahead(embedding_, depth), here.embedding_norm);
    const Tensor state = norm(tape, before, here.hidden_norm);
    const Tensor x = tape.linear(tape.join(token, 1, state, 1), here.projection);
    return norm(tape, block(tape, here.layer, x), here.norm);
  }

  // Section 2.1.2: an overloaded expert's bias falls by bias_update_speed, an underloaded one's rises.
  void end_step(const hone::StepCounts &counts) override {
    uint32_t routed = 0;
    std::vector<const Layer *> all;
    for (const Layer &layer : layers_) all.push_back(&layer);
    for (const Depth &depth : depths_) all.push_back(&depth.layer);
    for (const Layer *each : all) {
      const hone::Experts &experts = each->experts;
      if (!experts) continue;
      const std::span<const uint64_t> count = counts.layer(routed++);
      if (!experts.balance) continue;
      uint64_t total = 0;
      for (uint64_t c : count) total += c;
      const std::span<float> bias = buffer(experts.balance);
      for (uint32_t e = 0; e < bias.size(); ++e) {
        const uint64_t load = count[e] * bias.size();  // compared in whole numbers: exact
        if (load != total) bias[e] += static_cast<float>(load < total ? bias_update_speed : -bias_update_speed);
      }
    }
  }

 private:
  struct Layer {
    Parameter input_norm, q_norm, kv_norm, post_norm;
    Linear q_a, q, kv_a, kv_b, o;
    hone::FeedForward network;  // the dense layer's, or the shared experts as one
    hone::Experts experts;
  };

  struct Depth {
    Parameter embedding_norm, hidden_norm, projection, norm;
    Layer layer;
  };

  uint32_t key_size() const { return qk_nope_head_dim + qk_rope_head_dim; }
  bool has_experts(uint32_t layer) const {
    return n_routed_experts && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }

  // Block i with its numbers: of the model, or of one depth of multi-token prediction.
  Layer layer(hone::Parameters &parameters, uint32_t i, bool routed) {
    const uint32_t heads = num_attention_heads, q_size = heads * key_size();
    const std::string at = "model.layers." + std::to_string(i) + ".", attention = at + "self_attn.", mlp = at + "mlp.";
    Layer made;
    made.input_norm = parameters.vector(at + "input_layernorm.weight", hidden_size);
    if (q_lora_rank) {
      made.q_a = Linear::declare(parameters, attention + "q_a_proj", q_lora_rank, hidden_size, attention_bias);
      made.q_norm = parameters.vector(attention + "q_a_layernorm.weight", q_lora_rank);
      made.q = Linear::declare(parameters, attention + "q_b_proj", q_size, q_lora_rank, false);
    } else {
      made.q = Linear::declare(parameters, attention + "q_proj", q_size, hidden_size, false);
    }
    made.kv_a = Linear::declare(parameters, attention + "kv_a_proj_with_mqa", kv_lora_rank + qk_rope_head_dim,
                                hidden_size, attention_bias);
    made.kv_norm = parameters.vector(attention + "kv_a_layernorm.weight", kv_lora_rank);
    made.kv_b = Linear::declare(parameters, attention + "kv_b_proj", heads * (qk_nope_head_dim + v_head_dim),
                                kv_lora_rank, false);
    made.o = Linear::declare(parameters, attention + "o_proj", hidden_size, heads * v_head_dim, attention_bias);
    made.post_norm = parameters.vector(at + "post_attention_layernorm.weight", hidden_size);
    if (!routed) {
      made.network = hone::FeedForward::declare(parameters, mlp, hidden_size, intermediate_size, mlp_bias);
      return made;
    }
    made.experts = hone::Experts::declare(parameters, mlp, n_routed_experts, hidden_size, moe_intermediate_size,
                                          topk_method == "noaux_tc");
    if (n_shared_experts)
      made.network = hone::FeedForward::declare(parameters, mlp + "shared_experts.", hidden_size,
                                                n_shared_experts * moe_intermediate_size, mlp_bias);
    return made;
  }

  // Section 2.2 in the names of the published checkpoint, whose files hold the embedding and the head once more.
  void declare_depths(hone::Parameters &parameters) {
    parameters.ahead = true;
    for (uint32_t k = 0; k < num_nextn_predict_layers; ++k) {
      const uint32_t i = num_hidden_layers + k;
      const std::string at = "model.layers." + std::to_string(i) + ".";
      Depth depth;
      depth.embedding_norm = parameters.vector(at + "enorm.weight", hidden_size);
      depth.hidden_norm = parameters.vector(at + "hnorm.weight", hidden_size);
      depth.projection = parameters.matrix(at + "eh_proj.weight", hidden_size, 2 * hidden_size);
      depth.layer = layer(parameters, i, n_routed_experts > 0);
      depth.norm = parameters.vector(at + "shared_head.norm.weight", hidden_size);
      parameters.copy(at + "embed_tokens.weight", embedding_);
      parameters.copy(at + "shared_head.head.weight", head_);
      depths_.push_back(depth);
    }
  }

  Tensor block(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    x = tape.add(x, attention(tape, layer, norm(tape, x, layer.input_norm)));
    const Tensor normed = norm(tape, x, layer.post_norm);
    if (layer.network) x = tape.add(x, layer.network(tape, normed));
    if (layer.experts) x = tape.add(x, experts(tape, layer, normed));
    return x;
  }

  Tensor attention(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    const uint32_t heads = num_attention_heads;
    const float latent_epsilon = 1e-6f;  // of the latents' norms, whatever rms_norm_eps is: as in the published code
    const Tensor latent_q =
        q_lora_rank ? tape.rms_norm(layer.q_a(tape, x), layer.q_norm, q_lora_rank, latent_epsilon) : x;
    const Tensor q = tape.rope(layer.q(tape, latent_q), rope_.shape(heads, qk_nope_head_dim, rope_interleave));

    const Tensor compressed = layer.kv_a(tape, x);
    const Tensor latent =
        tape.rms_norm(tape.slice(compressed, 1, 0, kv_lora_rank), layer.kv_norm, kv_lora_rank, latent_epsilon);
    const Tensor rotated =
        tape.rope(tape.slice(compressed, 1, kv_lora_rank, qk_rope_head_dim), rope_.shape(1, 0, rope_interleave));
    const Tensor expanded = layer.kv_b(tape, latent);
    const Tensor k = tape.join(tape.slice(expanded, heads, 0, qk_nope_head_dim), heads, rotated, 1);
    const Tensor v = tape.slice(expanded, heads, qk_nope_head_dim, v_head_dim);

    const float scale = static_cast<float>(rope_.score_factor / std::sqrt(static_cast<double>(key_size())));
    return layer.o(tape, tape.attention(q, k, v, {sizeof(hone_attention_shape), heads, heads, scale}));
  }

  Tensor experts(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    hone_route_shape shape{};
    shape.struct_size = sizeof shape;
    shape.experts_per_token = num_experts_per_tok;
    shape.groups = n_group;
    shape.groups_kept = topk_group;
    shape.group_score = topk_method == "group_limited_greedy" ? HONE_GROUP_LARGEST : HONE_GROUP_TWO_LARGEST;
    shape.gate = scoring_func == "sigmoid" ? HONE_GATE_SIGMOID : HONE_GATE_SOFTMAX;
    const bool v3 = model_type == "deepseek_v3";
    shape.normalise = norm_topk_prob && (v3 || num_experts_per_tok > 1);
    const bool scaled = v3 || !shape.normalise;  // V2 scales only what it does not normalise
    shape.scaling = scaled ? static_cast<float>(routed_scaling_factor) : 1;
    shape.sequence_loss = static_cast<float>(aux_loss_alpha);
    return layer.experts(tape, x, shape);
  }

  std::vector<Layer> layers_;
  std::vector<Depth> depths_;
};

}  // namespace

HONE_PLUGIN("hone.models.deepseek_moe", "1.0.0",
            hone::component<DeepseekMoe>("deepseek_moe",
                                         "DeepSeek-V2 and V3: latent attention, shared and routed experts"));
