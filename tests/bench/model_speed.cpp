// model_speed.cpp -- how fast one model samples, reads and trains here: what tests/bench/compare.py sets beside other programs.
//   model_speed MODEL PLUGINS f32|bf16 THREADS WHAT ROUNDS
// WHAT: sample (8 prompts of 64 tokens, 8 responses of 64 tokens each), sample_one, prefill (512 tokens), train (AdamW steps
// of 8 rows of 256 tokens). One JSON line on stdout for each round, the first of which is a warm-up.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/failure.h"
#include "core/base/philox.h"
#include "core/model/model.h"
#include "core/plugin/host.h"
#include "core/plugin/registry.h"
#include "core/rollout/sampler.h"
#include "core/train/trainer.h"

namespace {

using namespace hone;

double seconds(auto &&work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Ids among the middle half of the vocabulary, where no tokenizer keeps some for itself; the same on every machine.
std::vector<int32_t> tokens(uint32_t n, uint32_t row, uint32_t vocabulary) {
  std::vector<int32_t> ids(n);
  for (uint32_t t = 0; t < n; ++t)
    ids[t] = static_cast<int32_t>(vocabulary / 4 + random_uniform({7, Purpose::sampling, 0, 0, row, t}) * (vocabulary / 2));
  return ids;
}

void report(const std::string &what, uint32_t n_tokens, double taken) {
  std::printf("%s\n", nlohmann::json{{"what", what}, {"tokens", n_tokens}, {"seconds", taken},
                                     {"tokens_per_second", n_tokens / taken}, {"peak_megabytes", peak_megabytes()}}.dump().c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc == 3 && std::string(argv[1]) == "--probe") return run_probe(argv[2]);
  if (argc < 7) return std::fprintf(stderr, "usage: model_speed MODEL PLUGINS f32|bf16 THREADS sample|sample_one|prefill|train ROUNDS\n"), 2;
  const std::string what = argv[5];
  const int rounds = std::stoi(argv[6]);
  Pool pool(static_cast<uint32_t>(std::stoul(argv[4])));
  const Host host(pool, 1);
  const Registry registry = Registry::scan({argv[2]});
  LoadedModel model = load_model(argv[1], registry, host, std::string(argv[3]) == "bf16" ? kernels().bf16 : uint32_t{HONE_F32});
  const uint32_t vocabulary = model.architecture->info().vocab_size;

  if (what == "train") {
    const auto instance = [&](const char *room, const char *name, nlohmann::json settings) {
      const ComponentInfo &component = registry.require(room, name);
      return std::make_unique<Instance>(component, host.abi(), check_settings(component.settings, settings, name));
    };
    const auto objective = instance("stage", "sft", nlohmann::json::object());
    const auto optimizer = instance("optimizer", "adamw", {{"learning_rate", 1e-5}});
    TrainerSettings settings;
    Trainer trainer(kernels(), pool, *model.weights, known_methods<hone_objective>(objective->component()), objective->self(),
                    known_methods<hone_optimizer>(optimizer->component()), optimizer->self(), settings);
    for (int round = 0; round < rounds; ++round) {
      std::vector<TrainRow> rows(8);
      // 256 are run, and 256 predicted, where the model has so many positions.
      const uint32_t length = std::min(256u, model.architecture->info().max_positions - 1);
      for (uint32_t r = 0; r < 8; ++r) rows[r].ids = tokens(length + 1, r, vocabulary), rows[r].group = r;
      const double taken = seconds([&] { trainer.step(rows, static_cast<uint64_t>(round) + 1); });
      report(what, 8 * length, taken);
    }
    return 0;
  }
  model.weights->settle(pool);
  if (what == "prefill") {
    const std::vector<std::vector<int32_t>> sequence = {tokens(512, 0, vocabulary)};
    for (int round = 0; round < rounds; ++round)  // a prompt: of its last token alone, what comes next is wanted
      report(what, 512, seconds([&] { score_tokens(kernels(), pool, *model.weights, sequence, {511}, 1); }));
    return 0;
  }
  const bool one = what == "sample_one";
  if (!one && what != "sample") throw UsageError("WHAT is " + what + "; it must be sample, sample_one, prefill or train");
  Sampler sampler(kernels(), pool);
  SampleSettings settings;
  settings.max_tokens = one ? 128 : 64;
  std::vector<SampleRequest> requests;
  for (uint32_t p = 0; p < (one ? 1u : 8u); ++p) requests.push_back({tokens(one ? 8 : 64, p, vocabulary), one ? 1u : 8u, p * 8});
  for (int round = 0; round < rounds; ++round) {
    settings.step = static_cast<uint32_t>(round);
    const uint32_t sampled = (one ? 1u : 64u) * settings.max_tokens;
    report(what, sampled, seconds([&] { sampler.generate(*model.weights, nullptr, requests, settings); }));
  }
} catch (const std::exception &error) {
  std::fprintf(stderr, "model_speed: %s\n", error.what());
  return 1;
}
