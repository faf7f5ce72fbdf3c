// blocks.h -- products of bf16 in blocks of 32 steps, as TDPBF16PS makes them (Intel SDM volume 2C). In each block the first
// numbers of its 16 pairs make one chain of fused multiply-adds, begun at 0, and the second numbers another; then
//   C[m, n] = C[m, n] + (chain of firsts + chain of seconds)
// in f32, to nearest even, subnormal inputs taken as zero and subnormal results made zero. A last block is filled up with zeroes.
// With AMX a tile of 16 x 16 outputs takes one instruction a block; elsewhere two accumulators an output give the same bits.
#pragma once

#include "kernels/cpu/gemm.h"

#if defined(__AMX_BF16__) || defined(__AMXBF16__)  // as g++ and as clang 14 call it
#define HONE_AMX 1
#endif

namespace hone::kernels::HONE_ISA {

constexpr uint32_t kBlockPairs = 16;
HONE_INLINE uint32_t block_pairs(uint32_t steps) { return (steps + 2 * kBlockPairs - 1) / (2 * kBlockPairs) * kBlockPairs; }

#if defined(HONE_AMX)

typedef Pair BlockLeft;
constexpr uint32_t kTileOfBlocks = 32;  // rows, and columns, of two tiles each
// Rows that a thread works on at once, of M for all: tiles wait for B, which shall pass by as seldom as can be, and A's rows shall
// stay in L2.
HONE_INLINE uint32_t rows_of_blocks(uint32_t M, uint32_t threads) {
  constexpr uint32_t kMost = 384;
  const uint32_t blocks = (M + threads * kMost - 1) / (threads * kMost) * threads, rows = (M + blocks - 1) / blocks;
  return (rows + kTileOfBlocks - 1) / kTileOfBlocks * kTileOfBlocks;
}
constexpr uint32_t kLeftRowsRead = 16;  // a tile's rows: so many must be readable, whatever they hold

// While one lives, this thread's eight tiles are 16 rows of 64 bytes.
class Tiles {
 public:
  Tiles() {
    struct {
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    } config = {};
    config.palette = 1;
    for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  ~Tiles() { asm volatile("tilerelease" ::: "memory"); }
  Tiles(const Tiles &) = delete;
  Tiles &operator=(const Tiles &) = delete;
};

// The compiler's intrinsics do not say that they read and write memory.
#define HONE_TILE_LOAD(t, from, stride) asm volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(from), "r"((size_t)(stride)) : "memory")
#define HONE_TILE_STORE(t, to, stride) asm volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(to), "r"((size_t)(stride)) : "memory")
#define HONE_TILE_ZERO(t) asm volatile("tilezero %tmm" #t)
#define HONE_TILE_DOT(c, a, b) asm volatile("tdpbf16ps %tmm" #b ", %tmm" #a ", %tmm" #c)

// What of C a tile holds; a tile that C has no room for goes by way of `spare`.
struct TileOfC {
  float *at;
  size_t ld;
  uint32_t rows, lanes;  // at most 16 each
  bool whole() const { return rows == 16 && lanes == 16; }
  void spread(float *spare) const {
    for (uint32_t m = 0; m < rows; ++m) store(spare + m * 16, load_first(at + m * ld, lanes));
  }
  void gather(const float *spare) const {
    for (uint32_t m = 0; m < rows; ++m) store_first(at + m * ld, lanes, load(spare + m * 16));
  }
};
#define HONE_TILE_BEGIN(t, of_c)                                                                                          \
  do {                                                                                                                    \
    if (!from_c)                                                                                                          \
      HONE_TILE_ZERO(t);                                                                                                  \
    else if ((of_c).whole())                                                                                              \
      HONE_TILE_LOAD(t, (of_c).at, (of_c).ld * 4);                                                                        \
    else                                                                                                                  \
      (of_c).spread(spare), ({ HONE_TILE_LOAD(t, spare, 64); });                                                          \
  } while (0)
#define HONE_TILE_END(t, of_c)                                                                                            \
  do {                                                                                                                    \
    if ((of_c).whole())                                                                                                   \
      HONE_TILE_STORE(t, (of_c).at, (of_c).ld * 4);                                                                       \
    else                                                                                                                  \
      ({ HONE_TILE_STORE(t, spare, 64); }), (of_c).gather(spare);                                                         \
  } while (0)

// What comes next, fetched a slice with each block: at these speeds it would be waited for.
struct Next {
  const float *c;        // of two row tiles by two panels, to be written as to be read; null: none
  const char *b;         // null: none
  uint32_t b_lines;      // 64 bytes each, with one block
};

// RT row tiles by NP panels of C, over `blocks` blocks.
template <uint32_t RT, uint32_t NP>
__attribute__((noinline)) void block_tile(uint32_t blocks, const Pair *a, size_t a_row, const Pair *b, size_t b_panel, float *c, size_t ldc,
                                          bool from_c, uint32_t rows, uint32_t lanes, Next next) {
  alignas(64) float spare[256];  // what a part of a tile does not fill is computed with, and never written
  const auto of_c = [&](uint32_t r, uint32_t p) {
    return TileOfC{c + r * 16 * ldc + p * 16, ldc, r + 1 < RT ? 16 : rows - 16 * (RT - 1), p + 1 < NP ? 16 : lanes};
  };
  const size_t a_stride = a_row * sizeof(Pair);
  if constexpr (RT == 2) {
    HONE_TILE_BEGIN(0, of_c(0, 0));
    HONE_TILE_BEGIN(2, of_c(1, 0));
    if constexpr (NP == 2) {
      HONE_TILE_BEGIN(1, of_c(0, 1));
      HONE_TILE_BEGIN(3, of_c(1, 1));
    }
    const Pair *a1 = a + 16 * a_row, *b1 = b + b_panel;
    for (uint32_t k = 0; k < blocks; ++k) {
      HONE_TILE_LOAD(6, b + k * 256, 64);
      HONE_TILE_LOAD(4, a + k * 16, a_stride);
      HONE_TILE_DOT(0, 4, 6);
      HONE_TILE_LOAD(5, a1 + k * 16, a_stride);
      HONE_TILE_DOT(2, 5, 6);
      if constexpr (NP == 2) {
        HONE_TILE_LOAD(7, b1 + k * 256, 64);
        HONE_TILE_DOT(1, 4, 7);
        HONE_TILE_DOT(3, 5, 7);
        for (uint32_t i = 0; i < next.b_lines; ++i) __builtin_prefetch(next.b + (k * next.b_lines + i) * 64, 0, 2);
        if (next.c && k < 16) {
          const float *at = next.c + 2 * k * ldc;
          __builtin_prefetch(at, 1), __builtin_prefetch(at + 16, 1), __builtin_prefetch(at + ldc, 1), __builtin_prefetch(at + ldc + 16, 1);
        }
      }
    }
    HONE_TILE_END(0, of_c(0, 0));
    HONE_TILE_END(2, of_c(1, 0));
    if constexpr (NP == 2) {
      HONE_TILE_END(1, of_c(0, 1));
      HONE_TILE_END(3, of_c(1, 1));
    }
  } else {
    HONE_TILE_BEGIN(0, of_c(0, 0));
    if constexpr (NP > 1) HONE_TILE_BEGIN(1, of_c(0, 1));
    if constexpr (NP > 2) HONE_TILE_BEGIN(2, of_c(0, 2));
    if constexpr (NP > 3) HONE_TILE_BEGIN(3, of_c(0, 3));
    for (uint32_t k = 0; k < blocks; ++k) {
      const Pair *w = b + k * 256;
      HONE_TILE_LOAD(4, a + k * 16, a_stride);
      HONE_TILE_LOAD(5, w, 64);
      HONE_TILE_DOT(0, 4, 5);
      if constexpr (NP > 1) {
        HONE_TILE_LOAD(6, w + b_panel, 64);
        HONE_TILE_DOT(1, 4, 6);
      }
      if constexpr (NP > 2) {
        HONE_TILE_LOAD(7, w + 2 * b_panel, 64);
        HONE_TILE_DOT(2, 4, 7);
      }
      if constexpr (NP > 3) {
        HONE_TILE_LOAD(5, w + 3 * b_panel, 64);
        HONE_TILE_DOT(3, 4, 5);
      }
    }
    HONE_TILE_END(0, of_c(0, 0));
    if constexpr (NP > 1) HONE_TILE_END(1, of_c(0, 1));
    if constexpr (NP > 2) HONE_TILE_END(2, of_c(0, 2));
    if constexpr (NP > 3) HONE_TILE_END(3, of_c(0, 3));
  }
}

// C[M, N] (+)= A B over S pairs (a multiple of 16). Rows of A are a_row pairs apart and begin with consecutive pairs; panel p of
// B, [S][16], begins b_panel pairs after panel p - 1. A's rows are readable up to the next multiple of 16.
HONE_INLINE void gemm_in_blocks(uint32_t M, uint32_t N, uint32_t S, const Pair *a, size_t a_row, const Pair *b, size_t b_panel, float *c,
                                size_t ldc, bool from_c) {
  if (M == 0 || N == 0) return;
  const Tiles tiles;
  const uint32_t n = panels(N), blocks = S / kBlockPairs;
  const auto lanes_of = [&](uint32_t last) { return least(16u, N - last * 16); };
  if (M <= 16) {
    for (uint32_t p = 0; p < n; p += 4) {
      const Pair *w = b + p * b_panel;
      float *to = c + p * 16;
      switch (least(4u, n - p)) {
        case 4: block_tile<1, 4>(blocks, a, a_row, w, b_panel, to, ldc, from_c, M, lanes_of(p + 3), {}); break;
        case 3: block_tile<1, 3>(blocks, a, a_row, w, b_panel, to, ldc, from_c, M, lanes_of(p + 2), {}); break;
        case 2: block_tile<1, 2>(blocks, a, a_row, w, b_panel, to, ldc, from_c, M, lanes_of(p + 1), {}); break;
        default: block_tile<1, 1>(blocks, a, a_row, w, b_panel, to, ldc, from_c, M, lanes_of(p), {});
      }
    }
    return;
  }
  const uint32_t row_tiles = (M + 31) / 32, b_lines = (32 + row_tiles - 1) / row_tiles;
  for (uint32_t p = 0; p < n; p += 2) {
    const bool two = p + 1 < n;
    const uint32_t lanes = lanes_of(two ? p + 1 : p);
    const Pair *w = b + p * b_panel;
    for (uint32_t m = 0; m < M; m += 32) {
      const uint32_t rows = least(32u, M - m);
      const Pair *x = a + m * a_row;
      float *to = c + m * ldc + p * 16;
      Next next = {};
      if (m + 64 <= M)
        next.c = to + 32 * ldc;
      else if (m + 32 >= M && p + 4 <= n)
        next.c = c + (p + 2) * 16;
      if (p + 4 <= n) {
        next.b = reinterpret_cast<const char *>(w + 2 * b_panel) + (size_t)(m / 32) * b_lines * blocks * 64;
        next.b_lines = b_lines;
      }
      if (rows > 16)
        two ? block_tile<2, 2>(blocks, x, a_row, w, b_panel, to, ldc, from_c, rows, lanes, next)
            : block_tile<2, 1>(blocks, x, a_row, w, b_panel, to, ldc, from_c, rows, lanes, next);
      else
        two ? block_tile<1, 2>(blocks, x, a_row, w, b_panel, to, ldc, from_c, rows, lanes, next)
            : block_tile<1, 1>(blocks, x, a_row, w, b_panel, to, ldc, from_c, rows, lanes, next);
    }
  }
}

#else

typedef SplitPair BlockLeft;
constexpr uint32_t kLeftRowsRead = 1;

// Each output has two accumulators.
constexpr uint32_t kBlockOutputs = kAccumulators / 2, kBlockRows = kTileRows / 2;

template <uint32_t MR, uint32_t NP>
__attribute__((noinline)) void block_tile(uint32_t S, const SplitPair *a, size_t a_row, const Pair *b, size_t b_panel, float *c, size_t ldc,
                                          bool from_c, uint32_t lanes) {
  for (uint32_t block = 0; block < S; block += kBlockPairs, from_c = true) {
    F16 firsts[MR][NP], seconds[MR][NP];
#pragma GCC unroll 6
    for (uint32_t m = 0; m < MR; ++m)
#pragma GCC unroll 4
      for (uint32_t p = 0; p < NP; ++p) firsts[m][p] = seconds[m][p] = zero();
    for (uint32_t s = block; s < block + kBlockPairs; ++s) {
#pragma GCC unroll 4
      for (uint32_t p = 0; p < NP; ++p) {
        const F16 first = first_of(b + p * b_panel + s * 16), second = second_of(b + p * b_panel + s * 16);
#pragma GCC unroll 6
        for (uint32_t m = 0; m < MR; ++m) {
          const SplitPair x = a[m * a_row + s];
          firsts[m][p] = fma(broadcast(x.first), first, firsts[m][p]);
          seconds[m][p] = fma(broadcast(x.second), second, seconds[m][p]);
        }
      }
    }
#pragma GCC unroll 6
    for (uint32_t m = 0; m < MR; ++m)
#pragma GCC unroll 4
      for (uint32_t p = 0; p < NP; ++p) {
        const uint32_t n = p + 1 < NP ? 16 : lanes;
        float *to = c + m * ldc + p * 16;
        store_block(to, n, (from_c ? load_block(to, n) : zero()) + (firsts[m][p] + seconds[m][p]));
      }
  }
}

template <uint32_t MR>
HONE_INLINE void rows_in_blocks(uint32_t N, uint32_t S, const SplitPair *a, size_t a_row, const Pair *b, size_t b_panel, float *c, size_t ldc,
                                bool from_c) {
  if constexpr (MR <= kBlockRows) {
    constexpr uint32_t NP = kBlockOutputs / MR < 2 ? 1 : kBlockOutputs / MR < 4 ? 2 : 4;
    const uint32_t n = panels(N);
    uint32_t p = 0;
    for (; p + NP <= n; p += NP)
      block_tile<MR, NP>(S, a, a_row, b + p * b_panel, b_panel, c + p * 16, ldc, from_c, least(16u, N - (p + NP - 1) * 16));
    for (; p < n; ++p) block_tile<MR, 1>(S, a, a_row, b + p * b_panel, b_panel, c + p * 16, ldc, from_c, least(16u, N - p * 16));
  }
}

// C[M, N] (+)= A B over S pairs (a multiple of 16). Rows of A are a_row pairs apart and begin with consecutive pairs; panel p of
// B, [S][16], begins b_panel pairs after panel p - 1.
HONE_INLINE void gemm_in_blocks(uint32_t M, uint32_t N, uint32_t S, const SplitPair *a, size_t a_row, const Pair *b, size_t b_panel, float *c,
                                size_t ldc, bool from_c) {
  const FlushSubnormals flush;
  if (S == 0 && !from_c)  // an empty sum
    for (uint32_t m = 0; m < M; ++m) __builtin_memset(c + m * ldc, 0, N * sizeof(float));
  constexpr uint32_t kPanels = 16;  // whose pairs stay in L2 while the rows go by
  for (uint32_t p = 0; p < panels(N); p += kPanels)
    for (uint32_t m = 0; m < M; m += kBlockRows) {
      const uint32_t n = least(N - p * 16, kPanels * 16);
      const SplitPair *x = a + m * a_row;
      const Pair *w = b + p * b_panel;
      float *to = c + m * ldc + p * 16;
      switch (least(kBlockRows, M - m)) {
        case 1: rows_in_blocks<1>(n, S, x, a_row, w, b_panel, to, ldc, from_c); break;
        case 2: rows_in_blocks<2>(n, S, x, a_row, w, b_panel, to, ldc, from_c); break;
        case 3: rows_in_blocks<3>(n, S, x, a_row, w, b_panel, to, ldc, from_c); break;
        case 4: rows_in_blocks<4>(n, S, x, a_row, w, b_panel, to, ldc, from_c); break;
        case 5: rows_in_blocks<5>(n, S, x, a_row, w, b_panel, to, ldc, from_c); break;
        default: rows_in_blocks<6>(n, S, x, a_row, w, b_panel, to, ldc, from_c);
      }
    }
}

#endif

// A row of x, its steps beyond K zero, as block_pairs(K) left factors.
HONE_INLINE void block_left_of_row(uint32_t K, const float *row, BlockLeft *to) {
  left_pairs_of_row(K, row, to);
  for (uint32_t s = pairs(K); s < block_pairs(K); ++s) to[s] = BlockLeft{};
}
// 16 lanes of up to 32 steps, ld floats apart, as 16 pairs of each lane, to_ld apart. Lanes and steps beyond n and `steps` are zero.
HONE_INLINE void block_left_of_steps(uint32_t n, uint32_t steps, const float *step, size_t ld, BlockLeft *to, size_t to_ld) {
#if defined(HONE_AMX)
  if (n == 16 && steps >= 2 * kBlockPairs) {
    __m512i x[16];
#pragma GCC unroll 16
    for (uint32_t s = 0; s < 16; ++s) x[s] = pairs_of(_mm512_loadu_ps(step + 2 * s * ld), _mm512_loadu_ps(step + (2 * s + 1) * ld));
    transpose(x);
#pragma GCC unroll 16
    for (uint32_t i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * to_ld, x[i]);
    return;
  }
#endif
  BlockLeft by_step[kBlockPairs][16];
  for (uint32_t s = 0; s < kBlockPairs; ++s) {
    if (2 * s < steps)
      left_pairs_of_steps(n, step + 2 * s * ld, 2 * s + 1 < steps ? step + (2 * s + 1) * ld : nullptr, by_step[s]);
    else
      for (uint32_t i = 0; i < n; ++i) by_step[s][i] = BlockLeft{};
  }
  for (uint32_t i = 0; i < n; ++i)
    for (uint32_t s = 0; s < kBlockPairs; ++s) to[i * to_ld + s] = by_step[s][i];
}

}  // namespace hone::kernels::HONE_ISA
