// rope.hpp -- the inverse frequencies of rotary positions, with the scalings that config.json's rope_scaling may name.
// The scalings are defined by what transformers computes, which docs/models.md sums up.
#pragma once

#include <hone/draft/tape.h>

#include <algorithm>
#include <cmath>
#include <hone/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hone HONE_HIDDEN {

struct Rope {
  std::vector<float> inverse_frequency;
  float magnitude = 1;     // of cosines and sines
  float score_factor = 1;  // of the attention's scale; DeepSeek's models only
  hone_rope_shape shape(uint32_t heads, uint32_t begin, bool interleaved) const {
    return {sizeof(hone_rope_shape), heads,     begin, static_cast<uint32_t>(inverse_frequency.size() * 2),
            interleaved,             magnitude, inverse_frequency.data()};
  }
};

struct RopeSettings {
  uint32_t size;             // of the rotated part of a head
  double theta;              // rope_theta
  std::string_view scaling;  // rope_scaling: a JSON table
  uint32_t max_positions;    // max_position_embeddings: no row is longer
};

namespace detail {

// What config.json calls the table: which of the two, the host has made one of.
inline const std::string kTable = "rope_scaling (or rope_parameters)";

// That table, with what is wrong in it told by name.
class RopeScaling {
 public:
  explicit RopeScaling(std::string_view text) : table_(Json::parse(text)) {
    if (!table_.is_table()) throw Error(kTable + " is " + table_.text() + ", but must be a table");
    static constexpr std::string_view known[] = {"rope_type",        "type",
                                                 "factor",           "original_max_position_embeddings",
                                                 "low_freq_factor",  "high_freq_factor",
                                                 "attention_factor", "beta_fast",
                                                 "beta_slow",        "mscale",
                                                 "mscale_all_dim",   "truncate",
                                                 "short_factor",     "long_factor"};
    for (const auto &[key, value] : table_.as_table())
      if (!value.is_null() && std::find(std::begin(known), std::end(known), key) == std::end(known))
        throw Error(kTable + " has \"" + key + "\": " + value.text() + ", which is not supported");
    const Json &named = table_["rope_type"].is_null() ? table_["type"] : table_["rope_type"];
    if (!named.is_null() && !named.is_string())
      throw Error(kTable + ": \"rope_type\" is " + named.text() + ", but must be a name");
    type_ = named.is_null() ? "default" : named.as_string();
    if (named.is_null() && has("factor")) throw Error(kTable + " has a factor but no \"rope_type\"");
  }
  const std::string &type() const { return type_; }
  bool has(std::string_view key) const { return !table_[key].is_null(); }

  double above_zero(const char *key) const {
    const double value = number(key);
    if (!(value > 0)) throw Error(kTable + ": \"" + key + "\" must be above 0, not " + shown(key));
    return value;
  }
  double above_zero(const char *key, double fallback) const { return has(key) ? above_zero(key) : fallback; }
  double or_zero(const char *key) const {  // 0: not given
    if (!has(key)) return 0;
    const double value = number(key);
    if (value < 0) throw Error(kTable + ": \"" + key + "\" must be at least 0, not " + shown(key));
    return value;
  }
  bool flag(const char *key, bool fallback) const {
    if (!has(key)) return fallback;
    if (table_[key].type() != Json::boolean)
      throw Error(kTable + ": \"" + key + "\" must be true or false, not " + shown(key));
    return table_[key].as_bool();
  }

