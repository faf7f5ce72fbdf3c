// gguf_rope.cpp -- see gguf_rope.h. Llama 3's scaling of frequency f with wavelength w = 2 pi / f and context C divides
// f by
//   1 where w < C / high;  F where w > C / low;  1 / ((1 - s) / F + s) with s = (C / w - low) / (high - low) between.
#include "core/model/gguf_rope.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {
namespace {
using nlohmann::json;

struct Llama3 {
  double factor, low, high, context;
};

double wavelength(double theta, size_t i, size_t half) {
  return 2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / static_cast<double>(half));
}

std::vector<float> factors(const Llama3 &p, double theta, size_t half) {
  std::vector<float> out(half);
  for (size_t i = 0; i < half; ++i) {
    const double wave = wavelength(theta, i, half), smooth = (p.context / wave - p.low) / (p.high - p.low);
    out[i] = static_cast<float>(wave < p.context / p.high  ? 1
                                : wave > p.context / p.low ? p.factor
                                                           : 1 / ((1 - smooth) / p.factor + smooth));
  }
  return out;
}

bool close_to(const std::vector<float> &a, const std::vector<float> &b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= 1e-5f * std::abs(b[i]))) return false;
  return true;
}

double tidy(double value) { return std::abs(value - std::round(value)) < 1e-3 * value ? std::round(value) : value; }

// Between the two ends 1 / factor is linear in 1 / wavelength; two points give the line, up to a common scale of low,
// high and context, of which low = 1 is chosen.
Llama3 solve(const std::vector<float> &given, double theta, double factor) {
  size_t first = given.size(), last = 0;
  for (size_t i = 0; i < given.size(); ++i)
    if (given[i] > 1 && given[i] < factor * (1 - 1e-6)) {
      first = std::min(first, i);
      last = i;
    }
  if (first >= last) return {factor, 1, 4, 8192};
  const auto smooth = [&](size_t i) { return (1 / static_cast<double>(given[i]) - 1 / factor) / (1 - 1 / factor); };
  const double x0 = 1 / wavelength(theta, first, given.size()), x1 = 1 / wavelength(theta, last, given.size());
  const double slope = (smooth(first) - smooth(last)) / (x0 - x1), at_zero = smooth(first) - slope * x0;
  const double width = -1 / at_zero;  // high - low
  return {factor, 1, tidy(1 + width), tidy(slope * width)};
}

json llama3_scaling(const Gguf &file, const GgufTensor &tensor, double theta) {
  const std::string where = file.path().string() + ": tensor \"rope_freqs.weight\"";
  if (tensor.shape.size() != 1 || tensor.elements < 1 || tensor.elements > 1 << 16)
    throw Failure(where + " must be a list of factors");
  std::vector<float> given(tensor.elements);
  file.read_floats(tensor, 0, given.size(), given.data());
  for (size_t i = 0; i < given.size(); ++i)
    if (!(given[i] >= 1) || !std::isfinite(given[i]))
      throw Failure(where + " has the factor " + number_text(given[i]) + " at [" + std::to_string(i) +
                    "]; Llama 3's are at least 1");
  const double factor = *std::max_element(given.begin(), given.end());
  if (factor == 1) return nullptr;  // all ones: positions as they are
  for (const Llama3 &p : {Llama3{factor, 1, 4, 8192}, solve(given, theta, factor)})
    if (p.high > p.low && p.context > 0 && close_to(factors(p, theta, given.size()), given))
      return {{"rope_type", "llama3"},
              {"factor", tidy(p.factor)},
              {"low_freq_factor", p.low},
              {"high_freq_factor", p.high},
              {"original_max_position_embeddings", p.context}};
  throw Failure(
      where +
      ": its factors are not those of Llama 3's scaling for any context length; hone has no other that it could be");
}

double number_of(const json &scaling, const char *key, double fallback) {
  const auto found = scaling.find(key);
  return found == scaling.end() || found->is_null() ? fallback : found->get<double>();
}

}  // namespace

