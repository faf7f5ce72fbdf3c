// rope in double, as a complex product.
#include "kernels/rope/op.h"

#include <complex>

namespace hone::reference {

void rope(uint32_t T, uint32_t H, uint32_t head_size, uint32_t begin, uint32_t size, int interleaved, const uint32_t *position,
          const double *cos_sin, double *x) {
  for (uint32_t t = 0; t < T; ++t)
    for (uint32_t h = 0; h < H; ++h)
      for (uint32_t i = 0; i < size / 2; ++i) {
        double *head = x + (size_t(t) * H + h) * head_size + begin;
        double &a = interleaved ? head[2 * i] : head[i];
        double &b = interleaved ? head[2 * i + 1] : head[i + size / 2];
        const double *angle = cos_sin + size_t(position[t]) * size;
        const auto turned = std::complex<double>(a, b) * std::complex<double>(angle[i], angle[size / 2 + i]);
        a = turned.real();
        b = turned.imag();
      }
}

}  // namespace hone::reference
