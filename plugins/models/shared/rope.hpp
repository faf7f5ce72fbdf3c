// rope.hpp -- the inverse frequencies of rotary positions, with the scalings that config.json's rope_scaling may name.
#pragma once

#include <hone/draft/tape.h>

#include <cmath>
#include <hone/json.hpp>
#include <string>
#include <vector>

namespace hone HONE_HIDDEN {

struct Rope {
  std::vector<float> inverse_frequency;
  float magnitude = 1;     // of cosines and sines
  float score_factor = 1;  // of the attention's scale
  hone_rope_shape shape(uint32_t heads, uint32_t begin, bool interleaved) const {
    return {heads,       begin,     static_cast<uint32_t>(inverse_frequency.size() * 2),
            interleaved, magnitude, inverse_frequency.data()};
  }
};

namespace detail {

inline double rope_number(const Json &scaling, const char *key) {
  if (!scaling[key].is_number()) throw Error(std::string("rope_scaling needs the number \"") + key + "\"");
  const double value = scaling[key].as_number();
  if (!(value > 0) || !std::isfinite(value)) throw Error(std::string("rope_scaling's \"") + key + "\" must be above 0");
  return value;
}
inline double rope_number(const Json &scaling, const char *key, double fallback) {
  return scaling[key].is_null() ? fallback : rope_number(scaling, key);
}

// Llama 3.1: long waves are slowed by `factor`, short ones stay, those between are blended by their length.
inline double llama3_frequency(double frequency, const Json &scaling) {
  const double factor = rope_number(scaling, "factor"), low = rope_number(scaling, "low_freq_factor"),
               high = rope_number(scaling, "high_freq_factor");
  const double context = rope_number(scaling, "original_max_position_embeddings"), wavelength = 2 * M_PI / frequency;
  if (high <= low) throw Error("rope_scaling's \"high_freq_factor\" must be above its \"low_freq_factor\"");
  if (wavelength < context / high) return frequency;
  if (wavelength > context / low) return frequency / factor;
  const double smooth = (context / wavelength - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

// YaRN (arXiv 2309.00071) as DeepSeek-V2 and V3 use it.
inline double yarn_magnitude(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}
inline void yarn(Rope &rope, double theta, const Json &scaling) {
  const double factor = rope_number(scaling, "factor"),
               context = rope_number(scaling, "original_max_position_embeddings");
  const double size = static_cast<double>(rope.inverse_frequency.size() * 2);
  const auto turning = [&](double turns) {
    return size * std::log(context / (turns * 2 * M_PI)) / (2 * std::log(theta));
  };
  const double low = std::max(std::floor(turning(rope_number(scaling, "beta_fast", 32))), 0.0);
  double high = std::min(std::ceil(turning(rope_number(scaling, "beta_slow", 1))), size - 1);
  if (high == low) high += 0.001;
  for (size_t i = 0; i < rope.inverse_frequency.size(); ++i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / size);
    const double slowed = std::min(std::max((static_cast<double>(i) - low) / (high - low), 0.0), 1.0);
    rope.inverse_frequency[i] = static_cast<float>(frequency / factor * slowed + frequency * (1 - slowed));
  }
  const double all = scaling["mscale_all_dim"].is_null() ? 0 : scaling["mscale_all_dim"].as_number();
  rope.magnitude =
      static_cast<float>(yarn_magnitude(factor, rope_number(scaling, "mscale", 1)) / yarn_magnitude(factor, all));
  if (all != 0) rope.score_factor = static_cast<float>(yarn_magnitude(factor, all) * yarn_magnitude(factor, all));
}

}  // namespace detail

// theta^(-2i/size), scaled as the JSON table says: {} or "default", "linear", "llama3", and "yarn" where allowed.
inline Rope make_rope(uint32_t size, double theta, const std::string &scaling_text, bool yarn_allowed) {
  if (size == 0 || size % 2) throw Error("the rotated part of a head must be even, not " + std::to_string(size));
  const Json scaling = Json::parse(scaling_text);
  const Json &named = scaling["rope_type"].is_null() ? scaling["type"] : scaling["rope_type"];
  const std::string type = named.is_null() ? "default" : named.as_string();
  if (type == "default" && scaling.is_table() && !scaling["factor"].is_null())
    throw Error("rope_scaling has a factor but no \"rope_type\"");
  Rope rope;
  rope.inverse_frequency.resize(size / 2);
  const double factor = type == "linear" ? detail::rope_number(scaling, "factor") : 1;
  for (uint32_t i = 0; i < size / 2; ++i) {
    const double frequency = std::pow(theta, -2.0 * i / size);
    rope.inverse_frequency[i] =
        static_cast<float>(type == "llama3" ? detail::llama3_frequency(frequency, scaling) : frequency / factor);
  }
  if (type == "yarn" && yarn_allowed)
    detail::yarn(rope, theta, scaling);
  else if (type != "default" && type != "linear" && type != "llama3")
    throw Error("rope_scaling type \"" + type + "\" is not supported; it may be default, linear, llama3" +
                (yarn_allowed ? " or yarn" : ""));
  return rope;
}

}  // namespace HONE_HIDDEN
