// score_tokens.cpp -- log-probs of given sequences: packed passes, the same bits as the sampler recorded.
#include <algorithm>
#include <atomic>

#include "core/rollout/packed_pass.h"
#include "core/rollout/sampler.h"

namespace hone {
namespace {

constexpr uint32_t unit_tokens = 2048;

}  // namespace

std::vector<ScoredTokens> score_tokens(const hone_kernels &kernels, Pool &pool, const Weights &weights,
                                       const std::vector<std::vector<int32_t>> &sequences,
                                       const std::vector<uint32_t> &begin, float temperature, bool entropy, bool value,
                                       uint64_t small_model) {
  if (begin.size() != sequences.size())
    throw Failure("score_tokens: " + std::to_string(sequences.size()) + " sequences but " +
                  std::to_string(begin.size()) + " places to begin at");
  if (!(temperature >= 0))
    throw Failure("score_tokens: temperature is " + number_text(temperature) + "; it must be 0 or more");
  if (value && !weights.has_value_head()) throw Failure("score_tokens: the model has no value head");
  if (temperature == 0) temperature = 1;  // as the sampler records greedy responses

  std::vector<ScoredTokens> scored(sequences.size());
  std::vector<size_t> units{0};  // first sequence of each, and the end
  uint64_t tokens = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const std::string what = "sequence " + std::to_string(i);
    check_sequence(weights, sequences[i], what);
    if (begin[i] == 0) throw Failure(what + " is scored from its first token, which nothing predicts; begin at 1");
    const size_t n = sequences[i].size() - std::min<size_t>(begin[i], sequences[i].size());
    scored[i].logp.resize(n);
    if (entropy) scored[i].entropy.resize(n);
    if (value) scored[i].value.resize(n);
    if (tokens > 0 && tokens + sequences[i].size() > unit_tokens) units.push_back(i), tokens = 0;
    tokens += sequences[i].size();
  }
  units.push_back(sequences.size());

  weights.prepare(pool);
  const auto run_unit = [&](PackedPass &pass, size_t unit) {
    PackedRows rows;
    std::vector<uint32_t> places;
    for (size_t i = units[unit]; i < units[unit + 1]; ++i) {
      places.clear();
      for (uint32_t t = begin[i]; t < sequences[i].size(); ++t) places.push_back(t);
      if (!places.empty()) rows.add(sequences[i], places, value);
    }
    const uint32_t n = rows.predicted();
    if (n == 0) return;
    std::vector<float> logp(n), entropies(entropy ? n : 0), values(value ? n : 0);
    pass.forward(weights, rows, temperature,
                 {logp.data(), entropy ? entropies.data() : nullptr, value ? values.data() : nullptr, nullptr});
    size_t from = 0;
    for (size_t i = units[unit]; i < units[unit + 1]; ++i) {
      const size_t count = scored[i].logp.size();
      std::copy_n(logp.begin() + from, count, scored[i].logp.begin());
      if (entropy) std::copy_n(entropies.begin() + from, count, scored[i].entropy.begin());
      if (value) std::copy_n(values.begin() + from, count, scored[i].value.begin());
      from += count;
    }
  };

  const size_t n_units = units.size() - 1;
  if (weights.model_size() >= small_model) {
    PackedPass pass(kernels, pool.stream());
    for (size_t unit = 0; unit < n_units; ++unit) run_unit(pass, unit);
    return scored;
  }
  std::atomic<size_t> next{0};
  pool.loop(std::min<uint64_t>(pool.threads(), n_units), 1, [&](uint64_t first, uint64_t last) {
    for (uint64_t worker = first; worker < last; ++worker) {
      PackedPass pass(kernels, Pool::serial_stream());
      for (size_t unit; (unit = next++) < n_units;) run_unit(pass, unit);
    }
  });
  return scored;
}

}  // namespace hone
