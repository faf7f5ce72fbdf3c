// llama.cpp -- decoders of Llama's kind (arXiv 2302.13971), for every row of families.hpp: blocks of grouped-query
// attention with rotary positions and of a SwiGLU network, or of several that are chosen from per token; RMSNorm
// throughout.
#include <algorithm>
#include <hone/json.hpp>
#include <hone/model.hpp>

#include "../shared/rope.hpp"
#include "families.hpp"

namespace {

using hone::Parameter;
using hone::Tensor;

class Llama final : public hone::Model {
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

  std::string model_type = "llama", hidden_act = "silu";
  uint32_t vocab_size = 32000, hidden_size = 4096, intermediate_size = 11008, num_hidden_layers = 32,
           num_attention_heads = 32;
  uint32_t num_key_value_heads = 0, head_dim = 0, max_position_embeddings = 2048, sliding_window = 0;
  uint32_t num_experts = 0, num_experts_per_tok = 0, moe_intermediate_size = 0, decoder_sparse_step = 0,
           no_rope_layer_interval = 0;
  double rope_theta = 10000, rms_norm_eps = 1e-6, initializer_range = 0.02;
  double embedding_multiplier = 0, attention_multiplier = 0, residual_multiplier = 0, logits_scaling = 0;
  hone::JsonTable rope_scaling;
  hone::JsonList layer_types, mlp_only_layers, no_rope_layers;
  bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false, use_sliding_window = false,
       norm_topk_prob = false;

  static auto params() {
    using hone::param;
    using L = Llama;
    return hone::params(
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
              {.min = 1, .max = 1 << 26}),
        param("rope_theta", &L::rope_theta, "base of the rotary frequencies", {.min = 1e-3}),
        param("rope_scaling", &L::rope_scaling,
              "how positions are stretched: linear, dynamic, llama3 or yarn, with its numbers; {}: not at all"),
        param("rms_norm_eps", &L::rms_norm_eps, "added to the mean square", {.min = 0, .max = 1}),
        param("initializer_range", &L::initializer_range, "standard deviation of fresh weights", {.min = 0, .max = 10}),
        param("hidden_act", &L::hidden_act, "the gate's activation", {.choices = {"silu"}}),
        param("tie_word_embeddings", &L::tie_word_embeddings, "whether the embedding is the head too"),
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
        param("embedding_multiplier", &L::embedding_multiplier, "multiplies the embeddings (granite)", {.min = 0}),
        param("attention_multiplier", &L::attention_multiplier, "scale of the attention's scores (granite)",
              {.min = 0}),
        param("residual_multiplier", &L::residual_multiplier, "multiplies what a block's parts add (granite)",
              {.min = 0}),
        param("logits_scaling", &L::logits_scaling, "divides the logits (granite)", {.min = 0}));
  }

  void declare(hone::Parameters &parameters) override {
    check();
    rope_ = hone::make_rope({head_dim, rope_theta, rope_scaling.text, max_position_embeddings});
    const std::vector<bool> routed = layers_with_experts(), rotated = layers_with_rope();
    parameters.deviation = static_cast<float>(initializer_range);
    embedding_ = parameters.table("model.embed_tokens.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < num_hidden_layers; ++i) layers_.push_back(layer(parameters, i, routed[i], rotated[i]));
    norm_ = parameters.vector("model.norm.weight", hidden_size);
    head_ = tie_word_embeddings ? embedding_ : parameters.matrix("lm_head.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < parameters.count(); ++i) all_ += parameters.elements({i});
  }

  hone_model_info info() const override {
    hone_model_info info{};
    info.vocab_size = vocab_size;
    info.hidden_size = hidden_size;
    info.max_positions = max_position_embeddings;
    info.attention_layers = num_hidden_layers;
    info.kv_heads = num_key_value_heads;
    info.key_size = info.value_size = head_dim;
    info.routed_layers = routed_layers_;
    info.experts = routed_layers_ ? num_experts : 0;
    info.experts_per_token = routed_layers_ ? num_experts_per_tok : 0;
    info.head = head_.index;
    info.active_parameters = all_ - unused_;
    return info;
  }

  Tensor forward(const hone::Tape &tape) const override {
    Tensor x = scaled(tape, tape.embedding(embedding_), embedding_multiplier);
    for (const Layer &layer : layers_) {
      x = tape.boundary(x);
      const Tensor mixed = attention(tape, layer, norm(tape, x, layer.before_attention));
      x = add(tape, x, norm(tape, mixed, layer.after_attention));
      const Tensor input = norm(tape, x, layer.before_network);
      const Tensor output = layer.router ? experts(tape, layer, input) : layer.network(tape, input);
      x = add(tape, x, norm(tape, output, layer.after_network));
    }
    x = norm(tape, x, norm_);
    return logits_scaling > 0 ? scaled(tape, x, 1 / logits_scaling) : x;
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
    Parameter before_attention, after_attention, before_network, after_network;  // norms; some families lack some
    Parameter q_norm, k_norm;
    Linear q, k, v, o;
    Network network;                                        // of a dense layer
    Parameter router, expert_gate, expert_up, expert_down;  // of one with experts
    bool rotated;
  };

  static constexpr hone::Limits families() {
    hone::Limits limits;
    static_assert(std::size(kFamilies) < std::size(hone::Limits{}.choices));
    for (size_t i = 0; i < std::size(kFamilies); ++i) limits.choices[i] = kFamilies[i].model_type;
    return limits;
  }

  void check() {
    const auto text = [](auto n) { return std::to_string(n); };
    const auto *row = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [&](const Family &each) { return each.model_type == model_type; });
    if (row == std::end(kFamilies)) throw hone::Error("model_type \"" + model_type + "\" is not known here");
    family_ = row;
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
                                      {"logits_scaling", logits_scaling}})
      needed(name, value > 0, family_->multipliers);
    belongs("norm_topk_prob", norm_topk_prob, family_->experts);
    belongs("mlp_only_layers", mlp_only_layers.text != "[]", family_->experts);
    const bool listed = no_rope_layers.text != "[]";
    belongs("no_rope_layers", listed, family_->layers_without_rope);
    if (!listed) needed("no_rope_layer_interval", no_rope_layer_interval > 0, family_->layers_without_rope);
    if (num_experts_per_tok > num_experts)
      throw hone::Error("num_experts_per_tok " + text(num_experts_per_tok) + " is more than num_experts " +
                        text(num_experts));
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

