// gemm.h -- the one matrix product that all others are made of:
//   C[m, n] = chain over s = 0 .. S-1, in order, of fma(A[m, s], B[s, n], ·), begun at 0 or at what C holds.
// Each output is one chain of fused multiply-adds, so blocking (accumulators put down in C and taken up again), the
// neighbours in the tile, threads and the instruction set change no bit.
#pragma once

#include "kernels/cpu/simd.h"

namespace hone::kernels::HONE_ISA {

// Registers' worth of accumulators, in F16, and the rows of the tallest tile.
#if defined(__AVX512F__)
constexpr uint32_t kAccumulators = 24, kTileRows = 12;
#elif defined(__AVX2__)
constexpr uint32_t kAccumulators = 6, kTileRows = 6;
#else
constexpr uint32_t kAccumulators = 4, kTileRows = 4;
#endif
constexpr uint32_t kDepth = 256;  // s of one block: 32 columns of B by this fit L1

// One tile of MR rows by NP panels of 16 columns. b[p] is panel p's row 0; its rows are b_step apart.
// PARTIAL: NP is 1 and only `lanes` columns exist.
template <uint32_t MR, uint32_t NP, bool PARTIAL, class B>
__attribute__((noinline)) void tile(uint32_t S, const float *a, size_t a_row, size_t a_step, const B *const *b, size_t b_step,
                                    float *c, size_t ldc, bool from_c, uint32_t lanes) {
  F16 sum[MR][NP];
#pragma GCC unroll 12
  for (uint32_t m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (uint32_t p = 0; p < NP; ++p) {
      if constexpr (PARTIAL)
        sum[m][p] = from_c ? load_first(c + m * ldc, lanes) : zero();
      else
        sum[m][p] = from_c ? load(c + m * ldc + p * 16) : zero();
    }
  }
  // Three rows share a pointer: x86 addresses reach +1 and +2 strides, and twelve pointers would not fit the registers.
  const float *rows[(MR + 2) / 3];
#pragma GCC unroll 4
  for (uint32_t m = 0; m < MR; m += 3) rows[m / 3] = a + m * a_row;
  const B *columns[NP];
#pragma GCC unroll 8
  for (uint32_t p = 0; p < NP; ++p) columns[p] = b[p];
  for (uint32_t s = 0; s < S; ++s) {
    F16 w[NP];
#pragma GCC unroll 8
    for (uint32_t p = 0; p < NP; ++p) {
      if constexpr (PARTIAL)
        w[p] = load_first(columns[p], lanes);
      else
        w[p] = load(columns[p]);
      columns[p] += b_step;
    }
#pragma GCC unroll 12
    for (uint32_t m = 0; m < MR; ++m) {
      const F16 x = broadcast(rows[m / 3][(m % 3) * a_row]);
#pragma GCC unroll 8
      for (uint32_t p = 0; p < NP; ++p) sum[m][p] = fma(x, w[p], sum[m][p]);
    }
#pragma GCC unroll 4
    for (uint32_t m = 0; m < MR; m += 3) rows[m / 3] += a_step;
  }
#pragma GCC unroll 12
  for (uint32_t m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (uint32_t p = 0; p < NP; ++p) {
      if constexpr (PARTIAL)
        store_first(c + m * ldc, lanes, sum[m][p]);
      else
        store(c + m * ldc + p * 16, sum[m][p]);
    }
  }
}

// How many panels (8, 4, 2 or 1) a tile of this many rows takes at once.
HONE_INLINE uint32_t tile_panels(uint32_t rows) {
  uint32_t n = 1;
  while (n < 8 && rows * n * 2 <= kAccumulators) n *= 2;
  return n;
}

template <uint32_t MR, class B>
HONE_INLINE void tile_of_rows(uint32_t np, bool partial, uint32_t S, const float *a, size_t a_row, size_t a_step,
                              const B *const *b, size_t b_step, float *c, size_t ldc, bool from_c, uint32_t lanes) {
  if constexpr (MR <= kTileRows) {
    if (partial) return tile<MR, 1, true>(S, a, a_row, a_step, b, b_step, c, ldc, from_c, lanes);
    if constexpr (MR * 8 <= kAccumulators)
      if (np == 8) return tile<MR, 8, false>(S, a, a_row, a_step, b, b_step, c, ldc, from_c, 16);
    if constexpr (MR * 4 <= kAccumulators)
      if (np == 4) return tile<MR, 4, false>(S, a, a_row, a_step, b, b_step, c, ldc, from_c, 16);
    if constexpr (MR * 2 <= kAccumulators)
      if (np == 2) return tile<MR, 2, false>(S, a, a_row, a_step, b, b_step, c, ldc, from_c, 16);
    tile<MR, 1, false>(S, a, a_row, a_step, b, b_step, c, ldc, from_c, 16);
  }
}

// A tile of `rows` (1 .. kTileRows) by np panels (a power of two, at most tile_panels(rows)).
template <class B>
static void any_tile(uint32_t rows, uint32_t np, bool partial, uint32_t S, const float *a, size_t a_row, size_t a_step,
                     const B *const *b, size_t b_step, float *c, size_t ldc, bool from_c, uint32_t lanes) {
#define HONE_TILE(n)                                                                               \
  case n:                                                                                          \
    return tile_of_rows<n>(np, partial, S, a, a_row, a_step, b, b_step, c, ldc, from_c, lanes);
  switch (rows) {
    HONE_TILE(1) HONE_TILE(2) HONE_TILE(3) HONE_TILE(4) HONE_TILE(5) HONE_TILE(6)
    HONE_TILE(7) HONE_TILE(8) HONE_TILE(9) HONE_TILE(10) HONE_TILE(11) HONE_TILE(12)
  }
#undef HONE_TILE
}

// Rows in tiles as even as can be: 13 rows are 7 and 6, since a tile of one row is slow.
HONE_INLINE uint32_t even_tile(uint32_t rows) {
  const uint32_t tiles = (rows + kTileRows - 1) / kTileRows;
  return (rows + tiles - 1) / tiles;
}

// Panel p of B begins b_panel elements after panel p - 1. The last panel may be partial (N % 16 columns).
template <class B>
HONE_INLINE void gemm(uint32_t M, uint32_t N, uint32_t S, const float *a, size_t a_row, size_t a_step, const B *b, size_t b_step,
                      size_t b_panel, float *c, size_t ldc, bool from_c) {
  if (M == 0 || N == 0) return;
  const uint32_t full = N / 16, tail = N % 16, rows = even_tile(M), widest = tile_panels(rows);
  uint32_t s = 0;
  do {
    const uint32_t depth = least(kDepth, S - s);
    const float *as = a + s * a_step;
    const B *bs = b + s * b_step;
    uint32_t np = widest;
    for (uint32_t p = 0; p < full; p += np) {
      while (np > full - p) np /= 2;
      const B *columns[8] = {};
      for (uint32_t j = 0; j < np; ++j) columns[j] = bs + (p + j) * b_panel;
      for (uint32_t m = 0; m < M; m += rows)
        any_tile(least(rows, M - m), np, false, depth, as + m * a_row, a_row, a_step, columns, b_step, c + m * ldc + p * 16,
                 ldc, from_c, 16);
    }
    if (tail) {
      const B *column = bs + full * b_panel;
      for (uint32_t m = 0; m < M; m += rows)
        any_tile(least(rows, M - m), 1, true, depth, as + m * a_row, a_row, a_step, &column, b_step, c + m * ldc + full * 16,
                 ldc, from_c, tail);
    }
    from_c = true;
    s += depth;
  } while (s < S);
}

}  // namespace hone::kernels::HONE_ISA
