// blocked_product.h -- C[M, N] (+)= A B with both operands packed first, some steps of s at a time, for the gradients of matmul: A's
// and B's own layouts are strided, so that reading them in place would miss the caches. The order of accumulation is gemm.h's, or blocks.h's.
#pragma once

#include "kernels/cpu/blocks.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace hone::kernels::HONE_ISA {

// An operand of a product. Steps of s are rows of it, or columns.
struct Operand {
  const float *data;
  size_t ld;
  bool steps_are_rows;
  const float *at(uint32_t lane, uint32_t s) const {
    return steps_are_rows ? data + (size_t)s * ld + lane : data + (size_t)lane * ld + s;
  }
};

constexpr uint32_t kDepth = 512;        // steps that are packed at once; whole blocks
constexpr uint32_t kBlockOfRows = 96;

// How floats are packed, pairs, and pairs of blocks, whose left factors always are rows.
struct Singles {
  typedef float Left, Right;
  struct Guard {
    Guard() {}
  };
  static constexpr uint32_t kStep = 1;
  static constexpr bool kInBlocks = false;
  static uint32_t steps(uint32_t depth) { return depth; }
  static void left_row(uint32_t depth, const float *row, Left *to) { __builtin_memcpy(to, row, depth * sizeof(float)); }
  static void left_steps(uint32_t n, const float *step, const float *, Left *to) { __builtin_memcpy(to, step, n * sizeof(float)); }
  static void right_steps(uint32_t lanes, const float *step, const float *, Right *to) { store(to, load_block(step, lanes)); }
};
struct Pairs {
  typedef LeftPair Left;
  typedef Pair Right;
  typedef FlushSubnormals Guard;
  static constexpr uint32_t kStep = 2;
  static constexpr bool kInBlocks = false;
  static uint32_t steps(uint32_t depth) { return pairs(depth); }
  static void left_row(uint32_t depth, const float *row, Left *to) { left_pairs_of_row(depth, row, to); }
  static void left_steps(uint32_t n, const float *step, const float *next, Left *to) { left_pairs_of_steps(n, step, next, to); }
  static void right_steps(uint32_t lanes, const float *step, const float *next, Right *to) { pairs_of_steps(lanes, step, next, to, 16); }
};
struct PairsOfBlocks : Pairs {
  typedef BlockLeft Left;
  static constexpr bool kInBlocks = true;
  static uint32_t steps(uint32_t depth) { return block_pairs(depth); }
  static void left_row(uint32_t depth, const float *row, Left *to) { block_left_of_row(depth, row, to); }
};

// Rows of A that a thread works on at once, which stay in L2 while B passes by.
HONE_INLINE uint32_t rows_at_once(uint32_t M, uint32_t threads) {
#if defined(HONE_AMX)  // which makes blocks alone (set_amx.cpp)
  return rows_of_blocks(M, threads);
#else
  return threads > 1 && M < kBlockOfRows * threads * 2 ? most(12u, (M / (threads * 2) + 11) / 12 * 12) : kBlockOfRows;
#endif
}

