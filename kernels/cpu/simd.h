// simd.h -- sixteen floats at a time, the same bits on every machine: one zmm, two ymm or four xmm registers.
// Kernels are written once on F16 and compiled once per instruction set (HONE_ISA: avx512, avx2, plain). Each operation
// is correctly rounded per lane (IEEE 754), sum() is a fixed tree, so the three sets agree bit for bit.
// No std:: templates here or in an op_cpu.cpp: the linker would keep one copy of them, perhaps one that this CPU cannot run.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define HONE_INLINE static inline __attribute__((always_inline))

namespace hone::kernels::HONE_ISA {

#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64;
#elif defined(__AVX2__)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif

typedef float Register __attribute__((vector_size(kRegisterBytes)));
typedef uint32_t Bits __attribute__((vector_size(kRegisterBytes)));
constexpr int kParts = 64 / kRegisterBytes, kPartLanes = kRegisterBytes / 4;

struct F16 {
  Register part[kParts];
};

#define HONE_PARTS _Pragma("GCC unroll 4") for (int i = 0; i < kParts; ++i)

HONE_INLINE F16 load(const float *p) {
  F16 r;
  HONE_PARTS __builtin_memcpy(&r.part[i], p + i * kPartLanes, sizeof(Register));
  return r;
}
HONE_INLINE void store(float *p, F16 a) {
  HONE_PARTS __builtin_memcpy(p + i * kPartLanes, &a.part[i], sizeof(Register));
}
HONE_INLINE F16 broadcast(float x) {
  F16 r;
  HONE_PARTS r.part[i] = x - Register{};  // x - (+0) is x for every x, signed zeroes and NaN included
  return r;
}
HONE_INLINE F16 zero() {
  F16 r;
  HONE_PARTS r.part[i] = Register{};
  return r;
}
// The first n (1..16) lanes; the others are `rest` and nothing beyond is touched.
HONE_INLINE F16 load_first(const float *p, uint32_t n, float rest = 0) {
#if defined(__AVX512F__)
  F16 r = broadcast(rest);
  r.part[0] = (Register)_mm512_mask_loadu_ps((__m512)r.part[0], (__mmask16)((1u << n) - 1), p);
  return r;
#else
  float lanes[16];
  for (uint32_t j = 0; j < 16; ++j) lanes[j] = rest;
  for (uint32_t j = 0; j < n; ++j) lanes[j] = p[j];
  return load(lanes);
#endif
}
HONE_INLINE void store_first(float *p, uint32_t n, F16 a) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)a.part[0]);
#else
  float lanes[16];
  store(lanes, a);
  for (uint32_t j = 0; j < n; ++j) p[j] = lanes[j];
#endif
}

HONE_INLINE F16 operator+(F16 a, F16 b) {
  HONE_PARTS a.part[i] = a.part[i] + b.part[i];
  return a;
}
HONE_INLINE F16 operator-(F16 a, F16 b) {
  HONE_PARTS a.part[i] = a.part[i] - b.part[i];
  return a;
}
HONE_INLINE F16 operator*(F16 a, F16 b) {
  HONE_PARTS a.part[i] = a.part[i] * b.part[i];
  return a;
}
HONE_INLINE F16 operator/(F16 a, F16 b) {
  HONE_PARTS a.part[i] = a.part[i] / b.part[i];
  return a;
}
HONE_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
HONE_INLINE F16 fma(F16 a, F16 b, F16 c) {  // a b + c, rounded once
#if defined(__AVX512F__)
  c.part[0] = (Register)_mm512_fmadd_ps((__m512)a.part[0], (__m512)b.part[0], (__m512)c.part[0]);
#elif defined(__AVX2__)
  HONE_PARTS c.part[i] = (Register)_mm256_fmadd_ps((__m256)a.part[i], (__m256)b.part[i], (__m256)c.part[i]);
#else
  float x[16], y[16], z[16];
  store(x, a), store(y, b), store(z, c);
  for (int j = 0; j < 16; ++j) z[j] = __builtin_fmaf(x[j], y[j], z[j]);
  c = load(z);
#endif
  return c;
}
// a > b ? a : b, so a NaN in a is passed over.
HONE_INLINE F16 larger(F16 a, F16 b) {
  HONE_PARTS a.part[i] = a.part[i] > b.part[i] ? a.part[i] : b.part[i];
  return a;
}
HONE_INLINE F16 smaller(F16 a, F16 b) {
  HONE_PARTS a.part[i] = a.part[i] < b.part[i] ? a.part[i] : b.part[i];
  return a;
}
// test == 0 ? a : b
HONE_INLINE F16 where_zero(F16 test, F16 a, F16 b) {
  HONE_PARTS a.part[i] = test.part[i] == Register{} ? a.part[i] : b.part[i];
  return a;
}
// Whether any lane of a is at least b's.
HONE_INLINE bool any_at_least(F16 a, F16 b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a.part[0], (__m512)b.part[0], _CMP_GE_OQ) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_or_ps(_mm256_cmp_ps((__m256)a.part[0], (__m256)b.part[0], _CMP_GE_OQ),
                                         _mm256_cmp_ps((__m256)a.part[1], (__m256)b.part[1], _CMP_GE_OQ))) != 0;