  static Linear linear(hone::Parameters &parameters, const std::string &name, uint32_t out, uint32_t in, bool bias) {
    Linear made{parameters.matrix(name + ".weight", out, in), {}};
    if (bias) made.bias = parameters.bias(name + ".bias", out);
    return made;
  }
  Layer layer(hone::Parameters &parameters, uint32_t i, bool routed, bool rotated) {
    const std::string at = "model.layers." + std::to_string(i) + ".", attention = at + "self_attn.", mlp = at + "mlp.";
    const uint32_t q_size = num_attention_heads * head_dim, kv_size = num_key_value_heads * head_dim;
    const auto has = [&](Bias bias) { return bias == Bias::always || (bias == Bias::by_setting && attention_bias); };
    const bool qkv_bias = has(family_->qkv_bias);
    Layer made;
    made.rotated = rotated;
    if (!family_->norms_after) made.before_attention = parameters.vector(at + "input_layernorm.weight", hidden_size);
    made.q = linear(parameters, attention + "q_proj", q_size, hidden_size, qkv_bias);
    made.k = linear(parameters, attention + "k_proj", kv_size, hidden_size, qkv_bias);
    made.v = linear(parameters, attention + "v_proj", kv_size, hidden_size, qkv_bias);
    made.o = linear(parameters, attention + "o_proj", hidden_size, q_size, has(family_->output_bias));
    if (family_->query_key_norm != QueryKeyNorm::none) {
      const bool all = family_->query_key_norm == QueryKeyNorm::of_all;
      made.q_norm = parameters.vector(attention + "q_norm.weight", all ? q_size : head_dim);
      made.k_norm = parameters.vector(attention + "k_norm.weight", all ? kv_size : head_dim);
    }
    // The same name for the norm after attention and for the one before the network.
    (family_->norms_after ? made.after_attention : made.before_network) =
        parameters.vector(at + "post_attention_layernorm.weight", hidden_size);
    if (routed) {
      add_experts(parameters, mlp, made);
    } else {
      made.network.gate = linear(parameters, mlp + "gate_proj", intermediate_size, hidden_size, mlp_bias);
      made.network.up = linear(parameters, mlp + "up_proj", intermediate_size, hidden_size, mlp_bias);
      made.network.down = linear(parameters, mlp + "down_proj", hidden_size, intermediate_size, mlp_bias);
    }
    if (family_->norms_after)
      made.after_network = parameters.vector(at + "post_feedforward_layernorm.weight", hidden_size);
    return made;
  }
  void add_experts(hone::Parameters &parameters, const std::string &mlp, Layer &layer) {
    const uint32_t E = num_experts, F = moe_intermediate_size, C = hidden_size;
    layer.router = parameters.matrix(mlp + "gate.weight", E, C);
    layer.expert_gate = parameters.experts(mlp + "experts.{}.gate_proj.weight", E, F, C);
    layer.expert_up = parameters.experts(mlp + "experts.{}.up_proj.weight", E, F, C);
    layer.expert_down = parameters.experts(mlp + "experts.{}.down_proj.weight", E, C, F);
    unused_ += uint64_t{3} * F * C * (E - num_experts_per_tok);
    ++routed_layers_;
  }

  // x itself where the family has no norm.
  Tensor norm(const hone::Tape &tape, Tensor x, Parameter weight) const {
    return weight ? tape.rms_norm(x, weight, hidden_size, static_cast<float>(rms_norm_eps)) : x;
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
    return layer.o(tape,
                   tape.attention(q, k, v, {num_attention_heads, num_key_value_heads, static_cast<float>(scale)}));
  }

  Tensor experts(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    hone_route_shape shape{};
    shape.experts_per_token = num_experts_per_tok;
    shape.groups = shape.groups_kept = 1;
    shape.gate = HONE_GATE_SOFTMAX;
    shape.normalise = norm_topk_prob;
    shape.scaling = 1;
    const Tensor route = tape.route(tape.linear(x, layer.router), {}, shape);
    return tape.experts(x, route, layer.expert_gate, layer.expert_up, layer.expert_down);
  }

  const Family *family_ = nullptr;
  hone::Rope rope_;
  Parameter embedding_, norm_, head_;
  std::vector<Layer> layers_;
  uint32_t routed_layers_ = 0;
  uint64_t all_ = 0, unused_ = 0;
};

}  // namespace

HONE_PLUGIN("hone.models.llama", "1.0.0",
            hone::component<Llama>("llama", "decoders of the Llama, Qwen, Mistral, Granite, SmolLM and OLMo families"));
