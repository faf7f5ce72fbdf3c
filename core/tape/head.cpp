// head.cpp -- from hidden states to log-probabilities, entropies, values and KL, a chunk of tokens at a time, and back, a block
// of the vocabulary at a time.
//
// Tokens are independent forward. Backward, a block's weights and their gradient are read and written once, for all tokens; the
// gradient of a hidden state runs over the blocks in order. So neither size changes a bit; they are chosen for the cache.
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
    return std::clamp(fits / 16 * 16, 96u, 256u * std::max(1u, stream.threads));
  }
  // Outputs of a block in which n tokens have about 8 MiB of logits.
  static uint32_t block(uint32_t n, uint32_t V) { return std::min(V, std::max((1u << 21) / std::max(n, 1u) / 64 * 64, 64u)); }
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
                   HeadOutputs out, HeadRecord *record, const Weights *reference, const float *reference_hidden) {
  State &state = *state_;
  state.check(weights, out.kl, reference, reference_hidden, n, target, temperature);
  const uint32_t V = state.head(weights).N, C = state.head(weights).K, chunk = std::min(n, state.chunk(V));
  hone_stream *stream = &state.stream;
  state.arena.restart();
  float *logits = state.arena.floats(uint64_t{chunk} * V);
  float *lse = record ? record->lse.at_least(n) : state.arena.floats(n);
  float *other = out.kl ? state.arena.floats(uint64_t{chunk} * V) : nullptr;
  float *reference_lse = !out.kl ? nullptr : record ? record->reference_lse.at_least(n) : state.arena.floats(n);
  for (uint32_t begin = 0; begin < n; begin += chunk) {
    const uint32_t size = std::min(chunk, n - begin);
    const float *x = hidden + uint64_t{begin} * C;
    state.logits_of(weights, size, x, logits);
    state.kernels.logprob(stream, size, V, logits, temperature, target + begin, out.logp + begin, lse + begin,
                          out.entropy ? out.entropy + begin : nullptr);
    if (out.value) state.kernels.value_head(stream, size, C, x, state.value_weights(weights), out.value + begin);
    if (out.kl) {
      state.logits_of(*reference, size, reference_hidden + uint64_t{begin} * state.head(*reference).K, other);
      state.kernels.kl(stream, size, V, logits, other, temperature, out.kl + begin, reference_lse + begin);
    }
  }
  if (record) {
    record->n = n, record->has_entropy = out.entropy, record->has_kl = out.kl;
    if (out.entropy) state.kernels.copy(stream, record->entropy.at_least(n), out.entropy, n);
    if (out.kl) state.kernels.copy(stream, record->kl.at_least(n), out.kl, n);
  }
  state.kernels.synchronize(stream);
}

void Head::backward(const Weights &weights, uint32_t n, const float *hidden, const int32_t *target, float temperature,
                    const HeadRecord &record, const float *dlogp, const float *dentropy, const float *dvalue,
                    const float *dkl, float *d_hidden, float *gradient, const Weights *reference,
                    const float *reference_hidden) {
  State &state = *state_;
  state.check(weights, dkl, reference, reference_hidden, n, target, temperature);
  if (record.n != n || (dentropy && !record.has_entropy) || (dkl && !record.has_kl))
    throw Failure("the head is differentiated where it did not run: " + std::to_string(n) + " tokens, and forward() recorded " +
                  std::to_string(record.n) + (record.has_entropy ? " with" : " without") + " entropies and" +
                  (record.has_kl ? " with" : " without") + " KL");
  const hone_weight &weight = state.head(weights);
  const uint32_t V = weight.N, C = weight.K, columns = state.block(n, V);
  const ParameterInfo &head = weights.parameters()[weights.architecture().info().head];
  hone_stream *stream = &state.stream;
  state.arena.restart();
  const auto floats = [&](uint64_t count) { return state.arena.floats(count); };
  if (dlogp || dentropy || dkl) {
    float *logits = floats(uint64_t{n} * columns), *other = nullptr, *from_kl = nullptr, *zeroes = nullptr;
    if (dkl) other = floats(uint64_t{n} * columns), from_kl = floats(uint64_t{n} * columns);
    if (!dlogp) {
      zeroes = floats(n);
      state.kernels.fill(stream, zeroes, n, 0);
    }
    for (uint32_t first = 0; first < V; first += columns) {
      const uint32_t count = std::min(columns, V - first);
      const uint64_t numbers = uint64_t{n} * count;
      hone_weight part;
      state.kernels.weight_outputs(&weight, first, count, &part);
      state.kernels.matmul(stream, n, hidden, C, &part, logits, count, 0);
      if (dkl) {
        hone_weight reference_part;
        state.kernels.weight_outputs(&state.head(*reference), first, count, &reference_part);
        state.kernels.matmul(stream, n, reference_hidden, reference_part.K, &reference_part, other, count, 0);
        state.kernels.fill(stream, from_kl, numbers, 0);
        state.kernels.kl_backward(stream, n, count, logits, other, temperature, record.lse.data(), record.reference_lse.data(),
                                  record.kl.data(), dkl, from_kl);
      }
      state.kernels.logprob_backward(stream, n, first, count, logits, temperature, target, record.lse.data(),
                                     dentropy ? record.entropy.data() : nullptr, dlogp ? dlogp : zeroes, dentropy);
      if (dkl) state.kernels.add_scaled(stream, numbers, from_kl, 1, logits);
      state.kernels.matmul_backward_input(stream, n, logits, count, &part, d_hidden, C, 1);
      if (head.trained)
        state.kernels.matmul_backward_weight(stream, weight.dtype, n, count, C, hidden, C, logits, count,
                                             gradient + head.offset + uint64_t{first} * C);
    }
  }
  if (dvalue)
    state.kernels.value_head_backward(stream, n, C, hidden, state.value_weights(weights), dvalue, d_hidden,
                                      gradient + weights.parameters().back().offset);
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
