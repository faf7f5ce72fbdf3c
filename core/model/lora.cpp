// lora.cpp -- see lora.h.
#include "core/model/lora.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/failure.h"
#include "core/base/philox.h"
#include "core/base/text.h"
#include "core/model/json_file.h"
#include "core/model/layout.h"
#include "core/model/model.h"
#include "core/text/json_member.h"

namespace hone {

using nlohmann::json;

namespace {

constexpr const char *kAllLinear = "all-linear";
constexpr uint32_t kMostRank = 65536;

std::vector<std::string> module_names(const json &value, const std::string &where) {
  if (value.is_string() && !value.get_ref<const std::string &>().empty()) return {value.get<std::string>()};
  std::vector<std::string> names;
  if (value.is_array())
    for (const json &name : value) {
      if (!name.is_string() || name.get_ref<const std::string &>().empty()) break;
      names.push_back(name);
    }
  if (!value.is_array() || names.empty() || names.size() != value.size())
    throw UsageError(where + ": lora: target_modules must be \"" + kAllLinear +
                     "\" or a list of names such as \"q_proj\", got " + json_shown(value));
  return names;
}

// Modules are given by how they end, in whole words between dots.
bool names_module(const std::string &wanted, const std::string &module) {
  if (wanted == module) return true;
  return module.size() > wanted.size() && module.ends_with(wanted) && module[module.size() - wanted.size() - 1] == '.';
}

ParameterInfo low_rank_matrix(const ParameterInfo &target, const char *name, uint32_t rows, uint32_t columns) {
  ParameterInfo out;
  out.name = module_name(target) + name;
  out.flags = target.flags & (HONE_PARAMETER_EXPERTS | HONE_PARAMETER_DECAY | HONE_PARAMETER_AHEAD);
  if (target.dims.size() == 3) out.dims.push_back(target.dims[0]);
  out.dims.push_back(rows);
  out.dims.push_back(columns);
  out.size = 1;
  for (const uint32_t dim : out.dims) out.size *= dim;
  return out;
}

}  // namespace

float LoraSettings::scaling() const {
  return static_cast<float>(rslora ? alpha / std::sqrt(static_cast<double>(rank)) : alpha / rank);
}

LoraSettings lora_settings(const json &given, const std::string &where) {
  if (!given.is_object())
    throw UsageError(where + ": lora must be a table { rank = 16, alpha = 32, target_modules = ... }, got " +
                     json_shown(given));
  static const std::vector<std::string> known = {"rank", "alpha", "target_modules", "rslora"};
  for (const auto &[name, value] : given.items())
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string near = nearest_name(name, known);
      throw UsageError(where + ": lora has no setting \"" + name + "\"" +
                       (near.empty() ? "; it has " + join(known, ", ") : "; did you mean \"" + near + "\"?"));
    }
  LoraSettings settings;
  if (!given.contains("rank")) throw UsageError(where + ": lora needs a rank, e.g. { rank = 16 }");
  const json &rank = given["rank"];
  const double number = rank.is_number() ? rank.get<double>() : 0;
  if (!(number >= 1 && number <= kMostRank && number == std::floor(number)))
    throw UsageError(where + ": lora: rank must be an integer from 1 to " + std::to_string(kMostRank) + ", got " +
                     json_shown(rank));
  settings.rank = static_cast<uint32_t>(number);
  const json alpha = given.value("alpha", json(2.0 * number));
  settings.alpha = alpha.is_number() ? alpha.get<double>() : 0;
  if (!(settings.alpha > 0 && settings.alpha <= 1e6))
    throw UsageError(where + ": lora: alpha must be a number above 0 and at most 1000000, got " + json_shown(alpha));
  const json rslora = given.value("rslora", json(false));
  if (!rslora.is_boolean()) throw UsageError(where + ": lora: rslora must be true or false, got " + json_shown(rslora));
  settings.rslora = rslora.get<bool>();
  settings.target_modules = module_names(given.value("target_modules", json(kAllLinear)), where);
  if (settings.target_modules.size() > 1 && std::find(settings.target_modules.begin(), settings.target_modules.end(),
                                                      kAllLinear) != settings.target_modules.end())
    throw UsageError(where + ": lora: \"" + kAllLinear +
                     "\" in target_modules stands alone; leave out the other names");
  return settings;
}

