// sampler.h -- samples responses: continuous batching over a paged KV cache, what sequences begin with alike computed once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tape/tape.h"

namespace hone {

// Models of fewer numbers than this are worked on by all threads apart, each with its own tape and its own rows; larger
// ones by one pass at a time, whose kernels use all threads. Which of the two never changes a bit.
constexpr uint64_t small_model_size = 4'000'000;

struct SampleRequest {
  std::vector<int32_t> prompt;  // ids, at least one
  uint32_t num_generations = 1;
  uint32_t first_row = 0;  // rows first_row .. + num_generations key the random numbers
  uint32_t max_tokens = 0;  // of each of its rows, where that is fewer than the settings say; 0: as they say
};

// 0 is greedy; below the least other one, logits / temperature is no longer finite.
inline bool is_temperature(double value) { return value == 0 || value >= 1e-3; }
inline constexpr const char *kTemperatures = "0 (greedy), or 0.001 or more";

struct SampleSettings {
  float temperature = 1, top_p = 1, min_p = 0;
  uint32_t top_k = 0, max_tokens = 256;
  std::vector<int32_t> stop_ids;          // end-of-sequence ids; the one that stopped is kept as the last id
  // A response ends with the token that completes one of these texts, which stays in it (needs a tokenizer).
  std::vector<std::string> stop_strings;
  uint64_t seed = 0;
  uint32_t stage = 0, step = 0;  // key the random numbers with the row and the token's place
  bool keep_prefixes = false;    // what is computed here is kept for the calls that follow: see Sampler
  // Called with each token of each row (its place in the result) as it is sampled, the last included; false ends the row there,
  // as truncated. From any thread, for one row never twice at once. Null: nobody listens.
  std::function<bool(size_t row, int32_t token)> on_token;
};

// length: or nobody listened any more. positions: the model has none for another token, after a stop text, too.
enum class RowEnd { end_token, stop_text, length, positions };

struct SampledRow {
  std::vector<int32_t> ids;  // the response, with its end-of-sequence id when it has one
  std::vector<float> logp;   // of each id: log-softmax(logits / temperature) before top-k and top-p
  bool truncated = false;    // stopped by max_tokens (or the model's last position)
  RowEnd end = RowEnd::length;
  uint32_t reused = 0;       // tokens of its prompt that were not computed for it: another row had, or an earlier call
};

// What the value head says after a sequence's last token.
struct ValuedSequence {
  float value = 0;
  uint32_t reused = 0;  // of its tokens
};

struct SamplerLimits {
  uint32_t max_rows = 512;         // decoded at once
  uint64_t kv_bytes = 1ull << 30;  // for the cache's pages
  uint32_t prefill_tokens = 2048;  // in one pass
  uint64_t small_model = small_model_size;
};

// Sequences that begin alike share the pages of what they have in common (prefix_tree.h), within a call, and over calls with
// keep_prefixes: then a sequence that goes on from one of an earlier call costs only its own tokens. They are kept by token ids, for as
// long as the weights do not change, in the memory that the limits give the cache, the longest unused dropped first. No bit
// of a result depends on it.
class Sampler {
 public:
  Sampler(const hone_kernels &, Pool &, SamplerLimits = {});
  ~Sampler();
  // Rows in the order of requests, num_generations each. The result depends on weights, prompt, settings and row number
  // only: not on the company, limits or threads. done(i, row) is called as each row ends (any order, main thread); tick
  // often. Small models are decoded on all threads apart, each thread its share of requests; large ones in one batch.
  // interrupted() is asked between passes, from any thread but never twice at once; when it says yes, the result is
  // empty.
  std::vector<SampledRow> generate(const Weights &, const Tokenizer *, const std::vector<SampleRequest> &,
                                   const SampleSettings &,
                                   const std::function<void(size_t, const SampledRow &)> &done = {},
                                   const std::function<bool()> &interrupted = {});
  // Of each sequence, in order; the same bits as score_tokens gives. Failure without a value head.
  std::vector<ValuedSequence> values(const Weights &, const std::vector<std::vector<int32_t>> &sequences, bool keep_prefixes,
                                     const std::function<bool()> &interrupted = {});
  void forget_prefixes();  // and gives their memory back

 private:
  struct Work;
  bool work(const Weights &, const Tokenizer *, const SampleSettings &, Work &);
  struct State;
  std::unique_ptr<State> state_;
};

// Log-probs (and entropies, values when asked for) of ids[begin..] of each sequence under `weights`, packed in units of
// about 2,048 tokens; small models on all threads apart. The same bits as the sampler recorded at the same temperature
// (temperature 0 records at 1). value is that of the state after the token: a reward head's score is the last one.
struct ScoredTokens {
  std::vector<float> logp, entropy, value;
};
std::vector<ScoredTokens> score_tokens(const hone_kernels &, Pool &, const Weights &,
                                       const std::vector<std::vector<int32_t>> &sequences,
                                       const std::vector<uint32_t> &begin, float temperature, bool entropy = false,
                                       bool value = false, uint64_t small_model = small_model_size);

}  // namespace hone
