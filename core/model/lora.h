// lora.h -- low-rank adapters (LoRA, Hu et al., arXiv 2106.09685): beside a frozen matrix W [N, K] two trained ones,
// A [rank, K] and B [N, rank]; y = x W^T + scaling (x A^T) B^T. Names of settings and modules are PEFT's.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace hone {

class Architecture;
class Weights;
struct ParameterInfo;

struct LoraSettings {
  uint32_t rank = 0;
  double alpha = 0;
  bool rslora = false;  // scaling alpha / sqrt(rank) (Kalajdzievski, arXiv 2312.03732), not alpha / rank
  // "q_proj" is every module whose name ends so, "layers.3.self_attn.q_proj" one of them; or {"all-linear"} alone.
  std::vector<std::string> target_modules;

  float scaling() const;
};

// {rank, alpha, target_modules, rslora} of a script. UsageError that begins with `where` for anything else.
LoraSettings lora_settings(const nlohmann::json &, const std::string &where);

// Indices of the parameters that target_modules names, rising. UsageError that lists what there is for a name of
// nothing.
std::vector<uint32_t> lora_targets(const Architecture &, const LoraSettings &, const std::string &where);

// All that could be targeted: matrices but the head, whose product is not the model's own.
std::vector<uint32_t> lora_candidates(const Architecture &);
// "model.layers.0.self_attn.q_proj.weight" -> "model.layers.0.self_attn.q_proj"
std::string module_name(const ParameterInfo &);
// "...q_proj" -> "q_proj"
std::string last_word(const std::string &module);

// A and B of one target. Experts' matrices have a pair for each expert.
ParameterInfo lora_a(const ParameterInfo &target, uint32_t rank);
ParameterInfo lora_b(const ParameterInfo &target, uint32_t rank);

// A uniform in +-1/sqrt(K) (Kaiming's with a = sqrt(5), as PEFT's default), B zero, so that nothing changes at first;
// of the seed alone. The value head is base's, or zero.
void initialise_lora(Weights &adapted, uint64_t seed);

// How many numbers an adapter adds: what trains beside a value head.
uint64_t lora_size(const Architecture &, const std::vector<uint32_t> &targets, uint32_t rank);

}  // namespace hone
