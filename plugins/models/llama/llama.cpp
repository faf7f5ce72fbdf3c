// llama.cpp -- dense decoders: Llama (arXiv 2302.13971), Qwen2 (2407.10671) and Qwen3 (2505.09388).
// Pre-norm blocks of grouped-query attention with rotary positions and of a SwiGLU network; RMSNorm throughout.
#include <algorithm>
#include <hone/model.hpp>

#include "../shared/rope.hpp"

namespace {

using hone::Parameter;
using hone::Tensor;

class Llama final : public hone::Model {
 public:
  static constexpr const char *model_types[] = {"llama", "qwen2", "qwen3", nullptr};
  static constexpr const char *architectures[] = {"LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", nullptr};
  static constexpr const char *null_settings[] = {"num_key_value_heads", "head_dim", "rope_scaling", nullptr};

  std::string model_type = "llama", hidden_act = "silu";
  uint32_t vocab_size = 32000, hidden_size = 4096, intermediate_size = 11008, num_hidden_layers = 32,
           num_attention_heads = 32;
  uint32_t num_key_value_heads = 0, head_dim = 0, max_position_embeddings = 2048;
  double rope_theta = 10000, rms_norm_eps = 1e-6, initializer_range = 0.02;
  hone::JsonTable rope_scaling;
  bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false, use_sliding_window = false;

  static auto params() {
    using hone::param;
    return hone::params(
        param("model_type", &Llama::model_type, "the family: qwen2 adds biases to q, k and v; qwen3 norms q and k",
              {.choices = {"llama", "qwen2", "qwen3"}}),
        param("vocab_size", &Llama::vocab_size, "tokens in the vocabulary", {.min = 1, .max = 1 << 24}),
        param("hidden_size", &Llama::hidden_size, "width of the residual stream", {.min = 1, .max = 1 << 20}),
        param("intermediate_size", &Llama::intermediate_size, "width of the SwiGLU network",
              {.min = 1, .max = 1 << 22}),
        param("num_hidden_layers", &Llama::num_hidden_layers, "blocks", {.min = 1, .max = 4096}),
        param("num_attention_heads", &Llama::num_attention_heads, "query heads", {.min = 1, .max = 1 << 14}),
        param("num_key_value_heads", &Llama::num_key_value_heads, "key and value heads; 0: as many as query heads",
              {.min = 0, .max = 1 << 14}),
        param("head_dim", &Llama::head_dim, "width of a head; 0: hidden_size / num_attention_heads",
              {.min = 0, .max = 1 << 14}),
        param("max_position_embeddings", &Llama::max_position_embeddings, "most tokens in a sequence",
              {.min = 1, .max = 1 << 26}),
        param("rope_theta", &Llama::rope_theta, "base of the rotary frequencies", {.min = 1e-3}),
        param("rope_scaling", &Llama::rope_scaling,
              "how positions are stretched: linear or llama3, with its numbers; {}: not at all"),
        param("rms_norm_eps", &Llama::rms_norm_eps, "added to the mean square", {.min = 0, .max = 1}),
        param("initializer_range", &Llama::initializer_range, "standard deviation of fresh weights",
              {.min = 0, .max = 10}),
        param("hidden_act", &Llama::hidden_act, "the gate's activation", {.choices = {"silu"}}),
        param("tie_word_embeddings", &Llama::tie_word_embeddings, "whether the embedding is the head too"),
        param("attention_bias", &Llama::attention_bias, "whether q, k, v and o have biases (llama, qwen3)"),
        param("mlp_bias", &Llama::mlp_bias, "whether the SwiGLU network has biases (llama)"),
        param("use_sliding_window", &Llama::use_sliding_window,
              "attention to the last tokens only: not supported, must be false"));
  }

