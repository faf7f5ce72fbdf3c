// deepseek_moe.cpp -- DeepSeek-V2 (arXiv 2405.04434) and DeepSeek-V3 (2412.19437): multi-head latent attention (MLA)
// with a decoupled rotary key shared by all heads, and mixture-of-experts layers of shared and routed experts. In V3
// the experts are balanced by a bias on the choice (section 2.1.2), beside an optional small sequence-wise loss (eq.
// 17-20), and layers after the last one may predict further tokens (multi-token prediction, section 2.2).
#include <algorithm>
#include <hone/model.hpp>

#include "../shared/rope.hpp"

namespace {

using hone::Parameter;
using hone::Tensor;

class DeepseekMoe final : public hone::Model {
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

  std::string model_type = "deepseek_v3", scoring_func = "sigmoid", topk_method = "noaux_tc", hidden_act = "silu";
  uint32_t vocab_size = 129280, hidden_size = 7168, intermediate_size = 18432, moe_intermediate_size = 2048,
           num_hidden_layers = 61;
  uint32_t num_attention_heads = 128, num_key_value_heads = 0, n_shared_experts = 1, n_routed_experts = 256,
           num_experts_per_tok = 8;
  uint32_t n_group = 8, topk_group = 4, first_k_dense_replace = 3, moe_layer_freq = 1;
  uint32_t kv_lora_rank = 512, q_lora_rank = 0, qk_rope_head_dim = 64, v_head_dim = 128, qk_nope_head_dim = 128,
           max_position_embeddings = 4096;
  uint32_t num_nextn_predict_layers = 0;
  double routed_scaling_factor = 2.5, rope_theta = 10000, rms_norm_eps = 1e-6, initializer_range = 0.02;
  double bias_update_speed = 0.001, aux_loss_alpha = 0;
  hone::JsonTable rope_scaling;
  bool norm_topk_prob = true, seq_aux = true, tie_word_embeddings = false, attention_bias = false, mlp_bias = false,
       rope_interleave = true;

  static auto params() {
    using hone::param;
    using M = DeepseekMoe;
    return hone::params(
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
        param("routed_scaling_factor", &M::routed_scaling_factor, "multiplies the routed experts' weights", {.min = 0}),
        param("bias_update_speed", &M::bias_update_speed,
              "how far the choice's bias moves in one step to balance the experts", {.min = 0, .max = 1}),
        param("aux_loss_alpha", &M::aux_loss_alpha, "weight of the sequence-wise balance loss; 0: none", {.min = 0}),
        param("seq_aux", &M::seq_aux, "whether that loss is per sequence; must be true where it is used"),
        param("rope_theta", &M::rope_theta, "base of the rotary frequencies", {.min = 1e-3}),
        param("rope_scaling", &M::rope_scaling,
              "how positions are stretched: linear, llama3 or yarn, with its numbers; {}: not at all"),
        param("rms_norm_eps", &M::rms_norm_eps, "added to the mean square", {.min = 0, .max = 1}),
        param("initializer_range", &M::initializer_range, "standard deviation of fresh weights", {.min = 0, .max = 10}),
        param("hidden_act", &M::hidden_act, "the gate's activation", {.choices = {"silu"}}),
        param("tie_word_embeddings", &M::tie_word_embeddings, "whether the embedding is the head too"),
        param("attention_bias", &M::attention_bias, "whether the latents' and the output projection have biases"),
        param("mlp_bias", &M::mlp_bias, "whether the dense and the shared networks have biases (V2)"),
        param("rope_interleave", &M::rope_interleave,
              "whether a head's rotated pairs are neighbours; false: halves (V3)"),
        param("num_nextn_predict_layers", &M::num_nextn_predict_layers,
              "depths of multi-token prediction: layers after the last, trained by a stage's mtp_loss_weight (V3)",
              {.min = 0, .max = 64}));
  }

