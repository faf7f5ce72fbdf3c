// model.hpp -- write a model as a list of parameters and a forward pass (draft: may change until ABI 1.1).
#pragma once

#include "hone/draft/model.h"
#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

// What the tape computed: [T, columns]. Valid until forward() returns. False: none, or the tape met an error, which the host
// reports when forward() returns.
struct Tensor {
  hone_tensor id = 0;
  explicit operator bool() const { return id != 0; }
};

// A declared parameter: its place in the order of declaration. False: none.
struct Parameter {
  uint32_t index = UINT32_MAX;
  explicit operator bool() const { return index != UINT32_MAX; }
};

// Where a model declares what it is made of, once. Matrices are [out, in]; names are the checkpoint's.
class Parameters {
 public:
  float deviation = 0.02f;  // of freshly made matrices that give none of their own (config.json's initializer_range)
  bool ahead = false;       // set while declaring what forward_ahead() alone uses (HONE_PARAMETER_AHEAD)

  Parameter matrix(std::string name, uint32_t out, uint32_t in, float its_deviation = -1) {
    return add({std::move(name), HONE_PARAMETER_DECAY, {out, in}, HONE_INIT_NORMAL, scale(its_deviation)});
  }
  // A table [rows, columns] that tape.embedding() looks rows up in; it may be the head as well.
  Parameter table(std::string name, uint32_t rows, uint32_t columns, float its_deviation = -1) {
    return add({std::move(name), HONE_PARAMETER_DECAY | HONE_PARAMETER_LOOKUP, {rows, columns}, HONE_INIT_NORMAL,
                scale(its_deviation)});
  }
  // A norm's weight: starts as ones, never decays.
  Parameter vector(std::string name, uint32_t n) { return add({std::move(name), 0, {n}, HONE_INIT_ONE, 0}); }
  // Starts as zeroes, never decays.
  Parameter bias(std::string name, uint32_t n) { return add({std::move(name), 0, {n}, HONE_INIT_ZERO, 0}); }
  // One matrix for each expert; "{}" in the name stands for the expert's number.
  Parameter experts(std::string name, uint32_t experts, uint32_t out, uint32_t in, float its_deviation = -1) {
    return add({std::move(name), HONE_PARAMETER_DECAY | HONE_PARAMETER_EXPERTS, {experts, out, in}, HONE_INIT_NORMAL,
                scale(its_deviation)});
  }
  // Not trained by gradients; zeroes at first; end_step may change it.
  Parameter buffer(std::string name, uint32_t n) {
    return add({std::move(name), HONE_PARAMETER_BUFFER, {n}, HONE_INIT_ZERO, 0});
  }
  // Checkpoints hold this parameter a second time, under this name.
  void copy(std::string name, Parameter of) { copies_.emplace_back(std::move(name), of); }

  uint32_t count() const { return static_cast<uint32_t>(all_.size()); }
  uint64_t elements(Parameter parameter) const {
    uint64_t n = 1;
    for (uint32_t d : all_.at(parameter.index).dims) n *= d;
    return n;
  }

 private:
  friend class Model;
  struct Declared {
    std::string name;
    uint32_t flags;
    std::vector<uint32_t> dims;
    uint32_t init;
    float init_scale;
  };
  float scale(float its_deviation) const { return its_deviation < 0 ? deviation : its_deviation; }
  Parameter add(Declared declared) {
    for (uint32_t d : declared.dims)
      if (d == 0) throw Error("parameter " + declared.name + " has a dimension of 0; check the sizes in the settings");
    if (ahead) declared.flags |= HONE_PARAMETER_AHEAD;
    all_.push_back(std::move(declared));
    return {count() - 1};
  }
  std::vector<Declared> all_;
  std::vector<std::pair<std::string, Parameter>> copies_;
};

// The operators, as draft/tape.h describes them. A weight is given as the Parameter itself, or as a Tensor.
class Tape {
 public:
  explicit Tape(const hone_tape &raw) : raw_(detail::known(raw)) {}

  class Operand {
   public:
    Operand() = default;
    Operand(Tensor tensor) : tensor_(tensor) {}
    Operand(Parameter parameter) : parameter_(parameter) {}

