// philox.cpp -- Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#include "core/base/philox.h"

namespace hone {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c[0], b = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

// The seed and the purpose share the key: SplitMix64's finaliser, a bijection of the seed for each purpose.
static uint64_t mixed(uint64_t seed, Purpose purpose) {
  uint64_t z = seed + static_cast<uint64_t>(purpose) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::array<uint32_t, 4> random_bits(const RandomKey &key) {
  const uint64_t k = mixed(key.seed, key.purpose);
  return philox({key.stage, key.step, key.row, key.token}, {static_cast<uint32_t>(k), static_cast<uint32_t>(k >> 32)});
}

float random_uniform(const RandomKey &key) { return static_cast<float>(random_bits(key)[0] >> 8) * 0x1p-24f; }

}  // namespace hone
