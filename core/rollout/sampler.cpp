// sampler.cpp -- hands requests to decoders: one for a large model, one per thread for a small one.
#include "core/rollout/sampler.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "core/rollout/decoder.h"
#include "core/rollout/packed_pass.h"

namespace hone {
namespace {

void check_settings(const SampleSettings &settings, const Tokenizer *tokenizer) {
  const auto wrong = [](const std::string &name, double value, const char *range) {
    return Failure("sampling: " + name + " is " + number_text(value) + "; it must be " + range);
  };
  if (!is_temperature(settings.temperature)) throw wrong("temperature", settings.temperature, kTemperatures);
  if (!(settings.top_p > 0 && settings.top_p <= 1)) throw wrong("top_p", settings.top_p, "above 0 and at most 1");
  if (!(settings.min_p >= 0 && settings.min_p <= 1)) throw wrong("min_p", settings.min_p, "between 0 and 1");
  if (settings.max_tokens == 0) throw wrong("max_completion_length", 0, "1 or more");
  for (const std::string &stop : settings.stop_strings) {
    if (stop.empty()) throw Failure("sampling: a stop string is empty");
    if (!tokenizer) throw Failure("sampling: stop strings need a tokenizer");
  }
}

}  // namespace

struct Sampler::State {
  const hone_kernels &kernels;
  Pool &pool;
  SamplerLimits limits;
  std::vector<std::unique_ptr<Decoder>> apart;  // one per thread, for small models
  std::unique_ptr<Decoder> together;
};

Sampler::Sampler(const hone_kernels &kernels, Pool &pool, SamplerLimits limits)
    : state_(new State{kernels, pool, limits, {}, nullptr}) {
  if (limits.max_rows == 0 || limits.prefill_tokens == 0)
    throw Failure("the sampler's limits max_rows and prefill_tokens must be 1 or more");
}

Sampler::~Sampler() = default;

// What one call has to do, and whom it tells.
struct Sampler::Work {
  std::vector<DecodeJob> jobs;  // the results of each follow those of the one before
  size_t rows = 0, longest_prompt = 0;
  uint32_t longest_response = 0;
  std::function<void(size_t, SampledRow &&)> take;
  std::function<void()> report;  // on the caller's thread
  const std::function<bool()> &interrupted;
};

namespace {

// Which decoder does which job, in a way that depends on nothing but what they hold: that which knows most of its tokens, then
// that with the fewest rows.
std::vector<std::vector<const DecodeJob *>> dealt(const std::vector<DecodeJob> &jobs, const Weights &weights,
                                                  const std::vector<std::unique_ptr<Decoder>> &decoders, uint32_t n) {
  std::vector<std::vector<const DecodeJob *>> hands(n);
  std::vector<uint64_t> rows(n);
  for (const DecodeJob &job : jobs) {
    uint32_t best = 0, best_known = 0;
    for (uint32_t d = 0; d < n; ++d) {
      const uint32_t known = decoders[d]->known(weights, *job.prompt);
      if (d == 0 || known > best_known || (known == best_known && rows[d] < rows[best])) best = d, best_known = known;
    }
    hands[best].push_back(&job);
    rows[best] += std::max(1u, job.rows);
  }
  return hands;
}

}  // namespace

bool Sampler::work(const Weights &weights, const Tokenizer *tokenizer, const SampleSettings &settings, Work &work) {
  State &state = *state_;
  weights.prepare(state.pool);
  const bool keep = settings.keep_prefixes, apart = weights.model_size() < state.limits.small_model;
  const size_t total = std::max(work.rows, work.jobs.size());
  // Where prefixes are kept the decoders are the same in each call, and so are the sizes of their caches.
  const uint32_t decoders = !apart ? 1 : keep ? state.pool.threads() : static_cast<uint32_t>(std::min<size_t>(state.pool.threads(), total));
  // A decoder takes its fair share at first and more as rows end, so that no thread is left without work at the start;
  // a request larger than a share is cut, at the price of computing its prompt once more.
  const uint32_t share = static_cast<uint32_t>((total + decoders - 1) / decoders);
  if (!keep) {
    std::vector<DecodeJob> whole;
    whole.swap(work.jobs);
    for (const DecodeJob &job : whole) {
      if (job.rows == 0) work.jobs.push_back(job);
      for (uint32_t from = 0; from < job.rows; from += share) {
        DecodeJob part = job;
        part.first_row += from, part.first_result += from, part.rows = std::min(share, job.rows - from);
        work.jobs.push_back(part);
      }
    }
  }
  const uint32_t rows = keep ? static_cast<uint32_t>(std::min<size_t>(total, UINT32_MAX)) : share;
  const Decoder::Limits limits{std::max(1u, std::min(state.limits.max_rows / decoders, rows)), state.limits.kv_bytes / decoders,
                               state.limits.prefill_tokens, keep};
  const Decoder::Expected expected{rows, static_cast<uint32_t>(work.longest_prompt), work.longest_response};

  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // of interrupted()
  const std::thread::id caller = std::this_thread::get_id();
  const auto keep_on = [&] {
    if (work.report && std::this_thread::get_id() == caller) work.report();
    if (work.interrupted && !stop) {
      std::lock_guard lock(mutex);
      if (work.interrupted()) stop = true;
    }
    return !stop.load();
  };
  const auto decode = [&](Decoder &decoder, const std::function<const DecodeJob *()> &next_job) {
    try {
      decoder.run(weights, tokenizer, settings, limits, next_job, work.take, keep_on, expected);
    } catch (...) {
      stop = true;  // the others need not go on
      throw;
    }
  };
  const auto next_of_all = [&]() -> const DecodeJob * {
    const size_t i = next++;
    return i < work.jobs.size() ? &work.jobs[i] : nullptr;
  };

  if (apart) {
    while (state.apart.size() < decoders)
      state.apart.push_back(std::make_unique<Decoder>(state.kernels, Pool::serial_stream()));
    std::vector<std::vector<const DecodeJob *>> hands;
    if (keep) hands = dealt(work.jobs, weights, state.apart, decoders);
    state.pool.loop(decoders, 1, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) {
        size_t of_hand = 0;
        const auto next_of_hand = [&]() -> const DecodeJob * { return of_hand < hands[i].size() ? hands[i][of_hand++] : nullptr; };
        if (!keep)
          decode(*state.apart[i], next_of_all);
        else if (!hands[i].empty())
          decode(*state.apart[i], next_of_hand);
      }
    });
  } else {
    if (!state.together) state.together = std::make_unique<Decoder>(state.kernels, state.pool.stream());
    decode(*state.together, next_of_all);
    if (!keep) state.together->discard_cache();
  }
  if (work.report) work.report();
  return !stop;
}