   private:
    friend class Tape;
    Tensor tensor_;
    Parameter parameter_;
  };

  uint32_t tokens() const { return raw_.tokens(raw_.ctx); }
  Tensor parameter(Parameter p) const { return {p ? raw_.parameter(raw_.ctx, p.index) : 0}; }
  Tensor embedding(Operand table) const { return {raw_.embedding(raw_.ctx, id(table))}; }
  Tensor linear(Tensor x, Operand weight, Operand bias = {}) const { return {raw_.linear(raw_.ctx, x.id, id(weight), id(bias))}; }
  Tensor rms_norm(Tensor x, Operand weight, uint32_t width, float epsilon) const {
    return {raw_.rms_norm(raw_.ctx, x.id, id(weight), width, epsilon)};
  }
  Tensor add(Tensor a, Tensor b) const { return {raw_.add(raw_.ctx, a.id, b.id)}; }
  Tensor scale(Tensor a, float factor) const { return {raw_.scale(raw_.ctx, a.id, factor)}; }
  Tensor swiglu(Tensor gate, Tensor up) const { return {raw_.swiglu(raw_.ctx, gate.id, up.id)}; }
  Tensor slice(Tensor x, uint32_t heads, uint32_t begin, uint32_t size) const {
    return {raw_.slice(raw_.ctx, x.id, heads, begin, size)};
  }
  Tensor join(Tensor a, uint32_t a_heads, Tensor b, uint32_t b_heads) const {
    return {raw_.join(raw_.ctx, a.id, a_heads, b.id, b_heads)};
  }
  Tensor rope(Tensor x, const hone_rope_shape &shape) const { return {raw_.rope(raw_.ctx, x.id, &shape)}; }
  Tensor attention(Tensor q, Tensor k, Tensor v, const hone_attention_shape &shape) const {
    return {raw_.attention(raw_.ctx, q.id, k.id, v.id, &shape)};
  }
  Tensor route(Tensor logits, Operand bias, const hone_route_shape &shape) const {
    return {raw_.route(raw_.ctx, logits.id, id(bias), &shape)};
  }
  Tensor experts(Tensor x, Tensor route, Operand gate, Operand up, Operand down) const {
    return {raw_.experts(raw_.ctx, x.id, route.id, id(gate), id(up), id(down))};
  }
  Tensor custom(std::span<const Tensor> inputs, const hone_custom &op) const {
    static_assert(sizeof(Tensor) == sizeof(hone_tensor));
    std::vector<hone_tensor> ids;
    for (Tensor input : inputs) ids.push_back(input.id);
    return {raw_.custom(raw_.ctx, ids.data(), static_cast<uint32_t>(ids.size()), &op)};
  }
  Tensor boundary(Tensor x) const { return {raw_.boundary(raw_.ctx, x.id)}; }
  Tensor embedding_ahead(Operand table, uint32_t ahead) const {
    return {raw_.embedding_ahead ? raw_.embedding_ahead(raw_.ctx, id(table), ahead) : 0};
  }
  const hone_tape &raw() const { return raw_; }

 private:
  hone_tensor id(const Operand &operand) const { return operand.parameter_ ? parameter(operand.parameter_).id : operand.tensor_.id; }
  hone_tape raw_;
};

// How many (token, choice) pairs each expert of each routed layer got in one optimizer step.
class StepCounts {
 public:
  explicit StepCounts(const hone_step_counts &raw) : raw_(detail::known(raw)) {}
  uint32_t layers() const { return raw_.layers; }
  uint32_t experts() const { return raw_.experts; }
  std::span<const uint64_t> layer(uint32_t i) const { return {raw_.count + size_t{i} * raw_.experts, raw_.experts}; }

 private:
  hone_step_counts raw_;
};

// What the class itself tells, in arrays with a null at their end: config.json's "model_type" values that it serves, the
// entry of "architectures" for each, and (if any) the settings whose 0, "" or {} is null in config.json:
//   static constexpr const char *model_types[] = {"llama", nullptr};
//   static constexpr const char *architectures[] = {"LlamaForCausalLM", nullptr};
//   static constexpr const char *null_settings[] = {"rope_scaling", nullptr};
// and, as draft/model.h describes them: type_defaults (one for each of model_types), depths_setting.
class Model {
 public:
  using Interface = Model;
  static constexpr const char *kind = HONE_MODEL;

