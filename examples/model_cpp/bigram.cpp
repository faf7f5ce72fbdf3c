// bigram.cpp -- the smallest model there is: the next token from the last one alone. hidden = norm(embedding), logits = head hidden.
#include <hone/model.hpp>

namespace {

class Bigram final : public hone::Model {
 public:
  static constexpr const char *model_types[] = {"bigram", nullptr};
  static constexpr const char *architectures[] = {"BigramForCausalLM", nullptr};

  uint32_t vocab_size = 256, hidden_size = 64, max_position_embeddings = 1024;
  float initializer_range = 0.02f;

  static auto params() {
    return hone::params(hone::param("vocab_size", &Bigram::vocab_size, "tokens", {.min = 2, .max = 1e7}),
                        hone::param("hidden_size", &Bigram::hidden_size, "width", {.min = 1, .max = 1e5}),
                        hone::param("max_position_embeddings", &Bigram::max_position_embeddings, "longest row", {.min = 1}),
                        hone::param("initializer_range", &Bigram::initializer_range, "deviation of fresh matrices", {.min = 0}));
  }

  void declare(hone::Parameters &p) override {
    p.deviation = initializer_range;
    embedding_ = p.table("model.embed_tokens.weight", vocab_size, hidden_size);
    norm_ = p.vector("model.norm.weight", hidden_size);
    head_ = p.matrix("lm_head.weight", vocab_size, hidden_size);
  }

  hone_model_info info() const override {
    hone_model_info out{};
    out.vocab_size = vocab_size, out.hidden_size = hidden_size, out.max_positions = max_position_embeddings;
    out.head = head_.index;
    out.active_parameters = uint64_t{2} * vocab_size * hidden_size + hidden_size;
    return out;
  }

  hone::Tensor forward(const hone::Tape &tape) const override {
    return tape.rms_norm(tape.embedding(embedding_), norm_, hidden_size, 1e-6f);
  }

 private:
  hone::Parameter embedding_, norm_, head_;
};

}  // namespace

HONE_PLUGIN("org.example.bigram", "1.0.0", hone::component<Bigram>("bigram", "the next token from the last one alone"));
