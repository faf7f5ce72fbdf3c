// set_amx.cpp -- the avx512 set with products of bf16 in tiles by TDPBF16PS; compiled as HONE_ISA amx. What the instruction does is
// checked before it is used: cpu/blocks.h says what it must give.
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/sets.h"
#include "kernels/expert_matmul/op.h"
#include "kernels/matmul/op.h"

namespace hone::kernels::HONE_ISA {
namespace {

float half(Pair p, int which) {
  const uint32_t bits = which ? p << 16 : p & 0xffff0000u;
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

}  // namespace

// Whether this CPU's instruction gives the bits of the two chains and their sum: over random numbers of all sizes, subnormal ones
// among them, sums that cancel, and overflow.
bool tiles_keep_the_blocks() {
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  const FlushSubnormals flush;
  alignas(64) Pair x[16][16], w[16][16];
  alignas(64) float sums[16][16], expected[16][16];
  for (int round = 0; round < 100; ++round) {
    // Exponents near each other, so that every bit matters, around 0 of any size.
    const uint32_t near = round % 4 ? 100 + (next() >> 24) % 48 : (next() >> 24) % 2 * 254, spread = 1 + round % 5 * 4;
    const auto number = [&](uint32_t exponent) { return (next() >> 16 & 0x8000u) | (exponent & 255u) << 7 | (next() >> 9 & 127u); };
    const auto pair = [&](uint32_t exponent) {
      const uint32_t first = number(exponent + (next() >> 16) % spread);
      return first << 16 | number(exponent + (next() >> 16) % spread);
    };
    for (int m = 0; m < 16; ++m)
      for (int s = 0; s < 16; ++s) x[m][s] = pair(near), w[m][s] = pair(253 - near);
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 16; ++n) {
        const uint32_t bits = (next() & 0x807fffffu) | (120u + (next() >> 28)) << 23;
        __builtin_memcpy(&sums[m][n], &bits, 4);
        float firsts = 0, seconds = 0;
        for (int s = 0; s < 16; ++s) {
          firsts = fma(half(x[m][s], 0), half(w[s][n], 0), firsts);
          seconds = fma(half(x[m][s], 1), half(w[s][n], 1), seconds);
        }
        if (round % 3 == 0) sums[m][n] = -(firsts + seconds);  // cancels
        expected[m][n] = sums[m][n] + (firsts + seconds);
      }
    gemm_in_blocks(16, 16, 16, &x[0][0], 16, &w[0][0], 256, &sums[0][0], 16, true);
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 16; ++n)
        if (__builtin_memcmp(&sums[m][n], &expected[m][n], 4) != 0 && !(sums[m][n] != sums[m][n] && expected[m][n] != expected[m][n])) return false;
  }
  return true;
}

const hone_kernels *set() {
  static const hone_kernels table = [] {
    hone_kernels t = *avx512::set();
    t.isa = "amx";
    t.bf16 = HONE_BF16_BLOCKS;
    fill_matmul(t);
    fill_expert_matmul(t);
    return t;
  }();
  return &table;
}

}  // namespace hone::kernels::HONE_ISA
