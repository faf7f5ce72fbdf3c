// number_formats.h -- the small floating-point formats in which weights are kept: bfloat16, IEEE 754 binary16, and
// F8_E4M3 (OCP 8-bit floating point, "FN": no infinities). Encoding rounds to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

namespace hone {

inline float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
inline float from_f16(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16, exponent = half >> 10 & 31, fraction = half & 0x3FF;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -small : small;
}
inline float from_f8_e4m3(uint8_t bits) {
  const uint32_t sign = uint32_t{bits & 0x80u} << 24, exponent = bits >> 3 & 15, fraction = bits & 7;
  if (exponent == 15 && fraction == 7) return std::bit_cast<float>(sign | 0x7FC00000u);
  if (exponent) return std::bit_cast<float>(sign | (exponent + 120) << 23 | fraction << 20);
  const float small = static_cast<float>(fraction) * 0x1p-9f;
  return sign ? -small : small;
}

uint16_t to_bf16(float);  // NaN stays NaN; beyond the largest number it is infinite
uint16_t to_f16(float);

}  // namespace hone