  virtual ~Model() = default;
  // Declares every parameter, once, after the settings are set; keep the handles it gives. Throw Error for settings that do not fit.
  virtual void declare(Parameters &parameters) = 0;
  virtual hone_model_info info() const = 0;  // struct_size is set by the caller of this
  // Ends with the hidden states after the last norm. const, because passes overlap: [many].
  virtual Tensor forward(const Tape &tape) const = 0;
  // Multi-token prediction, for models whose info() tells of depths: one more of them, from 1, in the pass of forward(). [many]
  virtual Tensor forward_ahead(const Tape &, Tensor, uint32_t) const { throw Error("this model predicts one token at a time"); }
  // After each optimizer update; buffer(p) gives a buffer's numbers to change. [main]
  virtual void end_step(const StepCounts &) {}

  // Within end_step().
  std::span<float> buffer(Parameter p) const {
    if (!buffers_ || !buffers_[p.index]) throw Error("parameter " + std::to_string(p.index) + " is no buffer, or this is not end_step()");
    return {buffers_[p.index], static_cast<size_t>(declared_.elements(p))};
  }
  void created() { declare(declared_); }

  template <class T>
  static const hone_model &methods_for() {
    static const hone_model m{
        sizeof(hone_model), T::model_types, T::architectures,
        [](void *self, hone_model_info *out, hone_error *err) {
          return detail::guard(err, [&] {
            hone_model_info info = static_cast<const Model *>(self)->info();
            info.struct_size = out->struct_size;
            std::memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
          });
        },
        [](void *self, void (*visit)(void *, const hone_parameter *), void *arg, hone_error *err) {
          return detail::guard(err, [&] {
            for (const Parameters::Declared &p : static_cast<const Model *>(self)->declared_.all_) {
              hone_parameter raw{};
              raw.struct_size = sizeof raw;
              raw.flags = p.flags;
              raw.name = detail::str(p.name);
              raw.n_dims = static_cast<uint32_t>(p.dims.size());
              for (size_t i = 0; i < p.dims.size(); ++i) raw.dims[i] = p.dims[i];
              raw.init = p.init;
              raw.init_scale = p.init_scale;
              visit(arg, &raw);
            }
          });
        },
        [](void *self, const hone_tape *tape, hone_tensor *hidden, hone_error *err) {
          return detail::guard(err, [&] { *hidden = static_cast<const Model *>(self)->forward(Tape(*tape)).id; });
        },
        [](void *self, const hone_step_counts *counts, float *const *buffers, hone_error *err) {
          return detail::guard(err, [&] {
            Model &model = *static_cast<Model *>(self);
            model.buffers_ = buffers;
            struct Forget {
              Model &model;
              ~Forget() { model.buffers_ = nullptr; }
            } forget{model};
            model.end_step(StepCounts(*counts));
          });
        },
        null_settings_of<T>(),
        type_defaults_of<T>(),
        [](void *self, const hone_tape *tape, hone_tensor hidden, uint32_t depth, hone_tensor *out, hone_error *err) {
          return detail::guard(err, [&] { *out = static_cast<const Model *>(self)->forward_ahead(Tape(*tape), Tensor{hidden}, depth).id; });
        },
        depths_setting_of<T>(),
        [](void *self, void (*visit)(void *, hone_str, uint32_t), void *arg, hone_error *err) {
          return detail::guard(err, [&] {
            for (const auto &[name, of] : static_cast<const Model *>(self)->declared_.copies_) visit(arg, detail::str(name), of.index);
          });
        }};
    return m;
  }

 private:
  template <class T>
  static const char *const *null_settings_of() {
    if constexpr (requires { T::null_settings; }) return T::null_settings;
    else return nullptr;
  }
  template <class T>
  static const char *const *type_defaults_of() {
    if constexpr (requires { T::type_defaults; }) return T::type_defaults;
    else return nullptr;
  }
  template <class T>
  static const char *depths_setting_of() {
    if constexpr (requires { T::depths_setting; }) return T::depths_setting;
    else return nullptr;
  }
  Parameters declared_;
  float *const *buffers_ = nullptr;
};

}  // namespace hone
