// blocked_product.h -- C[M, N] += A B with both operands packed first, some steps of s at a time, for the gradients of matmul: A's
// and B's own layouts are strided, so that reading them in place would miss the caches. The order of accumulation is gemm.h's.
#pragma once

#include "kernels/cpu/gemm.h"
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

constexpr uint32_t kDepth = 512;        // steps that are packed at once; even
constexpr uint32_t kBlockOfRows = 96;   // of A, which stay in L2 while B passes by

// How floats are packed, and pairs.
struct Singles {
  typedef float Left, Right;
  struct Guard {
    Guard() {}
  };
  static constexpr uint32_t kStep = 1;
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
  static uint32_t steps(uint32_t depth) { return pairs(depth); }
  static void left_row(uint32_t depth, const float *row, Left *to) { left_pairs_of_row(depth, row, to); }
  static void left_steps(uint32_t n, const float *step, const float *next, Left *to) { left_pairs_of_steps(n, step, next, to); }
  static void right_steps(uint32_t lanes, const float *step, const float *next, Right *to) { pairs_of_steps(lanes, step, next, to, 16); }
};

// C[M, N] += A B over S steps, by blocks of C.
template <class Format>
HONE_INLINE void add_product_as(hone_stream *stream, const Operand &a, const Operand &b, uint32_t M, uint32_t N, uint32_t S, float *c,
                                size_t ldc) {
  typedef typename Format::Left Left;
  typedef typename Format::Right Right;
  const uint32_t deepest = Format::steps(least(S, kDepth)), n_panels = panels(N);
  // An odd number of cache lines: at a power of two, rows and panels would share the cache's sets.
  constexpr uint32_t kLine = 64 / sizeof(Left);
  const size_t left_ld = ((a.steps_are_rows ? M : deepest) / (2 * kLine) * 2 + 3) * kLine, panel = (size_t)deepest * 16 + 16;
  Left *left = static_cast<Left *>(scratch(kScratchA, left_ld * (a.steps_are_rows ? deepest : M) * sizeof(Left)));
  Right *right = static_cast<Right *>(scratch(kScratchB, panel * n_panels * sizeof(Right)));
  for (uint32_t s = 0; s < S; s += kDepth) {
    const uint32_t depth = least(kDepth, S - s), steps = Format::steps(depth);
    const auto step_of = [&](const Operand &x, uint32_t lane, uint32_t step) { return x.at(lane, s + step * Format::kStep); };
    const auto next_of = [&](const Operand &x, uint32_t lane, uint32_t step) {
      return step * Format::kStep + 1 < depth ? x.at(lane, s + step * Format::kStep + 1) : nullptr;
    };
    // Rows of what is read, so that it is read in order; first those of B, then those of A.
    const uint32_t left_units = a.steps_are_rows ? steps : M, left_width = a.steps_are_rows ? M : depth;
    parallel(stream, (uint64_t)steps + left_units, 0.3 * least(N, left_width), [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        const uint32_t unit = (uint32_t)(i < steps ? i : i - steps);
        if (i < steps)
          for (uint32_t p = 0; p < n_panels; ++p)
            Format::right_steps(least(16u, N - p * 16), step_of(b, p * 16, unit), next_of(b, p * 16, unit), right + p * panel + unit * 16);
        else if (a.steps_are_rows)
          Format::left_steps(M, step_of(a, 0, unit), next_of(a, 0, unit), left + unit * left_ld);
        else
          Format::left_row(depth, a.at(unit, s), left + unit * left_ld);
      }
    });
    const uint32_t rows = stream && M < kBlockOfRows * stream->threads * 2 ? most(12u, (M / (stream->threads * 2) + 11) / 12 * 12) : kBlockOfRows;
    const size_t a_row = a.steps_are_rows ? 1 : left_ld, a_step = a.steps_are_rows ? left_ld : 1;
    parallel(stream, (M + rows - 1) / rows, 2.0 * rows * N * depth / 50, [&](uint64_t begin, uint64_t end) {
      for (uint64_t block = begin; block < end; ++block) {
        const uint32_t m = (uint32_t)block * rows;
        const typename Format::Guard guard;
        gemm(least(rows, M - m), N, steps, left + m * a_row, a_row, a_step, right, 16, panel, c + m * ldc, ldc, true);
      }
    });
  }
}

HONE_INLINE void add_product(hone_stream *stream, uint32_t dtype, const Operand &a, const Operand &b, uint32_t M, uint32_t N, uint32_t S,
                             float *c, size_t ldc) {
  if (M == 0 || N == 0 || S == 0) return;
  if (dtype == HONE_BF16)
    add_product_as<Pairs>(stream, a, b, M, N, S, c, ldc);
  else
    add_product_as<Singles>(stream, a, b, M, N, S, c, ldc);
}

}  // namespace hone::kernels::HONE_ISA