#else
  float x[16], y[16];
  store(x, a), store(y, b);
  bool any = false;
  for (int j = 0; j < 16; ++j) any |= x[j] >= y[j];
  return any;
#endif
}
// Lanes below n from a, the others from b.
HONE_INLINE F16 first(uint32_t n, F16 a, F16 b) {
#if defined(__AVX512F__)
  a.part[0] = (Register)_mm512_mask_blend_ps((__mmask16)((1u << n) - 1), (__m512)b.part[0], (__m512)a.part[0]);
  return a;
#else
  float lanes[16], rest[16];
  store(lanes, a);
  store(rest, b);
  for (uint32_t j = n; j < 16; ++j) lanes[j] = rest[j];
  return load(lanes);
#endif
}
// The tree of every horizontal sum: lanes i and i + 8, then i and i + 4, i + 2, i + 1.
HONE_INLINE float sum(F16 a) {
  typedef float Four __attribute__((vector_size(16)));
  Four f;
#if defined(__AVX512F__)
  const __m256 e = _mm256_add_ps(_mm512_castps512_ps256((__m512)a.part[0]), _mm512_extractf32x8_ps((__m512)a.part[0], 1));
  f = (Four)_mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
#elif defined(__AVX2__)
  const __m256 e = _mm256_add_ps((__m256)a.part[0], (__m256)a.part[1]);
  f = (Four)_mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
#else
  f = (a.part[0] + a.part[2]) + (a.part[1] + a.part[3]);
#endif
  return (f[0] + f[2]) + (f[1] + f[3]);
}
HONE_INLINE float largest(F16 a) {  // of lanes that are not NaN
  float lanes[16];
  store(lanes, a);
  for (int width = 8; width > 0; width /= 2)
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) lanes[j] = lanes[j] > lanes[j + width] ? lanes[j] : lanes[j + width];
  return lanes[0];
}

template <class N>
HONE_INLINE N least(N a, N b) {
  return a < b ? a : b;
}
template <class N>
HONE_INLINE N most(N a, N b) {
  return a > b ? a : b;
}
HONE_INLINE uint32_t panels(uint32_t n) { return n / 16 + (n % 16 != 0); }  // blocks of 16 that hold n

// body(i, lanes) for each block of 16 in [begin, end), lanes < 16 only in the last.
template <class Body>
HONE_INLINE void each_block(uint64_t begin, uint64_t end, const Body &body) {
  uint64_t i = begin;
  for (; i + 16 <= end; i += 16) body(i, 16u);
  if (i < end) body(i, (uint32_t)(end - i));
}
HONE_INLINE F16 load_block(const float *p, uint32_t lanes) { return lanes == 16 ? load(p) : load_first(p, lanes); }
HONE_INLINE void store_block(float *p, uint32_t lanes, F16 a) {
  if (lanes == 16)
    store(p, a);
  else
    store_first(p, lanes, a);
}

}  // namespace hone::kernels::HONE_ISA
