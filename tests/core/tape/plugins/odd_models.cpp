// odd_models.cpp -- a model for tests: by its setting `fault` it composes a pass that the tape must refuse, or uses an
// operator of its own.
#include <hone/model.hpp>

namespace {

using hone::Tensor;

// y = x * x, elementwise.
void square(void *, uint32_t T, const float *const *inputs, float *output) {
  for (uint32_t i = 0; i < T * 8; ++i) output[i] = inputs[0][i] * inputs[0][i];
}
void square_backward(void *, uint32_t T, const float *const *inputs, const float *, const float *d_output,
                     float *const *d_inputs) {
  for (uint32_t i = 0; i < T * 8; ++i) d_inputs[0][i] += 2 * inputs[0][i] * d_output[i];
}

class Odd final : public hone::Model {
 public:
  static constexpr const char *model_types[] = {"odd", nullptr};
  static constexpr const char *architectures[] = {"OddForCausalLM", nullptr};
  std::string fault;
  static auto params() { return hone::params(hone::param("fault", &Odd::fault, "what to do wrong")); }

  void declare(hone::Parameters &parameters) override {
    if (fault == "declares twice") parameters.vector("norm", 8);
    table_ = parameters.matrix("table", 16, 8);
    wide_ = parameters.matrix("wide", 8, 9);
    norm_ = parameters.vector("norm", 8);
    head_ = parameters.matrix("head", 16, 8);
  }
  hone_model_info info() const override {
    hone_model_info info{};
    info.vocab_size = 16;
    info.hidden_size = 8;
    info.max_positions = 32;
    info.kv_heads = info.key_size = info.value_size = 8;
    info.attention_layers = fault == "attends too little" ? 1 : 0;
    info.head = fault == "has the wrong head" ? norm_.index : head_.index;
    return info;
  }
  Tensor forward(const hone::Tape &tape) const override {
    const Tensor x = tape.embedding(table_);
    if (fault == "multiplies what does not fit") return tape.linear(x, wide_);
    if (fault == "reaches over a boundary") {
      const Tensor before = tape.scale(x, 2), next = tape.boundary(x);
      return tape.add(next, before);
    }
    if (fault == "adds nothing") return tape.add(x, Tensor{});
    if (fault == "adds a stranger") return tape.add(x, Tensor{99});
    if (fault == "normalises unevenly") return tape.rms_norm(x, norm_, 3, 1e-6f);
    if (fault == "adds a parameter") return tape.add(x, tape.parameter(norm_));
    if (fault == "slices beyond the head") return tape.slice(x, 2, 3, 2);
    if (fault == "attends too much") return tape.attention(x, x, x, {sizeof(hone_attention_shape), 8, 8, 1});
    if (fault == "tells no size") return tape.attention(x, x, x, {0, 8, 8, 1});
    if (fault == "knows an older shape") return tape.route(x, {}, {8, 1, 1, 1, 0, 0, 1, 0, 0});
    if (fault == "ends with nothing") return Tensor{};
    if (fault == "ends too narrow") return tape.slice(x, 1, 0, 4);
    if (fault == "throws") throw hone::Error("the moon is full");
    if (fault == "goes on after an error") return tape.scale(tape.add(tape.linear(x, wide_), x), 2);
    if (fault == "knows a newer shape") return rotated_by_a_longer_shape(tape, x);
    hone_custom op{sizeof(hone_custom), 8, nullptr, square, square_backward};
    return tape.rms_norm(tape.custom(std::array{x}, op), norm_, 8, 1e-6f);
  }

 private:
  // A later SDK's shape: fields that this host does not know follow the known ones.
  static Tensor rotated_by_a_longer_shape(const hone::Tape &tape, Tensor x) {
    static constexpr float frequency[] = {1, 0.5f};
    struct Longer {
      hone_rope_shape known;
      uint64_t later[4];
    } longer{{sizeof(Longer), 2, 0, 4, 0, 1, frequency}, {~0ull, ~0ull, ~0ull, ~0ull}};
    return tape.rope(x, longer.known);
  }
  hone::Parameter table_, wide_, norm_, head_;
};

}  // namespace

HONE_PLUGIN("test.odd", "1.0.0", hone::component<Odd>("odd", "a model that does what its test asks"));
