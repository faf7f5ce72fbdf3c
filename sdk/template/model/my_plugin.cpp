// my_plugin.cpp -- a model: embedding, `num_hidden_layers` gated feed-forward blocks, a last norm. It sees one token at a time;
// attention is tape.attention(q, k, v, shape).
#include <hone/model.hpp>

namespace {

class MyPlugin final : public hone::Model {
 public:
  static constexpr const char *model_types[] = {"my_plugin", nullptr};
  static constexpr const char *architectures[] = {"MyPluginForCausalLM", nullptr};

  uint32_t vocab_size = 256, hidden_size = 64, intermediate_size = 128, num_hidden_layers = 2, max_position_embeddings = 1024;
  float rms_norm_eps = 1e-6f;

  static auto params() {
    return hone::params(hone::param("vocab_size", &MyPlugin::vocab_size, "tokens", {.min = 2, .max = 1e7}),
                        hone::param("hidden_size", &MyPlugin::hidden_size, "width", {.min = 1, .max = 1e5}),
                        hone::param("intermediate_size", &MyPlugin::intermediate_size, "width of the feed-forward", {.min = 1, .max = 1e6}),
                        hone::param("num_hidden_layers", &MyPlugin::num_hidden_layers, "blocks", {.min = 1, .max = 1000}),
                        hone::param("max_position_embeddings", &MyPlugin::max_position_embeddings, "longest row", {.min = 1}),
                        hone::param("rms_norm_eps", &MyPlugin::rms_norm_eps, "keeps the norm from dividing by 0", {.min = 0}));
  }

  void declare(hone::Parameters &p) override {
    embedding_ = p.table("model.embed_tokens.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < num_hidden_layers; ++i) {
      const std::string layer = "model.layers." + std::to_string(i) + ".";
      layers_.push_back({p.vector(layer + "norm.weight", hidden_size), p.matrix(layer + "gate_proj.weight", intermediate_size, hidden_size),
                         p.matrix(layer + "up_proj.weight", intermediate_size, hidden_size),
                         p.matrix(layer + "down_proj.weight", hidden_size, intermediate_size)});
    }
    norm_ = p.vector("model.norm.weight", hidden_size);
    head_ = p.matrix("lm_head.weight", vocab_size, hidden_size);
    for (uint32_t i = 0; i < p.count(); ++i) elements_ += p.elements({i});
  }

  hone_model_info info() const override {
    hone_model_info out{};
    out.vocab_size = vocab_size, out.hidden_size = hidden_size, out.max_positions = max_position_embeddings;
    out.head = head_.index;
    out.active_parameters = elements_;
    return out;
  }

  hone::Tensor forward(const hone::Tape &tape) const override {
    hone::Tensor x = tape.embedding(embedding_);
    for (const Layer &layer : layers_) {
      x = tape.boundary(x);
      const hone::Tensor y = tape.rms_norm(x, layer.norm, hidden_size, rms_norm_eps);
      x = tape.add(x, tape.linear(tape.swiglu(tape.linear(y, layer.gate), tape.linear(y, layer.up)), layer.down));
    }
    return tape.rms_norm(x, norm_, hidden_size, rms_norm_eps);
  }

 private:
  struct Layer {
    hone::Parameter norm, gate, up, down;
  };
  hone::Parameter embedding_, norm_, head_;
  std::vector<Layer> layers_;
  uint64_t elements_ = 0;
};

}  // namespace

HONE_PLUGIN("org.example.my_plugin", "0.1.0", hone::component<MyPlugin>("my_plugin", "a model that sees one token at a time"));