// C[M, N] (+)= A B over S steps, by blocks of C.
template <class Format>
HONE_INLINE void add_product_as(hone_stream *stream, const Operand &a, const Operand &b, uint32_t M, uint32_t N, uint32_t S, float *c,
                                size_t ldc, bool from_c) {
  typedef typename Format::Left Left;
  typedef typename Format::Right Right;
  const uint32_t deepest = Format::steps(least(S, kDepth)), n_panels = panels(N);
  const bool left_is_rows = Format::kInBlocks || !a.steps_are_rows;
  // An odd number of cache lines: at a power of two, rows and panels would share the cache's sets.
  constexpr uint32_t kLine = 64 / sizeof(Left);
  const size_t left_ld = ((left_is_rows ? deepest : M) / (2 * kLine) * 2 + 3) * kLine, panel = (size_t)deepest * 16 + 16;
  Left *left = static_cast<Left *>(scratch(kScratchA, left_ld * (left_is_rows ? M + kLeftRowsRead : deepest) * sizeof(Left)));
  Right *right = static_cast<Right *>(scratch(kScratchB, panel * n_panels * sizeof(Right)));
  if (S == 0 && !from_c)  // an empty sum
    for (uint32_t m = 0; m < M; ++m) __builtin_memset(c + m * ldc, 0, N * sizeof(float));
  for (uint32_t s = 0; s < S; s += kDepth) {
    const uint32_t depth = least(kDepth, S - s), steps = Format::steps(depth);
    const auto exists = [&](uint32_t step) { return step * Format::kStep < depth; };
    const auto step_of = [&](const Operand &x, uint32_t lane, uint32_t step) { return x.at(lane, s + step * Format::kStep); };
    const auto next_of = [&](const Operand &x, uint32_t lane, uint32_t step) {
      return step * Format::kStep + 1 < depth ? x.at(lane, s + step * Format::kStep + 1) : nullptr;
    };
    constexpr uint32_t kRightUnit = 16;  // steps of one panel that are packed before those of the next: they lie together
    const auto pack_right = [&](uint32_t unit) {
      const uint32_t end = least(steps, (unit + 1) * kRightUnit);
      for (uint32_t p = 0; p < n_panels; ++p)
        for (uint32_t step = unit * kRightUnit; step < end; ++step) {
          Right *to = right + p * panel + step * 16;
          if (exists(step))
            Format::right_steps(least(16u, N - p * 16), step_of(b, p * 16, step), next_of(b, p * 16, step), to);
          else
            for (uint32_t i = 0; i < 16; ++i) to[i] = 0;
        }
    };
    // Rows of what is read, so that it is read in order; as many numbers as in a unit of B.
    const uint32_t rows_of_unit = most(1u, kRightUnit * Format::kStep * N / depth);
    const auto pack_left = [&](uint32_t unit) {
      if (!a.steps_are_rows)
        for (uint32_t m = unit * rows_of_unit; m < least(M, (unit + 1) * rows_of_unit); ++m) Format::left_row(depth, a.at(m, s), left + m * left_ld);
      else if constexpr (Format::kInBlocks)
        for (uint32_t m = 0; m < M; m += 16)
          block_left_of_steps(least(16u, M - m), depth - unit * 2 * kBlockPairs, step_of(a, m, unit * kBlockPairs), a.ld,
                              left + m * left_ld + unit * kBlockPairs, left_ld);
      else
        Format::left_steps(M, step_of(a, 0, unit), next_of(a, 0, unit), left + unit * left_ld);
    };
    const uint32_t left_units = !a.steps_are_rows ? (M + rows_of_unit - 1) / rows_of_unit : Format::kInBlocks ? steps / kBlockPairs : steps;
    const uint32_t right_units = (steps + kRightUnit - 1) / kRightUnit;
    const double numbers = ((double)N + M) * depth;
    parallel(stream, (uint64_t)right_units + left_units, 0.2 * numbers / (right_units + left_units), [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        if (i < right_units)
          pack_right((uint32_t)i);
        else
          pack_left((uint32_t)(i - right_units));
      }
    });
    const uint32_t rows = rows_at_once(M, stream ? stream->threads : 1);
    parallel(stream, (M + rows - 1) / rows, 2.0 * rows * N * depth / 50, [&](uint64_t begin, uint64_t end) {
      for (uint64_t block = begin; block < end; ++block) {
        const uint32_t m = (uint32_t)block * rows;
        if constexpr (Format::kInBlocks) {
          gemm_in_blocks(least(rows, M - m), N, steps, left + m * left_ld, left_ld, right, panel, c + m * ldc, ldc, from_c || s > 0);
        } else {
          const size_t a_row = left_is_rows ? left_ld : 1, a_step = left_is_rows ? 1 : left_ld;
          const typename Format::Guard guard;
          gemm(least(rows, M - m), N, steps, left + m * a_row, a_row, a_step, right, 16, panel, c + m * ldc, ldc, from_c || s > 0);
        }
      }
    });
  }
}

HONE_INLINE void add_product(hone_stream *stream, uint32_t dtype, const Operand &a, const Operand &b, uint32_t M, uint32_t N, uint32_t S,
                             float *c, size_t ldc, bool from_c) {
  if (M == 0 || N == 0) return;
  switch (dtype) {
    case HONE_BF16_BLOCKS: return add_product_as<PairsOfBlocks>(stream, a, b, M, N, S, c, ldc, from_c);
    case HONE_BF16: return add_product_as<Pairs>(stream, a, b, M, N, S, c, ldc, from_c);
    default: add_product_as<Singles>(stream, a, b, M, N, S, c, ldc, from_c);
  }
}

}  // namespace hone::kernels::HONE_ISA
