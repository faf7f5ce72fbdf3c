// newton_schulz.cpp -- see newton_schulz.hpp. Works on the wide side up, so that A is as small as it can be.
#include "newton_schulz.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace muon {
namespace {

struct Free {
  void operator()(float *p) const { std::free(p); }
};
using Floats = std::unique_ptr<float[], Free>;

Floats floats(uint64_t n) {  // not set
  void *const p = std::aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
  if (!p) throw std::bad_alloc();
  return Floats(static_cast<float *>(p));
}

// In 16 lanes and a fixed tree, in double: no matrix is too large for it.
double norm(const float *x, uint64_t n) {
  double lane[16] = {};
  for (uint64_t i = 0; i < n / 16 * 16; i += 16)
    for (uint64_t j = 0; j < 16; ++j) lane[j] += double(x[i + j]) * x[i + j];
  for (uint64_t i = n / 16 * 16; i < n; ++i) lane[i % 16] += double(x[i]) * x[i];
  for (uint64_t half = 8; half; half /= 2)
    for (uint64_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  return std::sqrt(lane[0]);
}

void transpose(const float *from, uint64_t rows, uint64_t columns, float *to) {
  constexpr uint64_t block = 32;
  for (uint64_t i0 = 0; i0 < rows; i0 += block)
    for (uint64_t j0 = 0; j0 < columns; j0 += block)
      for (uint64_t i = i0; i < std::min(rows, i0 + block); ++i)
        for (uint64_t j = j0; j < std::min(columns, j0 + block); ++j) to[j * rows + i] = from[i * columns + j];
}

}  // namespace

void orthogonalise(const Products &products, float *matrix, uint64_t rows, uint64_t columns, uint32_t steps) {
  constexpr float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  constexpr double least_norm = 1e-7;  // as PyTorch's Muon: what is smaller is no direction but noise, or nothing at all
  const bool tall = rows > columns;
  const uint64_t m = std::min(rows, columns), n = std::max(rows, columns), size = m * n;
  const Floats first = floats(size), second = floats(size), gram = floats(m * m), polynomial = floats(m * m),
               scratch = floats(products.scratch_size);
  float *x = first.get(), *next = second.get();

  if (tall) transpose(matrix, rows, columns, x);
  else std::copy_n(matrix, size, x);
  const float to_one = static_cast<float>(1 / std::max(norm(x, size), least_norm));
  for (uint64_t i = 0; i < size; ++i) x[i] *= to_one;

  for (uint32_t step = 0; step < steps; ++step) {
    products.gram(x, m, n, gram.get(), scratch.get());
    products.square(gram.get(), m, polynomial.get(), scratch.get());
    for (uint64_t i = 0; i < m * m; ++i) polynomial[i] = b * gram[i] + c * polynomial[i];
    for (uint64_t i = 0; i < m; ++i) polynomial[i * m + i] += a;
    products.multiply(polynomial.get(), x, m, n, next, scratch.get());
    std::swap(x, next);
  }
  if (tall) transpose(x, columns, rows, matrix);
  else std::copy_n(x, size, matrix);
}

}  // namespace muon
