// bf16.h -- products of bf16 numbers two steps at a time, as VDPBF16PS makes them (Intel SDM volume 2C; AMD64 APM volume 4):
//   sum = fma(x first, w first, sum), then fma(x second, w second, sum), in f32, subnormal inputs taken as zero and
//   subnormal results made zero.
// Where there is no such instruction, two fused multiply-adds under a FlushSubnormals give the same bits.
#pragma once

#include "kernels/cpu/simd.h"

#if defined(__AVX512BF16__)
#define HONE_DOT 1
#endif

namespace hone::kernels::HONE_ISA {

// Two bf16 of one chain; the first, in the upper half, is added first.
typedef uint32_t Pair;
// The same as a tile's left factor: what its broadcast needs.
#if defined(HONE_DOT)
typedef Pair LeftPair;
#else
struct LeftPair {
  float first, second;
};
#endif

HONE_INLINE uint32_t pairs(uint32_t steps) { return steps / 2 + steps % 2; }

// The bits of x rounded to the nearest bf16, ties to even, in the upper halves; the lower are 0. NaN stays NaN.
HONE_INLINE Bits rounded_bits(Register x) {
  const Bits bits = (Bits)x, rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (x == x ? rounded : bits | 0x400000u) & 0xffff0000u;
}
HONE_INLINE uint32_t rounded_bits(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits | 0x400000u) & 0xffff0000u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
}
HONE_INLINE Pair pair_of(float first, float second) { return rounded_bits(first) | rounded_bits(second) >> 16; }
HONE_INLINE LeftPair left_pair_of(float first, float second) {
#if defined(HONE_DOT)
  return pair_of(first, second);
#else
  const uint32_t bits[2] = {rounded_bits(first), rounded_bits(second)};
  LeftPair pair;
  __builtin_memcpy(&pair, bits, sizeof pair);
  return pair;
#endif
}

#if defined(HONE_DOT)
HONE_INLINE Bits load_pairs(const Pair *p) {
  Bits w;
  __builtin_memcpy(&w, p, sizeof w);
  return w;
}
HONE_INLINE F16 dot(Bits x, Bits w, F16 sum) {
  sum.part[0] = (Register)_mm512_dpbf16_ps((__m512)sum.part[0], (__m512bh)x, (__m512bh)w);
  return sum;
}
#else
// The first, and the second, of 16 pairs.
HONE_INLINE F16 first_of(const Pair *p) {
  F16 r;
  HONE_PARTS {
    Bits w;
    __builtin_memcpy(&w, p + i * kPartLanes, sizeof w);
#if defined(__AVX2__) && !defined(__AVX512F__)
    r.part[i] = (Register)_mm256_slli_epi32(_mm256_srli_epi32((__m256i)w, 16), 16);  // a mask would be one register too many
#else
    r.part[i] = (Register)(w & 0xffff0000u);
#endif
  }
  return r;
}
HONE_INLINE F16 second_of(const Pair *p) {
  F16 r;
  HONE_PARTS {
    Bits w;
    __builtin_memcpy(&w, p + i * kPartLanes, sizeof w);
    r.part[i] = (Register)(w << 16);
  }
  return r;
}
#endif

// row[s], s < steps (0 beyond), as pairs(steps) left factors.
HONE_INLINE void left_pairs_of_row(uint32_t steps, const float *row, LeftPair *to) {
  uint32_t s = 0;
#if defined(HONE_DOT)
  for (; s + 32 <= steps; s += 32) {  // the instruction puts the first of two into the lower half
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(row + s + 16), _mm512_loadu_ps(row + s));
    _mm512_storeu_si512(to + s / 2, _mm512_rol_epi32(both, 16));
  }
  for (; s + 2 <= steps; s += 2) to[s / 2] = pair_of(row[s], row[s + 1]);
#else
  float *flat = &to[0].first;
  for (; s + kPartLanes <= steps; s += kPartLanes) {
    Register x;
    __builtin_memcpy(&x, row + s, sizeof x);
    const Bits bits = rounded_bits(x);
    __builtin_memcpy(flat + s, &bits, sizeof bits);
  }
  for (; s + 2 <= steps; s += 2) to[s / 2] = left_pair_of(row[s], row[s + 1]);
#endif
  if (s < steps) to[s / 2] = left_pair_of(row[s], 0);
}
// to[n] = the pair of step[n] and next[n]; next null: of step[n] and 0. n_padded (of 16) beyond n are zeroes.
HONE_INLINE void pairs_of_steps(uint32_t n, const float *step, const float *next, Pair *to, uint32_t n_padded) {
  uint32_t i = 0;
  for (; i + kPartLanes <= n; i += kPartLanes) {
    Register a, b = Register{};
    __builtin_memcpy(&a, step + i, sizeof a);
    if (next) __builtin_memcpy(&b, next + i, sizeof b);
    const Bits both = rounded_bits(a) | rounded_bits(b) >> 16;
    __builtin_memcpy(to + i, &both, sizeof both);
  }
  for (; i < n; ++i) to[i] = pair_of(step[i], next ? next[i] : 0);
  for (; i < n_padded; ++i) to[i] = 0;
}
HONE_INLINE void left_pairs_of_steps(uint32_t n, const float *step, const float *next, LeftPair *to) {
#if defined(HONE_DOT)
  pairs_of_steps(n, step, next, to, 0);
#else
  uint32_t i = 0;
#if defined(__AVX2__) && !defined(__AVX512F__)
  for (; i + 8 <= n; i += 8) {
    Register a, b = Register{};
    __builtin_memcpy(&a, step + i, sizeof a);
    if (next) __builtin_memcpy(&b, next + i, sizeof b);
    const __m256 x = (__m256)rounded_bits(a), y = (__m256)rounded_bits(b), low = _mm256_unpacklo_ps(x, y), high = _mm256_unpackhi_ps(x, y);
    _mm256_storeu_ps(&to[i].first, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(&to[i + 4].first, _mm256_permute2f128_ps(low, high, 0x31));
  }
#endif
  for (; i < n; ++i) to[i] = left_pair_of(step[i], next ? next[i] : 0);
#endif
}

// While one lives, this thread takes subnormal numbers as zero and makes none.
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(control()) { set(before_ | kBits); }
  ~FlushSubnormals() { set(before_); }
  FlushSubnormals(const FlushSubnormals &) = delete;
  FlushSubnormals &operator=(const FlushSubnormals &) = delete;

 private:
#if defined(__x86_64__)
  typedef uint32_t Control;
  static constexpr Control kBits = 0x8040;  // FTZ, DAZ of MXCSR
  static Control control() { return __builtin_ia32_stmxcsr(); }
  static void set(Control c) { __builtin_ia32_ldmxcsr(c); }
#elif defined(__aarch64__)
  typedef uint64_t Control;
  static constexpr Control kBits = 1ull << 24;  // FZ of FPCR
  static Control control() {
    Control c;
    asm volatile("mrs %0, fpcr" : "=r"(c));
    return c;
  }
  static void set(Control c) { asm volatile("msr fpcr, %0" ::"r"(c) : "memory"); }
#else
#error "hone's bf16 products need to flush subnormal numbers to zero, and it is not known here how"
#endif
  Control before_;
};

}  // namespace hone::kernels::HONE_ISA
