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

// Two bf16 of consecutive steps; the first, in the upper half, is added first.
typedef uint32_t Pair;
// The same as a broadcast needs it.
struct SplitPair {
  float first, second;
};
// A tile's left factor.
#if defined(HONE_DOT)
typedef Pair LeftPair;
#else
typedef SplitPair LeftPair;
#endif

// The first of a pair (0) or the second (1).
HONE_INLINE float number_of(Pair p, int which) {
  const uint32_t bits = which ? p << 16 : p & 0xffff0000u;
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

HONE_INLINE uint32_t pairs(uint32_t steps) { return steps / 2 + steps % 2; }

// The bits of x rounded to the nearest bf16, ties to even, in the upper halves; the lower are 0. NaN stays NaN. A subnormal x is
// zero before it is rounded, as the CPU's own instruction has it.
HONE_INLINE Bits rounded_bits(Register x) {
  const Bits bits = (Bits)x, rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const Bits number = (x == x ? rounded : bits | 0x400000u) & 0xffff0000u;
  return (bits & 0x7f800000u) == 0 ? bits & 0x80000000u : number;
}
HONE_INLINE uint32_t rounded_bits(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits | 0x400000u) & 0xffff0000u;
  if ((bits & 0x7f800000u) == 0) return bits & 0x80000000u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
}
HONE_INLINE Pair pair_of(float first, float second) { return rounded_bits(first) | rounded_bits(second) >> 16; }
HONE_INLINE void make_pair_of(float first, float second, Pair *to) { *to = pair_of(first, second); }
HONE_INLINE void make_pair_of(float first, float second, SplitPair *to) {
  const uint32_t bits[2] = {rounded_bits(first), rounded_bits(second)};
  __builtin_memcpy(to, bits, sizeof *to);
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
#endif
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

#if defined(HONE_DOT)
// The 16 pairs of 32 numbers. The instruction puts the first of two into the lower half.
HONE_INLINE __m512i pairs_of_row(const float *row) {
  return _mm512_rol_epi32((__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(row + 16), _mm512_loadu_ps(row)), 16);
}
#endif
// row[s], s < steps (0 beyond), as pairs(steps) left factors.
HONE_INLINE void left_pairs_of_row(uint32_t steps, const float *row, Pair *to) {
  uint32_t s = 0;
#if defined(HONE_DOT)
  for (; s + 32 <= steps; s += 32) _mm512_storeu_si512(to + s / 2, pairs_of_row(row + s));
#endif
  for (; s + 2 <= steps; s += 2) to[s / 2] = pair_of(row[s], row[s + 1]);
  if (s < steps) to[s / 2] = pair_of(row[s], 0);
}
HONE_INLINE void left_pairs_of_row(uint32_t steps, const float *row, SplitPair *to) {
  uint32_t s = 0;
  float *flat = &to[0].first;
  for (; s + kPartLanes <= steps; s += kPartLanes) {
    Register x;
    __builtin_memcpy(&x, row + s, sizeof x);
    const Bits bits = rounded_bits(x);
    __builtin_memcpy(flat + s, &bits, sizeof bits);
  }
  for (; s + 2 <= steps; s += 2) make_pair_of(row[s], row[s + 1], &to[s / 2]);
  if (s < steps) make_pair_of(row[s], 0, &to[s / 2]);
}
#if defined(HONE_DOT)
// The pairs of a and b, rounded.
HONE_INLINE __m512i pairs_of(__m512 first, __m512 second) {
  const __m512i interleaved = _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009, 0x180008, 0x170007, 0x160006,
                                       0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
  return _mm512_permutexvar_epi16(interleaved, (__m512i)_mm512_cvtne2ps_pbh(first, second));
}
// x[i] of row j and x[j] of row i change places.
HONE_INLINE void transpose(__m512i (&x)[16]) {
  __m512i y[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    y[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
    y[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      x[4 * i + 2 * j] = _mm512_unpacklo_epi64(y[4 * i + j], y[4 * i + j + 2]);
      x[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(y[4 * i + j], y[4 * i + j + 2]);
    }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // quarter q of x[4 r + i] is the columns 4 q + i of rows 4 r .. 4 r + 3
    const __m512i a = _mm512_shuffle_i32x4(x[i], x[4 + i], 0x88), b = _mm512_shuffle_i32x4(x[i], x[4 + i], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0x88), d = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0xdd);
    y[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    y[8 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
    y[4 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
    y[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) x[i] = y[i];
}
#endif
// to[n] = the pair of step[n] and next[n]; next null: of step[n] and 0. n_padded (of 16) beyond n are zeroes.
HONE_INLINE void pairs_of_steps(uint32_t n, const float *step, const float *next, Pair *to, uint32_t n_padded) {
  uint32_t i = 0;
#if defined(HONE_DOT)
  for (; i + 16 <= n; i += 16)
    _mm512_storeu_si512(to + i, pairs_of(_mm512_loadu_ps(step + i), next ? _mm512_loadu_ps(next + i) : _mm512_setzero_ps()));
#endif
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
HONE_INLINE void left_pairs_of_steps(uint32_t n, const float *step, const float *next, Pair *to) { pairs_of_steps(n, step, next, to, 0); }
HONE_INLINE void left_pairs_of_steps(uint32_t n, const float *step, const float *next, SplitPair *to) {
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
  for (; i < n; ++i) make_pair_of(step[i], next ? next[i] : 0, &to[i]);
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
