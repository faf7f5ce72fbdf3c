// newton_schulz.hpp -- the nearest matrix with orthonormal rows or columns, approximately: the quintic Newton-Schulz
// iteration with the coefficients of Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
// (kellerjordan.github.io/posts/muon).
//
//   X <- M / |M|_F        then `steps` times:   A = X X^T     X <- (a I + b A + c A^2) X,   a, b, c = 3.4445, -4.7750, 2.0315
//
// X keeps the singular vectors of M. Singular values that are not tiny beside |M|_F come out between 0.68 and 1.14 after
// five steps: the coefficients trade the last of exactness for a slope of 3.4445 at zero, which lifts small ones soonest.
#pragma once

#include <cstdint>

#include "products.hpp"

namespace muon {

// In place, row-major. The same bits on every thread and instruction set; what it needs beside is freed before it returns.
void orthogonalise(const Products &, float *matrix, uint64_t rows, uint64_t columns, uint32_t steps);

}  // namespace muon
