// philox_test.cpp -- against the known answers that Random123 ships (kat_vectors, philox4x32 10).
#include "core/base/philox.h"

#include <gtest/gtest.h>

#include <set>

namespace hone {
namespace {

using Words = std::array<uint32_t, 4>;

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EveryPartOfTheKeyCounts) {
  const RandomKey key{7, Purpose::sampling, 1, 2, 3, 4};
  std::set<Words> seen = {random_bits(key)};
  for (int part = 0; part < 6; ++part) {
    RandomKey other = key;
    if (part == 0) other.seed = 8;
    if (part == 1) other.purpose = Purpose::shuffle;
    if (part == 2) other.stage = 9;
    if (part == 3) other.step = 9;
    if (part == 4) other.row = 9;
    if (part == 5) other.token = 9;
    EXPECT_TRUE(seen.insert(random_bits(other)).second) << "part " << part;
  }
  EXPECT_EQ(random_bits(key), random_bits(key));
}

TEST(Philox, UniformsFillTheUnitIntervalEvenly) {
  int buckets[16] = {};
  for (uint32_t row = 0; row < 16000; ++row) {
    const float u = random_uniform({.seed = 1, .row = row});
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ++buckets[static_cast<int>(u * 16)];
  }
  double chi_square = 0;
  for (int n : buckets) chi_square += (n - 1000.0) * (n - 1000.0) / 1000.0;
  EXPECT_LT(chi_square, 37.7);  // 15 degrees of freedom, p = 0.001
}

}  // namespace
}  // namespace hone