std::vector<SampledRow> Sampler::generate(const Weights &weights, const Tokenizer *tokenizer,
                                          const std::vector<SampleRequest> &requests, const SampleSettings &settings,
                                          const std::function<void(size_t, const SampledRow &)> &done,
                                          const std::function<bool()> &interrupted) {
  check_settings(settings, tokenizer);
  Work work{{}, 0, 0, 0, {}, {}, interrupted};
  for (size_t i = 0; i < requests.size(); ++i) {
    const SampleRequest &request = requests[i];
    const std::string what = "prompt " + std::to_string(i);
    check_sequence(weights, request.prompt, what);
    if (request.prompt.size() == weights.architecture().info().max_positions)
      throw Failure(what + " has " + std::to_string(request.prompt.size()) +
                    " tokens and leaves the model no position for a response");
    if (request.num_generations == 0) continue;
    const uint32_t most = request.max_tokens ? std::min(request.max_tokens, settings.max_tokens) : settings.max_tokens;
    work.jobs.push_back({&request.prompt, request.first_row, work.rows, request.num_generations, most});
    work.longest_prompt = std::max(work.longest_prompt, request.prompt.size());
    work.longest_response = std::max(work.longest_response, most);
    work.rows += request.num_generations;
  }
  std::vector<SampledRow> results(work.rows);
  if (results.empty()) return results;
  std::mutex mutex;  // of `finished`
  std::vector<size_t> finished;
  work.take = [&](size_t row, SampledRow &&sampled) {
    results[row] = std::move(sampled);
    std::lock_guard lock(mutex);
    finished.push_back(row);
  };
  work.report = [&] {
    std::vector<size_t> rows;
    {
      std::lock_guard lock(mutex);
      rows.swap(finished);
    }
    if (done)
      for (size_t row : rows) done(row, results[row]);
  };
  return this->work(weights, tokenizer, settings, work) ? std::move(results) : std::vector<SampledRow>();
}

std::vector<ValuedSequence> Sampler::values(const Weights &weights, const std::vector<std::vector<int32_t>> &sequences, bool keep_prefixes,
                                            const std::function<bool()> &interrupted) {
  if (!weights.has_value_head()) throw Failure("the model has no value head, so it says no values; take one that was trained to say them");
  std::vector<ValuedSequence> results(sequences.size());
  Work work{{}, 0, 0, 0, {}, {}, interrupted};
  for (size_t i = 0; i < sequences.size(); ++i) {
    check_sequence(weights, sequences[i], "sequence " + std::to_string(i));
    work.jobs.push_back({&sequences[i], 0, 0, 0, 0, &results[i]});
    work.longest_prompt = std::max(work.longest_prompt, sequences[i].size());
  }
  if (results.empty()) return results;
  SampleSettings settings;
  settings.keep_prefixes = keep_prefixes;
  return this->work(weights, nullptr, settings, work) ? std::move(results) : std::vector<ValuedSequence>();
}

void Sampler::forget_prefixes() {
  for (const auto &decoder : state_->apart) decoder->discard_cache();
  if (state_->together) state_->together->discard_cache();
}

}  // namespace hone