json rope_scaling_from_gguf(const Gguf &file, const std::string &architecture, double theta) {
  const std::string at = architecture + ".rope.scaling.";
  if (const GgufTensor *tensor = file.find("rope_freqs.weight")) {
    json found = llama3_scaling(file, *tensor, theta);
    if (!found.is_null()) return found;
  }
  if (file.find("rope_factors_long.weight"))
    throw Failure(file.path().string() +
                  ": has the tensor \"rope_factors_long.weight\" of LongRoPE, which hone cannot do");
  const bool scaled = file.has(at + "factor") || file.has(architecture + ".rope.scale_linear");
  const std::string type = file.text(at + "type", scaled ? "linear" : "none");  // llama.cpp's default
  if (type == "none") return nullptr;
  const double factor =
      file.has(at + "factor") ? file.number(at + "factor") : file.number(architecture + ".rope.scale_linear");
  if (type == "linear") return {{"rope_type", "linear"}, {"factor", factor}};
  if (type != "yarn")
    throw Failure(file.path().string() + ": metadata \"" + at + "type\" is \"" + type +
                  "\"; hone reads none, linear and yarn");
  for (const char *key : {"attn_factor", "yarn_attn_factor", "yarn_ext_factor"})
    if (file.number(at + key, 1) != 1)
      throw Failure(file.path().string() + ": metadata \"" + at + key + "\" is " + number_text(file.number(at + key)) +
                    "; hone reads YaRN with 1 only");
  json scaling = {{"rope_type", "yarn"},
                  {"factor", factor},
                  {"original_max_position_embeddings", file.integer(at + "original_context_length")}};
  if (file.has(at + "yarn_beta_fast")) scaling["beta_fast"] = file.number(at + "yarn_beta_fast");
  if (file.has(at + "yarn_beta_slow")) scaling["beta_slow"] = file.number(at + "yarn_beta_slow");
  if (architecture ==
      "deepseek2") {  // the multiplier is 0.1 mscale_all_dim, and mscale is equal in all models of that family
    const double log = file.number(at + "yarn_log_multiplier", 0);
    scaling["mscale_all_dim"] = scaling["mscale"] = std::round(log * 1e6) / 1e5;
    if (log == 0) scaling.erase("mscale");
  }
  return scaling;
}

std::vector<float> rope_scaling_to_gguf(const json &scaling, const std::string &architecture, double theta,
                                        uint64_t size, GgufWriter &writer) {
  if (!scaling.is_object() || scaling.empty()) return {};
  const json named = scaling.value(scaling.contains("rope_type") ? "rope_type" : "type", json("default"));
  const std::string type = named.is_string() ? named.get<std::string>() : named.dump();
  if (type == "default") return {};
  const auto needed = [&](const char *key) {
    const double value = number_of(scaling, key, NAN);
    if (std::isnan(value)) throw Failure(std::string("rope_scaling lacks \"") + key + "\", which GGUF needs");
    return value;
  };
  const std::string at = architecture + ".rope.scaling.";
  if (type == "llama3")
    return factors({needed("factor"), needed("low_freq_factor"), needed("high_freq_factor"),
                    needed("original_max_position_embeddings")},
                   theta, size / 2);
  if (type != "linear" && type != "yarn")
    throw Failure("rope_scaling type \"" + type + "\" has no place in a GGUF file; it keeps linear, llama3 and yarn");
  writer.set_text(at + "type", type);
  writer.set_number(at + "factor", needed("factor"));
  if (type == "linear") return {};
  const double context = needed("original_max_position_embeddings");
  if (!(context >= 1 && context < 0x1p31) || context != std::floor(context))
    throw Failure("rope_scaling's original_max_position_embeddings is " + number_text(context) +
                  "; a GGUF file keeps a whole number above 0");
  writer.set_integer(at + "original_context_length", static_cast<uint32_t>(context));
  if (scaling.value("truncate", json()) == false)
    throw Failure("rope_scaling's truncate is false, but a GGUF file always means true");
  const double factor = needed("factor"), all = number_of(scaling, "mscale_all_dim", 0),
               mscale = number_of(scaling, "mscale", all ? all : 1);
  if (architecture == "deepseek2") {
    if (all != 0 && mscale != all)
      throw Failure("rope_scaling's mscale " + number_text(mscale) + " differs from mscale_all_dim " +
                    number_text(all) + "; a GGUF file keeps only one number for both");
    writer.set_number(at + "yarn_log_multiplier", 0.1 * all);
  } else if (all != 0 || number_of(scaling, "mscale", 1) != 1) {
    throw Failure("rope_scaling's mscale and mscale_all_dim have no place in a GGUF file of " + architecture);
  }
  // Of cosines and sines, as the settings mean it and as the file will be read.
  const auto magnitude = [&](double weight) { return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1; };
  const bool both = number_of(scaling, "mscale", 0) > 0 && all > 0;
  const double wanted =
      number_of(scaling, "attention_factor", both ? magnitude(mscale) / magnitude(all) : magnitude(1));
  const double read = all != 0 ? 1 : magnitude(1);
  if (std::abs(wanted - read) > 1e-6)
    throw Failure("rope_scaling's attention_factor is " + number_text(wanted) +
                  (scaling.contains("attention_factor") ? "" : " (which follows from the others)") +
                  ", but a GGUF file of " + architecture + " always means " + number_text(read) + " beside them");
  if (scaling.contains("beta_fast")) writer.set_number(at + "yarn_beta_fast", needed("beta_fast"));
  if (scaling.contains("beta_slow")) writer.set_number(at + "yarn_beta_slow", needed("beta_slow"));
  return {};
}

}  // namespace hone
