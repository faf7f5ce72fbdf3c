// products.cpp -- a blocked product (Goto & van de Geijn, "Anatomy of high-performance matrix multiplication", 2008),
// compiled once per instruction set (HONE_ISA). Blocks change no bit: a chain that is put down in `out` is taken up again.
// No std:: templates here: the linker would keep one copy of them, perhaps one that this CPU cannot run.
#include "products.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define MUON_INLINE static inline __attribute__((always_inline))

namespace muon::HONE_ISA {
namespace {

// kRows by kColumns registers of Lanes hold a tile of the output.
#if defined(__AVX512F__)
using Lanes = __m512;
constexpr uint64_t kLanes = 16, kRows = 12, kColumns = 2;
MUON_INLINE Lanes load(const float *p) { return _mm512_loadu_ps(p); }
MUON_INLINE void store(float *p, Lanes x) { _mm512_storeu_ps(p, x); }
MUON_INLINE Lanes broadcast(float x) { return _mm512_set1_ps(x); }
MUON_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
#elif defined(__AVX2__)
using Lanes = __m256;
constexpr uint64_t kLanes = 8, kRows = 6, kColumns = 2;
MUON_INLINE Lanes load(const float *p) { return _mm256_loadu_ps(p); }
MUON_INLINE void store(float *p, Lanes x) { _mm256_storeu_ps(p, x); }
MUON_INLINE Lanes broadcast(float x) { return _mm256_set1_ps(x); }
MUON_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
#else
using Lanes = float;
constexpr uint64_t kLanes = 1, kRows = 4, kColumns = 4;
MUON_INLINE Lanes load(const float *p) { return *p; }
MUON_INLINE void store(float *p, Lanes x) { *p = x; }
MUON_INLINE Lanes broadcast(float x) { return x; }
MUON_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return __builtin_fmaf(a, b, c); }
#endif

constexpr uint64_t kWidth = kLanes * kColumns;   // columns of a tile
constexpr uint64_t kDepth = 256;                 // of k in a block: a tile's two panels stay in L1
constexpr uint64_t kStripe = 1536, kBlock = 96;  // columns and rows that are packed at once

static_assert(kStripe % kWidth == 0 && kBlock % kRows == 0);

MUON_INLINE uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

// A factor's element [i, k] is data[i * row + k * step], i counting rows of the left one or columns of the right one.
struct Factor {
  const float *data;
  uint64_t row, step;
};

// Panels of `height` rows, k after k in each, missing rows as zeroes.
template <uint64_t height>
void pack(const Factor &from, uint64_t rows, uint64_t depth, float *to) {
  for (uint64_t first = 0; first < rows; first += height, to += height * depth) {
    const uint64_t there = least(height, rows - first);
    const float *data = from.data + first * from.row;
    if (from.row == 1 && there == height) {
      for (uint64_t k = 0; k < depth; ++k)
        for (uint64_t i = 0; i < height; ++i) to[k * height + i] = data[k * from.step + i];
    } else {
      for (uint64_t i = 0; i < there; ++i)
        for (uint64_t k = 0; k < depth; ++k) to[k * height + i] = data[i * from.row + k * from.step];
      for (uint64_t i = there; i < height; ++i)
        for (uint64_t k = 0; k < depth; ++k) to[k * height + i] = 0;
    }
  }
}

// out [kRows, kWidth], rows `pitch` apart, goes on with its chains, or begins them.
void tile(uint64_t depth, const float *left, const float *right, float *out, uint64_t pitch, bool begins) {
  Lanes sum[kRows][kColumns];
#pragma GCC unroll 12
  for (uint64_t i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (uint64_t j = 0; j < kColumns; ++j)
      sum[i][j] = begins ? broadcast(0) : load(out + i * pitch + j * kLanes);
  for (uint64_t k = 0; k < depth; ++k, left += kRows, right += kWidth) {
    Lanes row[kColumns];
#pragma GCC unroll 4
    for (uint64_t j = 0; j < kColumns; ++j) row[j] = load(right + j * kLanes);
#pragma GCC unroll 12
    for (uint64_t i = 0; i < kRows; ++i) {
      const Lanes factor = broadcast(left[i]);
#pragma GCC unroll 4
      for (uint64_t j = 0; j < kColumns; ++j) sum[i][j] = fma(factor, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 12
  for (uint64_t i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (uint64_t j = 0; j < kColumns; ++j) store(out + i * pitch + j * kLanes, sum[i][j]);
}

// A tile of which only rows by columns are there.
void part_of_tile(uint64_t depth, const float *left, const float *right, float *out, uint64_t pitch, bool begins,
                  uint64_t rows, uint64_t columns) {
  float whole[kRows * kWidth] = {};
  for (uint64_t i = 0; i < rows && !begins; ++i)
    for (uint64_t j = 0; j < columns; ++j) whole[i * kWidth + j] = out[i * pitch + j];
  tile(depth, left, right, whole, kWidth, begins);
  for (uint64_t i = 0; i < rows; ++i)
    for (uint64_t j = 0; j < columns; ++j) out[i * pitch + j] = whole[i * kWidth + j];
}

// out [rows, columns] = left [rows, depth] right [depth, columns]; `upper`: tiles wholly under the diagonal are left out.
void product(const Factor &left, const Factor &right, uint64_t rows, uint64_t columns, uint64_t depth, bool upper,
             float *out, float *scratch) {
  float *const packed_left = scratch, *const packed_right = scratch + kBlock * kDepth;
  for (uint64_t stripe = 0; stripe < columns; stripe += kStripe) {
    const uint64_t width = least(kStripe, columns - stripe), last_row = upper ? least(rows, stripe + width) : rows;
    for (uint64_t k = 0; k < depth; k += kDepth) {
      const uint64_t deep = least(kDepth, depth - k);
      pack<kWidth>({right.data + stripe * right.row + k * right.step, right.row, right.step}, width, deep, packed_right);
      for (uint64_t block = 0; block < last_row; block += kBlock) {
        const uint64_t height = least(kBlock, last_row - block);
        pack<kRows>({left.data + block * left.row + k * left.step, left.row, left.step}, height, deep, packed_left);
        for (uint64_t j = 0; j < width; j += kWidth)
          for (uint64_t i = 0; i < height; i += kRows) {
            const uint64_t row = block + i, column = stripe + j;
            if (upper && column + kWidth <= row) break;
            const float *const a = packed_left + i * deep, *const b = packed_right + j * deep;
            float *const to = out + row * columns + column;
            if (i + kRows <= height && j + kWidth <= width) tile(deep, a, b, to, columns, k == 0);
            else part_of_tile(deep, a, b, to, columns, k == 0, least(kRows, height - i), least(kWidth, width - j));
          }
      }
    }
  }
}

// The lower triangle is the upper one's.
void mirror(float *x, uint64_t rows) {
  constexpr uint64_t block = 16;
  for (uint64_t from = 0; from < rows; from += block)
    for (uint64_t i = from; i < rows; ++i)
      for (uint64_t j = from; j < least(i, from + block); ++j) x[i * rows + j] = x[j * rows + i];
}

void gram(const float *x, uint64_t rows, uint64_t columns, float *out, float *scratch) {
  product({x, columns, 1}, {x, columns, 1}, rows, rows, columns, true, out, scratch);
  mirror(out, rows);
}

// A symmetric factor is read along its rows, which are its columns.
void square(const float *x, uint64_t rows, float *out, float *scratch) {
  product({x, 1, rows}, {x, 1, rows}, rows, rows, rows, true, out, scratch);
  mirror(out, rows);
}

void multiply(const float *left, const float *right, uint64_t rows, uint64_t columns, float *out, float *scratch) {
  product({left, 1, rows}, {right, 1, columns}, rows, columns, rows, false, out, scratch);
}

}  // namespace

const Products products = {(kBlock + kStripe) * kDepth, gram, square, multiply};

}  // namespace muon::HONE_ISA
