// head.cpp -- from hidden states to log-probabilities, entropies, values and KL, a chunk of tokens at a time.
//
// Tokens are independent forward, and weight gradients run over tokens in order from what is there, so the chunk's size
// changes no bit; it is chosen so that a chunk's logits stay in cache.
#include <algorithm>

#include "core/base/failure.h"
#include "core/tape/arena.h"
#include "core/tape/tape.h"

namespace hone {

struct Head::State {
  const hone_kernels &kernels;
  hone_stream stream;
  Arena arena, sampling;

  State(const hone_kernels &table, const hone_stream &work)
      : kernels(table), stream(work), arena(table), sampling(table) {}

  static const hone_weight &head(const Weights &weights) {
    if (!weights.prepared())
      throw Failure("model " + weights.architecture().component() +
                    ": its weights were changed after they were last prepared");
    return weights.weight(weights.architecture().info().head);
  }
  static const float *value_weights(const Weights &weights) {
    if (!weights.has_value_head())
      throw Failure("model " + weights.architecture().component() + " has no value head; it cannot give values");
    return weights.value_head();
  }
  uint32_t chunk(uint32_t V) const {
    const uint32_t fits = (1u << 18) / V * std::max(1u, stream.threads);
    return std::clamp(fits / 16 * 16, 64u, 256u * std::max(1u, stream.threads));
  }
  void logits_of(const Weights &weights, uint32_t n, const float *hidden, float *logits) {
    const hone_weight &weight = head(weights);
    kernels.matmul(&stream, n, hidden, weight.K, &weight, logits, weight.N, 0);
  }
  void check(const Weights &weights, const float *wants_kl, const Weights *reference, const float *reference_hidden,
             uint32_t n, const int32_t *target, float temperature) const {
    const uint32_t V = weights.architecture().info().vocab_size;
    if (!(temperature > 0))
      throw Failure("log-probabilities need a temperature above 0, not " + std::to_string(temperature));
    for (uint32_t i = 0; i < n; ++i)
      if (target[i] < 0 || static_cast<uint32_t>(target[i]) >= V)
        throw Failure("token id " + std::to_string(target[i]) + " is outside the vocabulary of " + std::to_string(V));
    if (!wants_kl) return;
    if (!reference || !reference_hidden) throw Failure("a KL needs the reference model's weights and hidden states");
    if (reference->architecture().info().vocab_size != V)
      throw Failure("a KL needs equal vocabularies, but they have " + std::to_string(V) + " and " +
                    std::to_string(reference->architecture().info().vocab_size) + " tokens");
  }
};

Head::Head(const hone_kernels &kernels, const hone_stream &stream) : state_(std::make_unique<State>(kernels, stream)) {}
Head::~Head() = default;

void Head::forward(const Weights &weights, uint32_t n, const float *hidden, const int32_t *target, float temperature,
                   HeadOutputs out, const Weights *reference, const float *reference_hidden) {
  State &state = *state_;
  state.check(weights, out.kl, reference, reference_hidden, n, target, temperature);
  const uint32_t V = state.head(weights).N, C = state.head(weights).K, chunk = std::min(n, state.chunk(V));
  hone_stream *stream = &state.stream;
  state.arena.restart();
  float *logits = state.arena.floats(uint64_t{chunk} * V), *lse = state.arena.floats(chunk);
  float *other = out.kl ? state.arena.floats(uint64_t{chunk} * V) : nullptr;
  for (uint32_t begin = 0; begin < n; begin += chunk) {
    const uint32_t size = std::min(chunk, n - begin);
    const float *x = hidden + uint64_t{begin} * C;
    state.logits_of(weights, size, x, logits);
    state.kernels.logprob(stream, size, V, logits, temperature, target + begin, out.logp + begin, lse,
                          out.entropy ? out.entropy + begin : nullptr);
    if (out.value) state.kernels.value_head(stream, size, C, x, state.value_weights(weights), out.value + begin);
    if (out.kl) {
      state.logits_of(*reference, size, reference_hidden + uint64_t{begin} * state.head(*reference).K, other);
      state.kernels.kl(stream, size, V, logits, other, temperature, out.kl + begin);
    }
  }
  state.kernels.synchronize(stream);
}

void Head::backward(const Weights &weights, uint32_t n, const float *hidden, const int32_t *target, float temperature,
                    const float *dlogp, const float *dentropy, const float *dvalue, const float *dkl, float *d_hidden,
                    float *gradient, const Weights *reference, const float *reference_hidden) {
  State &state = *state_;
  state.check(weights, dkl, reference, reference_hidden, n, target, temperature);
  const hone_weight &weight = state.head(weights);
  const uint32_t V = weight.N, C = weight.K, chunk = std::min(n, state.chunk(V));
  const ParameterInfo &head = weights.parameters()[weights.architecture().info().head];
  hone_stream *stream = &state.stream;
  state.arena.restart();
  const auto floats = [&](uint64_t count) { return state.arena.floats(count); };
  float *logits = floats(uint64_t{chunk} * V), *lse = floats(chunk), *logp = floats(chunk),
        *entropy = dentropy ? floats(chunk) : nullptr;
  float *other = dkl ? floats(uint64_t{chunk} * V) : nullptr, *from_kl = dkl ? floats(uint64_t{chunk} * V) : nullptr,
        *kl = dkl ? floats(chunk) : nullptr;
  for (uint32_t begin = 0; begin < n; begin += chunk) {
    const uint32_t size = std::min(chunk, n - begin);
    const float *x = hidden + uint64_t{begin} * C;
    float *dx = d_hidden + uint64_t{begin} * C;
    const uint64_t numbers = uint64_t{size} * V;
    if (dlogp || dkl) {
      state.logits_of(weights, size, x, logits);
      if (dkl) {
        state.logits_of(*reference, size, reference_hidden + uint64_t{begin} * state.head(*reference).K, other);
        state.kernels.kl(stream, size, V, logits, other, temperature, kl);
        state.kernels.fill(stream, from_kl, numbers, 0);
        state.kernels.kl_backward(stream, size, V, logits, other, temperature, kl, dkl + begin, from_kl);
      }
      state.kernels.logprob(stream, size, V, logits, temperature, target + begin, logp, lse, entropy);
      state.kernels.logprob_backward(stream, size, V, logits, temperature, target + begin, lse, entropy, dlogp + begin,
                                     dentropy ? dentropy + begin : nullptr);
      if (dkl) state.kernels.add_scaled(stream, numbers, from_kl, 1, logits);
      state.kernels.matmul_backward_input(stream, size, logits, V, &weight, dx, C);
      if (head.trained)
        state.kernels.matmul_backward_weight(stream, size, V, C, x, C, logits, V, gradient + head.offset);
    }
    if (dvalue) {
      const float *value = state.value_weights(weights);
      state.kernels.value_head_backward(stream, size, C, x, value, dvalue + begin, dx,
                                        gradient + weights.parameters().back().offset);
    }
  }
  state.kernels.synchronize(stream);
}

const float *Head::logits(const Weights &weights, uint32_t n, const float *hidden) {
  State &state = *state_;
  state.sampling.restart();
  float *logits = state.sampling.floats(uint64_t{n} * state.head(weights).N);
  state.logits_of(weights, n, hidden, logits);
  state.kernels.synchronize(&state.stream);
  return logits;
}

}  // namespace hone
