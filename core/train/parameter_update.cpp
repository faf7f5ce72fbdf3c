// parameter_update.cpp -- cuts parameters into spans: pieces of 65,536 elements, or one matrix each.
#include "core/train/parameter_update.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "core/model/safetensors.h"
#include "core/plugin/registry.h"

namespace hone {
namespace {

constexpr uint64_t piece = 65536;

std::string state_name(size_t state, const ParameterInfo &parameter) {
  return "state" + std::to_string(state) + "." + parameter.name;
}

uint32_t span_flags(const Weights &weights, uint32_t index) {
  const uint32_t flags = weights.parameters()[index].flags;
  const bool value_head = weights.has_value_head() && index + 1 == weights.parameters().size();
  return (flags & HONE_PARAMETER_DECAY ? HONE_SPAN_DECAY : 0) | (flags & HONE_PARAMETER_LOOKUP ? HONE_SPAN_EMBEDDING : 0) |
         (value_head || index == weights.architecture().info().head ? HONE_SPAN_HEAD : 0);
}

// The spans of one update with what they point to.
class Spans {
 public:
  Spans(Weights &weights, const float *gradient, const std::vector<FloatBuffer> &states, bool whole_matrices,
        uint32_t frozen) {
    uint64_t count = 0;
    const auto cut = [&](bool counting) {
      for (uint32_t index = 0; index < weights.parameters().size(); ++index) {
        const ParameterInfo &parameter = weights.parameters()[index];
        if (!parameter.trained || (parameter.flags & frozen)) continue;
        const bool experts = (parameter.flags & HONE_PARAMETER_EXPERTS) != 0;
        const size_t matrix_dims = parameter.dims.size() - experts;
        const uint64_t step = !whole_matrices ? piece : experts ? parameter.size / parameter.dims[0] : parameter.size;
        for (uint64_t from = 0; from < parameter.size; from += step) {
          if (counting) {
            ++count;
            continue;
          }
          const uint64_t offset = parameter.offset + from;
          float *const *state = states_.data() + states_.size();
          for (const FloatBuffer &buffer : states) states_.push_back(buffer.data() + offset);
          hone_span span{};
          span.struct_size = sizeof span;
          span.flags = span_flags(weights, index);
          span.name = {parameter.name.data(), parameter.name.size()};
          span.size = std::min(step, parameter.size - from);
          if (whole_matrices && matrix_dims == 2)
            span.rows = parameter.dims[experts], span.columns = parameter.dims[experts + 1];
          span.parameter = weights.data() + offset;
          span.gradient = gradient + offset;
          span.state = state;
          spans_.push_back(span);
        }
      }
    };
    cut(true);
    states_.reserve(count * states.size());  // never moves: spans point into it
    spans_.reserve(count);
    cut(false);
    // Many small spans go together in one call; a call never has more than about one piece.
    for (size_t i = 0, end; i < spans_.size(); i = end) {
      uint64_t size = spans_[i].size;
      for (end = i + 1; end < spans_.size() && size + spans_[end].size <= piece / 4; ++end) size += spans_[end].size;
      calls_.push_back({i, end});
    }
  }
  const std::vector<std::pair<size_t, size_t>> &calls() const { return calls_; }
  const hone_span *span(size_t i) const { return &spans_[i]; }

 private:
  std::vector<hone_span> spans_;
  std::vector<float *> states_;
  std::vector<std::pair<size_t, size_t>> calls_;
};

}  // namespace

ParameterUpdate::ParameterUpdate(const hone_kernels &kernels, const Weights &weights, const hone_optimizer &methods,
                                 void *self)
    : kernels_(kernels),
      methods_(methods),
      self_(self),
      n_states_(methods.n_states(self)),
      whole_matrices_(methods.granularity && methods.granularity(self) == HONE_WHOLE_MATRIX) {
  if (n_states_ > 16)
    throw Failure("the optimizer asks for " + std::to_string(n_states_) +
                  " numbers of state per parameter; at most 16");
  for (uint32_t i = 0; i < n_states_; ++i) states_.emplace_back(kernels, weights.trained_size());
}

void ParameterUpdate::apply(Pool &pool, Weights &weights, const float *gradient, double factor,
                            double gradient_scale, uint32_t frozen) {
  const Spans spans(weights, gradient, states_, whole_matrices_, frozen);
  hone_update update{};
  update.struct_size = sizeof update;
  update.span_size = sizeof(hone_span);
  update.step = ++updates_;
  update.learning_rate_factor = factor;
  update.gradient_scale = gradient_scale;
  pool.loop(spans.calls().size(), 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const auto [first, last] = spans.calls()[i];
      hone_error error{};
      check_call(methods_.update(self_, &update, spans.span(first), static_cast<uint32_t>(last - first), &error), error,
                 "the optimizer");
    }
  });
}

void ParameterUpdate::save(const std::filesystem::path &path, const Weights &weights) const {
  hone_stream stream = Pool::serial_stream();
  const bool on_host = std::string_view(kernels_.device) == "cpu";  // the numbers can be written from where they are
  std::vector<std::vector<float>> copies;
  std::vector<TensorToWrite> tensors;
  for (size_t i = 0; i < states_.size(); ++i) {
    const float *state = states_[i].data();
    if (!on_host) {
      copies.emplace_back(weights.trained_size());
      kernels_.copy_out(&stream, copies.back().data(), state, copies.back().size() * sizeof(float));
      state = copies.back().data();
    }
    for (const ParameterInfo &parameter : weights.parameters())
      if (parameter.trained)
        tensors.push_back({state_name(i, parameter),
                           "F32",
                           {parameter.dims.begin(), parameter.dims.end()},
                           state + parameter.offset,
                           parameter.size * sizeof(float)});
  }
  if (kernels_.synchronize(&stream) != 0) throw Failure("the device failed while the optimizer's state was read");
  write_safetensors(path, tensors, {{"format", "hone.optimizer"}, {"states", std::to_string(n_states_)}, {"updates", std::to_string(updates_)}});
}

void ParameterUpdate::load(const std::filesystem::path &path, const Weights &weights) {
  const Safetensors file(path);
  const auto states = file.metadata().find("states");
  if (states == file.metadata().end() || states->second != std::to_string(n_states_))
    throw Failure(path.string() + " holds " + (states == file.metadata().end() ? "no count of" : states->second) +
                  " state buffers, but this optimizer keeps " + std::to_string(n_states_) +
                  "; was it written by another optimizer?");
  const auto updates = file.metadata().find("updates");
  uint64_t count = 0;
  if (updates == file.metadata().end() ||
      std::from_chars(updates->second.data(), updates->second.data() + updates->second.size(), count).ec != std::errc())
    throw Failure(path.string() + " does not say how many updates there were (\"updates\" in its header); was it written by an older hone?");
  // Read all before any of it is used: a damaged file changes nothing.
  std::vector<std::vector<float>> host(states_.size(), std::vector<float>(weights.trained_size()));
  for (size_t i = 0; i < states_.size(); ++i)
    for (const ParameterInfo &parameter : weights.parameters())
      if (parameter.trained)
        file.read_floats(state_name(i, parameter), host[i].data() + parameter.offset, parameter.size);
  hone_stream stream = Pool::serial_stream();
  for (size_t i = 0; i < states_.size(); ++i)
    kernels_.copy_in(&stream, states_[i].data(), host[i].data(), host[i].size() * sizeof(float));
  if (kernels_.synchronize(&stream) != 0) throw Failure("the device failed while the optimizer's state was loaded");
  updates_ = count;
}

}  // namespace hone
