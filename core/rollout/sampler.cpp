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

std::vector<SampledRow> Sampler::generate(const Weights &weights, const Tokenizer *tokenizer,
                                          const std::vector<SampleRequest> &requests, const SampleSettings &settings,
                                          const std::function<void(size_t, const SampledRow &)> &done,
                                          const std::function<bool()> &interrupted) {
  State &state = *state_;
  check_settings(settings, tokenizer);
  size_t total = 0, longest = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const std::vector<int32_t> &prompt = requests[i].prompt;
    const std::string what = "prompt " + std::to_string(i);
    check_sequence(weights, prompt, what);
    if (prompt.size() == weights.architecture().info().max_positions)
      throw Failure(what + " has " + std::to_string(prompt.size()) +
                    " tokens and leaves the model no position for a response");
    longest = std::max(longest, prompt.size());
    total += requests[i].num_generations;
  }
  std::vector<SampledRow> results(total);
  if (total == 0) return results;
  weights.prepare(state.pool);

  const bool apart = weights.model_size() < state.limits.small_model;
  const uint32_t decoders = apart ? static_cast<uint32_t>(std::min<size_t>(state.pool.threads(), total)) : 1;
  // A decoder takes its fair share at first and more as rows end, so that no thread is left without work at the start;
  // a request larger than a share is cut, at the price of computing its prompt once more.
  const uint32_t share = static_cast<uint32_t>((total + decoders - 1) / decoders);
  std::vector<DecodeJob> jobs;
  size_t result = 0;
  for (const SampleRequest &request : requests)
    for (uint32_t from = 0; from < request.num_generations; from += share) {
      const uint32_t rows = std::min(share, request.num_generations - from);
      jobs.push_back({&request.prompt, request.first_row + from, result, rows});
      result += rows;
    }
  const Decoder::Limits limits{std::max(1u, std::min(state.limits.max_rows / decoders, share)),
                               state.limits.kv_bytes / decoders, state.limits.prefill_tokens};

  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // of `finished` and of interrupted()
  std::vector<size_t> finished;
  const std::thread::id caller = std::this_thread::get_id();
  const auto report = [&] {  // on the caller's thread only
    std::vector<size_t> rows;
    {
      std::lock_guard lock(mutex);
      rows.swap(finished);
    }
    if (done)
      for (size_t row : rows) done(row, results[row]);
  };
  const auto next_job = [&]() -> const DecodeJob * {
    const size_t i = next++;
    return i < jobs.size() ? &jobs[i] : nullptr;
  };
  const auto take = [&](size_t row, SampledRow &&sampled) {
    results[row] = std::move(sampled);
    std::lock_guard lock(mutex);
    finished.push_back(row);
  };
  const auto keep_on = [&] {
    if (std::this_thread::get_id() == caller) report();
    if (interrupted && !stop) {
      std::lock_guard lock(mutex);
      if (interrupted()) stop = true;
    }
    return !stop.load();
  };
  const auto decode = [&](Decoder &decoder) {
    try {
      decoder.run(weights, tokenizer, settings, limits, next_job, take, keep_on, share, static_cast<uint32_t>(longest));
    } catch (...) {
      stop = true;  // the others need not go on
      throw;
    }
  };

  if (apart) {
    while (state.apart.size() < decoders)
      state.apart.push_back(std::make_unique<Decoder>(state.kernels, Pool::serial_stream()));
    state.pool.loop(decoders, 1, [&](uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) decode(*state.apart[i]);
    });
  } else {
    if (!state.together) state.together = std::make_unique<Decoder>(state.kernels, state.pool.stream());
    decode(*state.together);
    state.together->discard_cache();
  }
  report();
  if (stop) return {};
  return results;
}

}  // namespace hone
