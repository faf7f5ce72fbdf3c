// rms_norm on a CPU; formula and order in op.h.
#include "kernels/rmsnorm/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void rms_norm(hone_stream *stream, uint64_t n, uint32_t width, const float *x, const float *weight, float epsilon, float *y,
              float *inverse) {
  parallel(stream, n, 15 + panels(width) * 4.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t g = begin; g < end; ++g) {
      const float *from = x + g * width;
      float *to = y + g * width;
      F16 squares = zero();
      each_block(0, width, [&](uint64_t i, uint32_t lanes) {
        const F16 value = load_block(from + i, lanes);
        squares = fma(value, value, squares);
      });
      const float scale = 1.0f / __builtin_sqrtf(sum(squares) / (float)width + epsilon);
      if (inverse) inverse[g] = scale;
      const F16 factor = broadcast(scale);
      each_block(0, width, [&](uint64_t i, uint32_t lanes) {
        F16 value = load_block(from + i, lanes) * factor;
        if (weight) value = value * load_block(weight + i, lanes);
        store_block(to + i, lanes, value);
      });
    }
  });
}

void rms_norm_backward(hone_stream *stream, uint64_t n, uint32_t width, const float *x, const float *weight, const float *inverse,
                       const float *dy, float *dx, float *dweight) {
  parallel(stream, n, 15 + panels(width) * 8.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t g = begin; g < end; ++g) {
      const float *from = x + g * width, *d = dy + g * width;
      float *to = dx + g * width;
      const F16 factor = broadcast(inverse[g]);
      F16 dot = zero();
      each_block(0, width, [&](uint64_t i, uint32_t lanes) {
        F16 grad = load_block(d + i, lanes);
        if (weight) grad = grad * load_block(weight + i, lanes);
        dot = fma(grad, load_block(from + i, lanes) * factor, dot);
      });
      const F16 mean = broadcast(sum(dot) / (float)width);
      each_block(0, width, [&](uint64_t i, uint32_t lanes) {
        F16 grad = load_block(d + i, lanes);
        if (weight) grad = grad * load_block(weight + i, lanes);
        const F16 z = load_block(from + i, lanes) * factor;
        store_block(to + i, lanes, load_block(to + i, lanes) + factor * (grad - z * mean));
      });
    }
  });
  if (!dweight) return;
  parallel_blocks(stream, width, n * 4.0, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      F16 total = load_block(dweight + i, lanes);
      for (uint64_t g = 0; g < n; ++g)
        total = fma(load_block(dy + g * width + i, lanes), load_block(x + g * width + i, lanes) * broadcast(inverse[g]), total);
      store_block(dweight + i, lanes, total);
    });
  });
}

}  // namespace

void fill_rmsnorm(hone_kernels &set) {
  set.rms_norm = rms_norm;
  set.rms_norm_backward = rms_norm_backward;
}

}  // namespace hone::kernels::HONE_ISA