  void declare(hone::Parameters &parameters) override {
    if (use_sliding_window)
      throw hone::Error("use_sliding_window is true, but this model attends to all tokens; set it to false");
    if (num_key_value_heads == 0) num_key_value_heads = num_attention_heads;
    if (num_attention_heads % num_key_value_heads)
      throw hone::Error("num_key_value_heads " + std::to_string(num_key_value_heads) +
                        " does not divide num_attention_heads " + std::to_string(num_attention_heads));
    if (head_dim == 0) {
      if (hidden_size % num_attention_heads)
        throw hone::Error("num_attention_heads " + std::to_string(num_attention_heads) +
                          " does not divide hidden_size " + std::to_string(hidden_size) + "; give head_dim");
      head_dim = hidden_size / num_attention_heads;
    }
    rope_ = hone::make_rope(head_dim, rope_theta, rope_scaling.text, false);

    const bool qwen2 = model_type == "qwen2", qwen3 = model_type == "qwen3";
    const uint32_t q_size = num_attention_heads * head_dim, kv_size = num_key_value_heads * head_dim;
    parameters.deviation = static_cast<float>(initializer_range);
    const auto linear = [&](const std::string &name, uint32_t out, uint32_t in, bool bias) {
      Linear made{parameters.matrix(name + ".weight", out, in), {}};
      if (bias) made.bias = parameters.bias(name + ".bias", out);
      return made;
    };
    embedding_ = parameters.table("model.embed_tokens.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < num_hidden_layers; ++i) {
      const std::string at = "model.layers." + std::to_string(i) + ".";
      Layer layer;
      layer.input_norm = parameters.vector(at + "input_layernorm.weight", hidden_size);
      layer.q = linear(at + "self_attn.q_proj", q_size, hidden_size, qwen2 || attention_bias);
      layer.k = linear(at + "self_attn.k_proj", kv_size, hidden_size, qwen2 || attention_bias);
      layer.v = linear(at + "self_attn.v_proj", kv_size, hidden_size, qwen2 || attention_bias);
      layer.o = linear(at + "self_attn.o_proj", hidden_size, q_size, !qwen2 && attention_bias);
      if (qwen3) {
        layer.q_norm = parameters.vector(at + "self_attn.q_norm.weight", head_dim);
        layer.k_norm = parameters.vector(at + "self_attn.k_norm.weight", head_dim);
      }
      layer.post_norm = parameters.vector(at + "post_attention_layernorm.weight", hidden_size);
      layer.gate = linear(at + "mlp.gate_proj", intermediate_size, hidden_size, mlp_bias);
      layer.up = linear(at + "mlp.up_proj", intermediate_size, hidden_size, mlp_bias);
      layer.down = linear(at + "mlp.down_proj", hidden_size, intermediate_size, mlp_bias);
      layers_.push_back(layer);
    }
    norm_ = parameters.vector("model.norm.weight", hidden_size);
    head_ = tie_word_embeddings ? embedding_ : parameters.matrix("lm_head.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < parameters.count(); ++i) active_ += parameters.elements({i});
  }

  hone_model_info info() const override {
    hone_model_info info{};
    info.vocab_size = vocab_size;
    info.hidden_size = hidden_size;
    info.max_positions = max_position_embeddings;
    info.attention_layers = num_hidden_layers;
    info.kv_heads = num_key_value_heads;
    info.key_size = info.value_size = head_dim;
    info.head = head_.index;
    info.active_parameters = active_;
    return info;
  }

  Tensor forward(const hone::Tape &tape) const override {
    const float epsilon = static_cast<float>(rms_norm_eps);
    Tensor x = tape.embedding(embedding_);
    for (const Layer &layer : layers_) {
      x = tape.boundary(x);
      x = tape.add(x, attention(tape, layer, tape.rms_norm(x, layer.input_norm, hidden_size, epsilon)));
      const Tensor normed = tape.rms_norm(x, layer.post_norm, hidden_size, epsilon);
      const Tensor hidden = tape.swiglu(layer.gate(tape, normed), layer.up(tape, normed));
      x = tape.add(x, layer.down(tape, hidden));
    }
    return tape.rms_norm(x, norm_, hidden_size, epsilon);
  }

 private:
  struct Linear {
    Parameter weight, bias;
    Tensor operator()(const hone::Tape &tape, Tensor x) const { return tape.linear(x, weight, bias); }
  };
  struct Layer {
    Parameter input_norm, q_norm, k_norm, post_norm;
    Linear q, k, v, o, gate, up, down;
  };

  Tensor attention(const hone::Tape &tape, const Layer &layer, Tensor x) const {
    Tensor q = layer.q(tape, x), k = layer.k(tape, x);
    const Tensor v = layer.v(tape, x);
    if (layer.q_norm) {
      q = tape.rms_norm(q, layer.q_norm, head_dim, static_cast<float>(rms_norm_eps));
      k = tape.rms_norm(k, layer.k_norm, head_dim, static_cast<float>(rms_norm_eps));
    }
    q = tape.rope(q, rope_.shape(num_attention_heads, 0, false));
    k = tape.rope(k, rope_.shape(num_key_value_heads, 0, false));
    const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));
    return layer.o(tape, tape.attention(q, k, v, {num_attention_heads, num_key_value_heads, scale}));
  }

  hone::Rope rope_;
  Parameter embedding_, norm_, head_;
  std::vector<Layer> layers_;
  uint64_t active_ = 0;
};

}  // namespace

HONE_PLUGIN("hone.models.llama", "1.0.0",
            hone::component<Llama>("llama", "dense decoders of the Llama, Qwen2 and Qwen3 families"));
