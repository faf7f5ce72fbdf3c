// optimizer_speed.cpp -- how long an optimizer's update of a model of SmolLM2-135M's shapes takes here, and what it leaves in memory.
//   optimizer_speed adamw|muon|... THREADS ROUNDS
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include "core/train/parameter_update.h"
#include "tests/support/built_component.h"

namespace {

using namespace hone;

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Of all threads: what does not grow when others share the machine's cores, or nearly so.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char **argv) try {
  if (argc < 4) return std::fprintf(stderr, "usage: optimizer_speed OPTIMIZER THREADS ROUNDS\n"), 2;
  Pool pool(static_cast<uint32_t>(std::stoul(argv[2])));
  const Host host(pool, 1);
  const ComponentInfo &llama = built_component("model", "llama");
  const nlohmann::json shapes = {{"vocab_size", 49152}, {"hidden_size", 576}, {"intermediate_size", 1536}, {"num_hidden_layers", 30},
                                 {"num_attention_heads", 9}, {"num_key_value_heads", 3}, {"tie_word_embeddings", true}};
  const auto architecture = std::make_shared<const Architecture>(llama, host, check_settings(llama.settings, shapes, "llama"));
  const auto weights = Weights::initialised(architecture, 1);
  const BuiltInstance optimizer(host, "optimizer", argv[1]);
  std::vector<float> gradient(weights->trained_size());
  std::mt19937 random(1);
  for (float &g : gradient) g = 1e-3f * (static_cast<float>(random() >> 8) * 0x1p-23f - 1);
  const double before = peak_megabytes();
  ParameterUpdate update(kernels(), *weights, optimizer.methods<hone_optimizer>(), optimizer.self());
  for (int round = 0; round < std::stoi(argv[3]); ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    update.apply(pool, *weights, gradient.data(), 1, 1);
    const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%s, %u threads: %.3f s, %.3f s of the CPU, peak %.0f MB, %.0f of them since before the first update\n", argv[1], pool.threads(),
                taken, cpu_seconds() - cpu, peak_megabytes(), peak_megabytes() - before);
  }
  return 0;
} catch (const std::exception &e) {
  std::fprintf(stderr, "optimizer_speed: %s\n", e.what());
  return 1;
}