  void declare(hone::Parameters &parameters) override {
    check();
    rope_ = hone::make_rope({qk_rope_head_dim, rope_theta, rope_scaling.text, max_position_embeddings});
    parameters.deviation = static_cast<float>(initializer_range);
    embedding_ = parameters.table("model.embed_tokens.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < num_hidden_layers; ++i) layers_.push_back(layer(parameters, i, has_experts(i)));
    for (const Layer &layer : layers_) routed_layers_ += layer.routed;
    norm_ = parameters.vector("model.norm.weight", hidden_size);
    head_ = tie_word_embeddings ? embedding_ : parameters.matrix("lm_head.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < parameters.count(); ++i) active_ += parameters.elements({i});
    active_ -= unused_;
    declare_depths(parameters);
  }

  hone_model_info info() const override {
    hone_model_info info{};
    info.vocab_size = vocab_size;
    info.hidden_size = hidden_size;
    info.max_positions = max_position_embeddings;
    info.attention_layers = num_hidden_layers;
    info.kv_heads = num_attention_heads;
    info.key_size = key_size();
    info.value_size = v_head_dim;
    const bool routes = routed_layers_ || (num_nextn_predict_layers && n_routed_experts);
    info.routed_layers = routed_layers_;
    info.experts = routes ? n_routed_experts : 0;
    info.experts_per_token = routes ? num_experts_per_tok : 0;
    info.depths = num_nextn_predict_layers;
    info.depth_attention_layers = info.depths ? 1 : 0;
    info.depth_routed_layers = info.depths && n_routed_experts ? 1 : 0;
    info.head = head_.index;
    info.active_parameters = active_;
    return info;
  }

  Tensor forward(const hone::Tape &tape) const override {
    const float epsilon = static_cast<float>(rms_norm_eps);
    Tensor x = tape.embedding(embedding_);
    for (const Layer &layer : layers_) x = block(tape, layer, tape.boundary(x));
    return tape.rms_norm(x, norm_, hidden_size, epsilon);
  }

  // Eq. 21-23, as the published checkpoint has them: the token's embedding first, and of the depth before what the head
  // sees.
  Tensor forward_ahead(const hone::Tape &tape, Tensor before, uint32_t depth) const override {
    const float epsilon = static_cast<float>(rms_norm_eps);
    const Depth &here = depths_.at(depth - 1);
    const Tensor token =
        tape.rms_norm(tape.embedding_ahead(embedding_, depth), here.embedding_norm, hidden_size, epsilon);
    const Tensor state = tape.rms_norm(before, here.hidden_norm, hidden_size, epsilon);
    const Tensor x = tape.linear(tape.join(token, 1, state, 1), here.projection);
    return tape.rms_norm(block(tape, here.layer, x), here.norm, hidden_size, epsilon);
  }

  // Section 2.1.2: an overloaded expert's bias falls by bias_update_speed, an underloaded one's rises.
  void end_step(const hone::StepCounts &counts) override {
    uint32_t routed = 0;
    std::vector<const Layer *> all;
    for (const Layer &layer : layers_) all.push_back(&layer);
    for (const Depth &depth : depths_) all.push_back(&depth.layer);
    for (const Layer *each : all) {
      const Layer &layer = *each;
      if (!layer.routed) continue;
      const std::span<const uint64_t> count = counts.layer(routed++);
      if (!layer.balance) continue;
      uint64_t total = 0;
      for (uint64_t c : count) total += c;
      const std::span<float> bias = buffer(layer.balance);
      for (uint32_t e = 0; e < bias.size(); ++e) {
        const uint64_t load = count[e] * bias.size();  // compared in whole numbers: exact
        if (load != total) bias[e] += static_cast<float>(load < total ? bias_update_speed : -bias_update_speed);
      }
    }
  }

 private:
  struct Linear {
    Parameter weight, bias;
    Tensor operator()(const hone::Tape &tape, Tensor x) const { return tape.linear(x, weight, bias); }
  };
  struct Network {  // SwiGLU
    Linear gate, up, down;
    Tensor operator()(const hone::Tape &tape, Tensor x) const {
      return down(tape, tape.swiglu(gate(tape, x), up(tape, x)));
    }
  };
  struct Layer {
    Parameter input_norm, q_norm, kv_norm, post_norm;
    Linear q_a, q, kv_a, kv_b, o;
    Network network;  // the dense layer's, or the shared experts as one
    bool routed = false;
    Parameter router, balance, expert_gate, expert_up, expert_down;
  };

  struct Depth {
    Parameter embedding_norm, hidden_norm, projection, norm;
    Layer layer;
  };

  uint32_t key_size() const { return qk_nope_head_dim + qk_rope_head_dim; }
  bool has_experts(uint32_t layer) const {
    return n_routed_experts && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }

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

  // Block i with its numbers: of the model, or of one depth of multi-token prediction.
  Layer layer(hone::Parameters &parameters, uint32_t i, bool routed) {
    const uint32_t heads = num_attention_heads, q_size = heads * key_size();
    const std::string at = "model.layers." + std::to_string(i) + ".", attention = at + "self_attn.", mlp = at + "mlp.";
    Layer made;
    made.input_norm = parameters.vector(at + "input_layernorm.weight", hidden_size);
    if (q_lora_rank) {
      made.q_a = linear(parameters, attention + "q_a_proj", q_lora_rank, hidden_size, attention_bias);
      made.q_norm = parameters.vector(attention + "q_a_layernorm.weight", q_lora_rank);
      made.q = linear(parameters, attention + "q_b_proj", q_size, q_lora_rank, false);
    } else {
      made.q = linear(parameters, attention + "q_proj", q_size, hidden_size, false);
    }
    made.kv_a = linear(parameters, attention + "kv_a_proj_with_mqa", kv_lora_rank + qk_rope_head_dim, hidden_size,
                       attention_bias);
    made.kv_norm = parameters.vector(attention + "kv_a_layernorm.weight", kv_lora_rank);
    made.kv_b =
        linear(parameters, attention + "kv_b_proj", heads * (qk_nope_head_dim + v_head_dim), kv_lora_rank, false);
    made.o = linear(parameters, attention + "o_proj", hidden_size, heads * v_head_dim, attention_bias);
    made.post_norm = parameters.vector(at + "post_attention_layernorm.weight", hidden_size);
    if (routed) {
      made.routed = true;
      made.router = parameters.matrix(mlp + "gate.weight", n_routed_experts, hidden_size);
      if (topk_method == "noaux_tc")
        made.balance = parameters.buffer(mlp + "gate.e_score_correction_bias", n_routed_experts);
      made.expert_gate =
          parameters.experts(mlp + "experts.{}.gate_proj.weight", n_routed_experts, moe_intermediate_size, hidden_size);
      made.expert_up =
          parameters.experts(mlp + "experts.{}.up_proj.weight", n_routed_experts, moe_intermediate_size, hidden_size);
      made.expert_down =
          parameters.experts(mlp + "experts.{}.down_proj.weight", n_routed_experts, hidden_size, moe_intermediate_size);
      if (n_shared_experts)
        made.network = network(parameters, mlp + "shared_experts.", n_shared_experts * moe_intermediate_size);
      for (Parameter p : {made.expert_gate, made.expert_up, made.expert_down})
        unused_ += parameters.elements(p) / n_routed_experts * (n_routed_experts - num_experts_per_tok);
    } else {
      made.network = network(parameters, mlp, intermediate_size);
    }
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

  static Linear linear(hone::Parameters &parameters, const std::string &name, uint32_t out, uint32_t in, bool bias) {
    Linear made{parameters.matrix(name + ".weight", out, in), {}};
    if (bias) made.bias = parameters.bias(name + ".bias", out);
    return made;
  }
  Network network(hone::Parameters &parameters, const std::string &at, uint32_t width) const {
    Network made;
    made.gate = linear(parameters, at + "gate_proj", width, hidden_size, mlp_bias);
    made.up = linear(parameters, at + "up_proj", width, hidden_size, mlp_bias);
    made.down = linear(parameters, at + "down_proj", hidden_size, width, mlp_bias);
    return made;
  }

  Tensor block(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    const float epsilon = static_cast<float>(rms_norm_eps);
    x = tape.add(x, attention(tape, layer, tape.rms_norm(x, layer.input_norm, hidden_size, epsilon)));
    const Tensor normed = tape.rms_norm(x, layer.post_norm, hidden_size, epsilon);
    if (layer.network.gate.weight) x = tape.add(x, layer.network(tape, normed));
    if (layer.routed) x = tape.add(x, experts(tape, layer, normed));
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
    return layer.o(tape, tape.attention(q, k, v, {heads, heads, scale}));
  }

  Tensor experts(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    hone_route_shape shape{};
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
    const Tensor route = tape.route(tape.linear(x, layer.router), layer.balance, shape);
    return tape.experts(x, route, layer.expert_gate, layer.expert_up, layer.expert_down);
  }

  hone::Rope rope_;
  Parameter embedding_, norm_, head_;
  std::vector<Layer> layers_;
  std::vector<Depth> depths_;
  uint32_t routed_layers_ = 0;
  uint64_t active_ = 0, unused_ = 0;  // for one token, without the depths; of experts that it did not choose
};

}  // namespace

HONE_PLUGIN("hone.models.deepseek_moe", "1.0.0",
            hone::component<DeepseekMoe>("deepseek_moe",
                                         "DeepSeek-V2 and V3: latent attention, shared and routed experts"));
