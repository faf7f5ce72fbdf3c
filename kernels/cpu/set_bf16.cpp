// set_bf16.cpp -- the avx512 set with products of bf16 by VDPBF16PS; compiled as HONE_ISA avx512bf16. What the instruction
// does is checked before it is used: cpu/bf16.h says what it must give.
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/sets.h"
#include "kernels/expert_matmul/op.h"
#include "kernels/matmul/op.h"

#include <time.h>

namespace hone::kernels::HONE_ISA {
namespace {

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

constexpr int kChains = 12, kSteps = 2000;

// Seconds of one round of independent chains, two steps of s each time: step(x, sum).
template <class Step>
double time_of(Bits x, const Step &step) {
  F16 sum[kChains];
  for (F16 &s : sum) s = zero();
  const double begin = now();
  for (int i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      asm volatile("" : "+v"(x));
      sum[c] = step(x, sum[c]);
    }
  const double end = now();
  for (F16 &s : sum) asm volatile("" ::"v"(s.part[0]));
  return end - begin;
}
}  // namespace

// Whether this CPU's instruction gives the bits of two fused multiply-adds: over random numbers of all sizes, subnormal ones
// among them, sums that cancel, and overflow.
bool dot_keeps_the_chain() {
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  const FlushSubnormals flush;
  for (int round = 0; round < 4000; ++round) {
    // Exponents near each other, so that every bit of the three matters, around 0 of any size.
    const uint32_t near = round % 4 ? 100 + (next() >> 24) % 48 : (next() >> 24) % 2 * 254;
    const auto number = [&](uint32_t exponent) { return (next() & 0x8000u) | (exponent & 255u) << 7 | (next() >> 9 & 127u); };
    Pair xs[16], ws[16];
    float sums[16], expected[16], got[16];
    for (int j = 0; j < 16; ++j) {
      const uint32_t e = near + (next() >> 30);
      xs[j] = number(e) << 16 | number(e + 1);
      ws[j] = number(254 - near) << 16 | number(253 - near + (next() >> 31));
      const uint32_t bits = (next() & 0x807fffffu) | (120u + (next() >> 28)) << 23;
      __builtin_memcpy(&sums[j], &bits, 4);
      if (round % 3 == 0) sums[j] = -number_of(xs[j], 0) * number_of(ws[j], 0);  // cancels
      expected[j] = fma(number_of(xs[j], 1), number_of(ws[j], 1), fma(number_of(xs[j], 0), number_of(ws[j], 0), sums[j]));
    }
    store(got, dot(load_pairs(xs), load_pairs(ws), load(sums)));
    for (int j = 0; j < 16; ++j)
      if (__builtin_memcmp(&got[j], &expected[j], 4) != 0 && !(got[j] != got[j] && expected[j] != expected[j])) return false;
  }
  return true;
}

// Some CPUs have the instruction at half the speed of fused multiply-adds. Either way gives the same bits.
bool dot_is_faster() {
  const F16 small = broadcast(1e-3f);
  double by_dot = 1, by_fma = 1;
  for (int i = 0; i < 5; ++i) {
    by_dot = least(by_dot, time_of(Bits{} + pair_of(1e-3f, 1e-3f), [](Bits x, F16 sum) { return dot(x, x, sum); }));
    by_fma = least(by_fma, time_of((Bits)small.part[0], [](Bits x, F16 sum) {
                     const F16 factor = {{(Register)x}};
                     return fma(factor, factor, fma(factor, factor, sum));
                   }));
  }
  return by_dot < by_fma;
}

const hone_kernels *set() {
  static const hone_kernels table = [] {
    hone_kernels t = *avx512::set();
    t.isa = "avx512bf16";
    fill_matmul(t);
    fill_expert_matmul(t);
    return t;
  }();
  return &table;
}

}  // namespace hone::kernels::HONE_ISA
