// made_up_numbers.h -- parameters and gradients for tests of optimizers: the same for a seed.
#pragma once

#include <random>
#include <vector>

namespace hone {

inline std::vector<float> numbers(size_t n, uint32_t seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(n);
  for (float &x : out) x = normal(random);
  return out;
}

}  // namespace hone