std::string module_name(const ParameterInfo &parameter) {
  constexpr std::string_view ending = ".weight";
  return parameter.name.ends_with(ending) ? parameter.name.substr(0, parameter.name.size() - ending.size()) : "";
}

std::string last_word(const std::string &module) { return module.substr(module.rfind('.') + 1); }

std::vector<uint32_t> lora_candidates(const Architecture &architecture) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < architecture.parameters().size(); ++i) {
    const ParameterInfo &parameter = architecture.parameters()[i];
    if (i != architecture.info().head && is_matrix(parameter, architecture.info(), i) &&
        !(parameter.flags & HONE_PARAMETER_BUFFER) && !module_name(parameter).empty())
      out.push_back(i);
  }
  return out;
}

std::vector<uint32_t> lora_targets(const Architecture &architecture, const LoraSettings &settings,
                                   const std::string &where) {
  const std::vector<uint32_t> candidates = lora_candidates(architecture);
  if (candidates.empty())
    throw UsageError(where + ": lora: model " + architecture.component() + " has no matrix that could be adapted");
  if (settings.target_modules == std::vector<std::string>{kAllLinear}) return candidates;
  std::set<uint32_t> chosen;
  for (const std::string &wanted : settings.target_modules) {
    bool found = false;
    for (const uint32_t i : candidates)
      if (names_module(wanted, module_name(architecture.parameters()[i]))) chosen.insert(i), found = true;
    if (found) continue;
    std::vector<std::string> there;
    for (const uint32_t i : candidates)
      if (const std::string word = last_word(module_name(architecture.parameters()[i]));
          std::find(there.begin(), there.end(), word) == there.end())
        there.push_back(word);
    std::sort(there.begin(), there.end());
    if (names_module(wanted, module_name(architecture.parameters()[architecture.info().head])))
      throw UsageError(where + ": lora: target_modules names \"" + wanted +
                       "\", the head, which is not adapted; choose from " + join(there, ", "));
    throw UsageError(where + ": lora: target_modules names \"" + wanted + "\", but model " + architecture.component() +
                     " has no such matrix; it has " + join(there, ", ") + ", or \"" + kAllLinear +
                     "\" for all of them");
  }
  return {chosen.begin(), chosen.end()};
}

ParameterInfo lora_a(const ParameterInfo &target, uint32_t rank) {
  return low_rank_matrix(target, ".lora_A.weight", rank, target.dims.back());
}

ParameterInfo lora_b(const ParameterInfo &target, uint32_t rank) {
  return low_rank_matrix(target, ".lora_B.weight", target.dims[target.dims.size() - 2], rank);
}

void initialise_lora(Weights &adapted, uint64_t seed) {
  hone_stream stream = Pool::serial_stream();
  std::vector<float> values;
  const auto &parameters = adapted.parameters();
  for (uint32_t index = static_cast<uint32_t>(adapted.architecture().parameters().size()); index < parameters.size();
       ++index) {
    const ParameterInfo &parameter = parameters[index];
    values.assign(parameter.size, 0.0f);
    if (parameter.name.ends_with(".lora_A.weight")) {
      const double bound = 1 / std::sqrt(static_cast<double>(parameter.dims.back()));
      for (uint64_t i = 0; i < parameter.size; i += 4) {
        const auto bits = random_bits({.seed = seed,
                                       .purpose = Purpose::adapter,
                                       .stage = index,
                                       .step = 0,
                                       .row = static_cast<uint32_t>((i / 4) >> 32),
                                       .token = static_cast<uint32_t>(i / 4)});
        for (uint64_t j = 0; j < std::min<uint64_t>(4, parameter.size - i); ++j)
          values[i + j] = static_cast<float>(bound * (2 * (bits[j] * 0x1p-32) - 1));
      }
    } else if (index + 1 == parameters.size() && adapted.has_value_head() && adapted.base()->has_value_head()) {
      kernels().copy_out(&stream, values.data(), adapted.base()->value_head(), values.size() * sizeof(float));
    }
    kernels().copy_in(&stream, adapted.parameter(index), values.data(), values.size() * sizeof(float));
  }
  kernels().synchronize(&stream);
  adapted.changed();
}

uint64_t lora_size(const Architecture &architecture, const std::vector<uint32_t> &targets, uint32_t rank) {
  uint64_t size = 0;
  for (const uint32_t i : targets)
    size += lora_a(architecture.parameters()[i], rank).size + lora_b(architecture.parameters()[i], rank).size;
  return size;
}

}  // namespace hone
