// gemm.h -- the one matrix product that all others are made of:
//   C[m, n] = chain over s = 0 .. S-1, in order, of fma(A[m, s], B[s, n], ·), begun at 0 or at what C holds.
// Each output is one chain of fused multiply-adds, so blocking (accumulators put down in C and taken up again), the
// neighbours in the tile, threads and the instruction set change no bit. A and B are floats, or bf16 two steps of s at a
// time (cpu/bf16.h): then S, a_step and b_step count pairs.
#pragma once

#include "kernels/cpu/bf16.h"

namespace hone::kernels::HONE_ISA {

// Registers' worth of accumulators, in F16, and the rows of the tallest tile.
#if defined(__AVX512F__)
constexpr uint32_t kAccumulators = 24, kTileRows = 12;
#elif defined(__AVX2__)
constexpr uint32_t kAccumulators = 6, kTileRows = 6;
#else
constexpr uint32_t kAccumulators = 4, kTileRows = 4;
#endif
// Bytes of one panel of B in a block of s: with a tile's rows of A it fits L1.
constexpr uint32_t kPanelBytes = 20480;
constexpr uint32_t kGroup = 8;  // panels whose part of C stays in L2 while s goes on

// sum[m][p] += factor(m) w[p]
template <uint32_t MR, uint32_t NP, class Factor>
HONE_INLINE void add_outer(F16 (&sum)[MR][NP], const F16 (&w)[NP], const Factor &factor) {
#pragma GCC unroll 12
  for (uint32_t m = 0; m < MR; ++m) {
    const F16 x = broadcast(factor(m));
#pragma GCC unroll 8
    for (uint32_t p = 0; p < NP; ++p) sum[m][p] = fma(x, w[p], sum[m][p]);
  }
}

// What one step of s adds to a tile: rows[m / 3] + (m % 3) a_row is row m's factor. PARTIAL: the float panel has `lanes`
// columns only.
template <uint32_t MR, uint32_t NP, bool PARTIAL>
HONE_INLINE void add_step(F16 (&sum)[MR][NP], const float *const *rows, size_t a_row, const float *const *columns, uint32_t lanes) {
  F16 w[NP];
#pragma GCC unroll 8
  for (uint32_t p = 0; p < NP; ++p) w[p] = PARTIAL ? load_first(columns[p], lanes) : load(columns[p]);
  add_outer(sum, w, [&](uint32_t m) { return rows[m / 3][(m % 3) * a_row]; });
}
template <uint32_t MR, uint32_t NP, bool PARTIAL>
HONE_INLINE void add_step(F16 (&sum)[MR][NP], const LeftPair *const *rows, size_t a_row, const Pair *const *columns, uint32_t) {
#if defined(HONE_DOT)
  Bits w[NP];
#pragma GCC unroll 8
  for (uint32_t p = 0; p < NP; ++p) w[p] = load_pairs(columns[p]);
#pragma GCC unroll 12
  for (uint32_t m = 0; m < MR; ++m) {
    const Bits x = Bits{} + rows[m / 3][(m % 3) * a_row];
#pragma GCC unroll 8
    for (uint32_t p = 0; p < NP; ++p) sum[m][p] = dot(x, w[p], sum[m][p]);
  }
#else
  F16 w[NP];
#pragma GCC unroll 8
  for (uint32_t p = 0; p < NP; ++p) w[p] = first_of(columns[p]);
  add_outer(sum, w, [&](uint32_t m) { return rows[m / 3][(m % 3) * a_row].first; });
#pragma GCC unroll 8
  for (uint32_t p = 0; p < NP; ++p) w[p] = second_of(columns[p]);
  add_outer(sum, w, [&](uint32_t m) { return rows[m / 3][(m % 3) * a_row].second; });
#endif
}

// One tile of MR rows by NP panels of 16 columns. b[p] is panel p's row 0; its rows are b_step apart.
// PARTIAL: NP is 1 and only `lanes` columns exist (a panel of pairs is padded).
template <uint32_t MR, uint32_t NP, bool PARTIAL, class A, class B>
__attribute__((noinline)) void tile(uint32_t S, const A *a, size_t a_row, size_t a_step, const B *const *b, size_t b_step,
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
  const A *rows[(MR + 2) / 3];
#pragma GCC unroll 4
  for (uint32_t m = 0; m < MR; m += 3) rows[m / 3] = a + m * a_row;
  const B *columns[NP];
#pragma GCC unroll 8
  for (uint32_t p = 0; p < NP; ++p) columns[p] = b[p];
  for (uint32_t s = 0; s < S; ++s) {
    add_step<MR, NP, PARTIAL>(sum, rows, a_row, columns, lanes);
#pragma GCC unroll 8
    for (uint32_t p = 0; p < NP; ++p) columns[p] += b_step;
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

template <uint32_t MR, class A, class B>
HONE_INLINE void tile_of_rows(uint32_t np, bool partial, uint32_t S, const A *a, size_t a_row, size_t a_step,
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
template <class A, class B>
static void any_tile(uint32_t rows, uint32_t np, bool partial, uint32_t S, const A *a, size_t a_row, size_t a_step,
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
template <class A, class B>
HONE_INLINE void gemm(uint32_t M, uint32_t N, uint32_t S, const A *a, size_t a_row, size_t a_step, const B *b, size_t b_step,
                      size_t b_panel, float *c, size_t ldc, bool from_c) {
  if (M == 0 || N == 0) return;
  const uint32_t full = N / 16, tail = N % 16, rows = even_tile(M), widest = tile_panels(rows);
  // One tile of rows reads B once, in long runs; more read each block of it again.
  const uint32_t deepest = M <= rows ? S : kPanelBytes / (16 * sizeof(B)), blocks = most(1u, (S + deepest - 1) / most(1u, deepest));
  const uint32_t depth_of_block = (S + blocks - 1) / blocks;
  for (uint32_t group = 0; group <= full; group += kGroup) {
    const uint32_t end = least(full, group + kGroup);
    const bool with_tail = tail && end == full;
    for (uint32_t s = 0, block = 0; block < blocks; s += depth_of_block, ++block) {
      const uint32_t depth = least(depth_of_block, S - s);
      const bool add = from_c || block > 0;
      const A *as = a + s * a_step;
      const B *bs = b + s * b_step;
      uint32_t np = widest;
      for (uint32_t p = group; p < end; p += np) {
        while (np > end - p) np /= 2;
        const B *columns[8] = {};
        for (uint32_t j = 0; j < np; ++j) columns[j] = bs + (p + j) * b_panel;
        // What comes next is fetched a slice with each tile: from memory it would be waited for.
        const B *next = p + np < end ? bs + (p + np) * b_panel : block + 1 < blocks ? bs + depth * b_step + group * b_panel : b + end * b_panel;
        const bool fetch = M > rows && b_step == 16 && (p + np < end || block + 1 < blocks || end < full);
        const size_t slice = (size_t)np * depth * 16 * sizeof(B) / ((M + rows - 1) / rows) + 64;
        for (uint32_t m = 0; m < M; m += rows) {
          if (fetch) {
            const char *from = reinterpret_cast<const char *>(next) + m / rows * slice;
            for (size_t i = 0; i < slice; i += 64) __builtin_prefetch(from + i, 0, 2);
          }
          any_tile(least(rows, M - m), np, false, depth, as + m * a_row, a_row, a_step, columns, b_step, c + m * ldc + p * 16, ldc,
                   add, 16);
        }
      }
      if (with_tail) {
        const B *column = bs + full * b_panel;
        for (uint32_t m = 0; m < M; m += rows)
          any_tile(least(rows, M - m), 1, true, depth, as + m * a_row, a_row, a_step, &column, b_step, c + m * ldc + full * 16, ldc, add,
                   tail);
      }
    }
    if (end == full) break;
  }
}

}  // namespace hone::kernels::HONE_ISA
