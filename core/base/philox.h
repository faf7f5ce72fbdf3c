// philox.h -- counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw; SC 2011).
// No state: the same key and counter always give the same bits, so nothing is lost by a crash and no order matters.
#pragma once

#include <array>
#include <cstdint>

namespace hone {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Uses of random numbers keep apart by `purpose`, part of the key.
enum class Purpose : uint32_t {
  sampling = 1,
  initialise = 2,
  shuffle = 3,
  script = 4,
  plugin = 5,
  retry = 6,
  bootstrap = 7,
  adapter = 8
};

struct RandomKey {
  uint64_t seed = 0;
  Purpose purpose = Purpose::sampling;
  uint32_t stage = 0, step = 0, row = 0, token = 0;
};
std::array<uint32_t, 4> random_bits(const RandomKey &);
float random_uniform(const RandomKey &);  // in [0, 1), 24 bits

}  // namespace hone
