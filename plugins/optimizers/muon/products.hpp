// products.hpp -- the matrix products that an orthogonalisation is made of, once per instruction set, the same bits
// in each: every output is one chain of fused multiply-adds over k = 0, 1, ..., in order.
#pragma once

#include <stdint.h>

namespace muon {

// Matrices are row-major without gaps and must not overlap. `scratch` has room for scratch_size floats. [many]
struct Products {
  uint64_t scratch_size;
  // out [rows, rows] = x x^T of x [rows, columns], symmetric to the bit.
  void (*gram)(const float *x, uint64_t rows, uint64_t columns, float *out, float *scratch);
  // out [rows, rows] = x x of a symmetric x [rows, rows], symmetric to the bit.
  void (*square)(const float *x, uint64_t rows, float *out, float *scratch);
  // out [rows, columns] = left right of a symmetric left [rows, rows] and right [rows, columns].
  void (*multiply)(const float *left, const float *right, uint64_t rows, uint64_t columns, float *out, float *scratch);
};

// The fastest set that this CPU can run, or the one that the environment's HONE_ISA names where that is one of them.
const Products &fastest_products();

namespace plain { extern const Products products; }
namespace avx2 { extern const Products products; }
namespace avx512 { extern const Products products; }

}  // namespace muon
