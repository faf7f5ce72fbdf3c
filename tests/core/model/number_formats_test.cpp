// number_formats_test.cpp -- every bit pattern against the formats' definitions in double; rounding against a search of
// neighbours.
#include "core/model/number_formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hone {
namespace {

// sign, exponent and fraction by definition (IEEE 754): the value in double.
double value_of(uint32_t bits, int exponent_bits, int fraction_bits) {
  const int exponent = static_cast<int>(bits >> fraction_bits & ((1u << exponent_bits) - 1)),
            bias = (1 << (exponent_bits - 1)) - 1;
  const double fraction = std::ldexp(static_cast<double>(bits & ((1u << fraction_bits) - 1)), -fraction_bits);
  const double magnitude = exponent ? std::ldexp(1 + fraction, exponent - bias) : std::ldexp(fraction, 1 - bias);
  return bits >> (exponent_bits + fraction_bits) & 1 ? -magnitude : magnitude;
}

TEST(NumberFormats, EveryFiniteBitPatternHasItsDefinedValue) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    if ((bits & 0x7C00) != 0x7C00) {
      ASSERT_EQ(from_f16(static_cast<uint16_t>(bits)), value_of(bits, 5, 10)) << bits;
      ASSERT_EQ(to_f16(from_f16(static_cast<uint16_t>(bits))), bits);
    }
    if ((bits & 0x7F80) != 0x7F80) {
      ASSERT_EQ(from_bf16(static_cast<uint16_t>(bits)), value_of(bits, 8, 7)) << bits;
      ASSERT_EQ(to_bf16(from_bf16(static_cast<uint16_t>(bits))), bits);
    }
  }
  for (uint32_t bits = 0; bits < 256; ++bits)
    if ((bits & 0x7F) != 0x7F) {
      ASSERT_EQ(from_f8_e4m3(static_cast<uint8_t>(bits)), value_of(bits, 4, 3)) << bits;
    }
  EXPECT_EQ(from_f8_e4m3(0x7E), 448);
  EXPECT_TRUE(std::isnan(from_f8_e4m3(0x7F)) && std::isnan(from_f8_e4m3(0xFF)) && std::isnan(from_f16(0x7E00)));
  EXPECT_EQ(from_f16(0xFC00), -INFINITY);
  EXPECT_TRUE(std::isnan(from_f16(to_f16(NAN))) && std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7F800001u)))));
}

// The nearest of the two neighbours, and of equally near ones the even.
template <class Encode, class Decode>
void expect_nearest(float x, Encode &&encode, Decode &&decode) {
  const uint16_t bits = encode(x);
  const double here = decode(bits), error = std::abs(here - static_cast<double>(x));
  for (int step : {-1, 1}) {
    const auto other = static_cast<uint16_t>(bits + step);
    if ((bits ^ other) & 0x8000) continue;
    const double there = decode(other), its = std::abs(there - static_cast<double>(x));
    if (!std::isfinite(there)) continue;
    ASSERT_TRUE(error < its || (error == its && bits % 2 == 0)) << x << " became " << here << ", not " << there;
  }
}

TEST(NumberFormats, RoundingTakesTheNearestAndOfTwoTheEven) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const float x =
        std::ldexp(static_cast<float>(random()) * 0x1p-32f, static_cast<int>(random() % 44) - 28) * (i % 2 ? -1 : 1);
    if (std::abs(x) < 65504) expect_nearest(x, to_f16, from_f16);
    expect_nearest(x, to_bf16, from_bf16);
  }
  for (uint32_t bits = 0; bits < 0x7BFF; ++bits) {  // all points midway between two halves
    const float midway = (from_f16(static_cast<uint16_t>(bits)) + from_f16(static_cast<uint16_t>(bits + 1))) / 2;
    ASSERT_EQ(to_f16(midway), bits + bits % 2) << midway;
  }
  EXPECT_EQ(to_f16(65519.99f), 0x7BFF);
  EXPECT_EQ(to_f16(65520), 0x7C00);
  EXPECT_EQ(to_f16(-1e30f), 0xFC00);
}

}  // namespace
}  // namespace hone