 private:
  std::string shown(const char *key) const { return table_[key].text(); }
  double number(const char *key) const {
    if (!has(key)) throw Error(kTable + " of type \"" + type_ + "\" needs the number \"" + key + "\"");
    if (!table_[key].is_number() || !std::isfinite(table_[key].as_number()))
      throw Error(kTable + ": \"" + key + "\" must be a number, not " + shown(key));
    return table_[key].as_number();
  }
  Json table_;
  std::string type_;
};

// Llama 3.1: long waves are slowed by `factor`, short ones stay, those between are blended by their length.
inline void llama3(Rope &rope, const RopeScaling &scaling, const RopeSettings &settings) {
  const double factor = scaling.above_zero("factor"), low = scaling.above_zero("low_freq_factor"),
               high = scaling.above_zero("high_freq_factor"),
               context = scaling.above_zero("original_max_position_embeddings", settings.max_positions);
  if (high <= low) throw Error(kTable + ": \"high_freq_factor\" must be above its \"low_freq_factor\"");
  for (size_t i = 0; i < rope.inverse_frequency.size(); ++i) {
    const double frequency = std::pow(settings.theta, -2.0 * static_cast<double>(i) / settings.size);
    const double turns = context * frequency / (2 * M_PI);
    const double kept = std::min(std::max((turns - low) / (high - low), 0.0), 1.0);
    rope.inverse_frequency[i] = static_cast<float>((1 - kept) * frequency / factor + kept * frequency);
  }
}

// YaRN (arXiv 2309.00071), section 3.2 and 3.4. `mscale` and `mscale_all_dim` are DeepSeek's (V2 and V3), which scale
// the attention's scores by the square of the latter too.
inline double yarn_magnitude(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}
inline void yarn(Rope &rope, const RopeScaling &scaling, const RopeSettings &settings) {
  const double most = settings.max_positions, size = settings.size, theta = settings.theta;
  const double context = scaling.above_zero("original_max_position_embeddings", most);
  // Where only the first context is told, the factor is what the positions grew by.
  const double factor = scaling.has("original_max_position_embeddings") ? scaling.above_zero("factor", most / context) : scaling.above_zero("factor");
  const double fast = scaling.above_zero("beta_fast", 32), slow = scaling.above_zero("beta_slow", 1);
  if (fast < slow) throw Error(kTable + ": \"beta_fast\" must be at least its \"beta_slow\"");
  if (theta <= 1) throw Error(kTable + " of type \"yarn\" needs a rope_theta above 1");
  // The wave, counted in pairs, that turns so often within the context.
  const auto wave = [&](double turns) { return size * std::log(context / (turns * 2 * M_PI)) / (2 * std::log(theta)); };
  double low = wave(fast), high = wave(slow);
  if (scaling.flag("truncate", true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, size - 1);
  if (high == low) high += 0.001;
  for (size_t i = 0; i < rope.inverse_frequency.size(); ++i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / size);
    const double slowed = std::min(std::max((static_cast<double>(i) - low) / (high - low), 0.0), 1.0);
    rope.inverse_frequency[i] = static_cast<float>(frequency / factor * slowed + frequency * (1 - slowed));
  }
  const double of_waves = scaling.or_zero("mscale"), of_scores = scaling.or_zero("mscale_all_dim");
  const double own = of_waves > 0 && of_scores > 0
                         ? yarn_magnitude(factor, of_waves) / yarn_magnitude(factor, of_scores)
                         : yarn_magnitude(factor, 1);
  rope.magnitude = static_cast<float>(scaling.above_zero("attention_factor", own));
  if (of_scores > 0) rope.score_factor = static_cast<float>(std::pow(yarn_magnitude(factor, of_scores), 2));
}

}  // namespace detail

// theta^(-2i/size), scaled as the table says: {} or "default", "linear", "dynamic", "llama3" or "yarn".
// "dynamic" stretches rows beyond max_positions only, by an amount that depends on their length; since no row is that
// long here, and a token's numbers must not depend on later ones, it is the same as "default".
inline Rope make_rope(const RopeSettings &settings) {
  if (settings.size == 0 || settings.size % 2)
    throw Error("the rotated part of a head must be even, not " + std::to_string(settings.size));
  const detail::RopeScaling scaling(settings.scaling);
  const std::string &type = scaling.type();
  Rope rope;
  rope.inverse_frequency.resize(settings.size / 2);
  if (type == "default" || type == "linear" || type == "dynamic") {
    const double factor = type == "default" ? 1 : scaling.above_zero("factor");
    for (uint32_t i = 0; i < settings.size / 2; ++i)
      rope.inverse_frequency[i] =
          static_cast<float>(std::pow(settings.theta, -2.0 * i / settings.size) / (type == "linear" ? factor : 1));
  } else if (type == "llama3") {
    detail::llama3(rope, scaling, settings);
  } else if (type == "yarn") {
    detail::yarn(rope, scaling, settings);
  } else {
    throw Error(detail::kTable + " type \"" + type +
                "\" is not supported; it may be default, linear, dynamic, llama3 or yarn");
  }
  for (const float factor : {rope.magnitude, rope.score_factor})
    if (!std::isfinite(factor) || factor <= 0)
      throw Error(detail::kTable + " scales cosines or scores by " + std::to_string(factor) + "; check its mscale, mscale_all_dim and attention_factor");
  for (const float frequency : rope.inverse_frequency)
    if (!std::isfinite(frequency) || frequency < 0)
      throw Error("rope_theta and " + detail::kTable + " give a frequency of " + std::to_string(frequency) +
                  "; check their numbers");
  return rope;
}

}  // namespace HONE_HIDDEN
