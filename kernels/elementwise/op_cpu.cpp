// elementwise on a CPU; formulas in op.h.
#include "kernels/elementwise/op.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void add(hone_stream *stream, uint64_t n, const float *a, const float *b, float *y) {
  parallel_blocks(stream, n, 3, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      store_block(y + i, lanes, load_block(a + i, lanes) + load_block(b + i, lanes));
    });
  });
}

void add_scaled(hone_stream *stream, uint64_t n, const float *x, float factor, float *y) {
  const F16 f = broadcast(factor);
  parallel_blocks(stream, n, 3, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      store_block(y + i, lanes, fma(f, load_block(x + i, lanes), load_block(y + i, lanes)));
    });
  });
}

void add_bias(hone_stream *stream, uint32_t T, uint32_t N, const float *bias, float *y) {
  parallel(stream, T, panels(N) * 3.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t)
      each_block(0, N, [&](uint64_t i, uint32_t lanes) {
        store_block(y + t * N + i, lanes, load_block(y + t * N + i, lanes) + load_block(bias + i, lanes));
      });
  });
}

void add_bias_backward(hone_stream *stream, uint32_t T, uint32_t N, const float *dy, float *dbias) {
  parallel_blocks(stream, N, T * 3.0, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      F16 total = load_block(dbias + i, lanes);
      for (uint64_t t = 0; t < T; ++t) total = total + load_block(dy + t * N + i, lanes);
      store_block(dbias + i, lanes, total);
    });
  });
}

void swiglu(hone_stream *stream, uint64_t n, const float *gate, const float *up, float *y) {
  parallel_blocks(stream, n, 12, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      const F16 g = load_block(gate + i, lanes);
      store_block(y + i, lanes, g * sigmoid(g) * load_block(up + i, lanes));
    });
  });
}

void swiglu_backward(hone_stream *stream, uint64_t n, const float *gate, const float *up, const float *dy, float *dgate,
                     float *dup, int accumulate) {
  parallel_blocks(stream, n, 18, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      const F16 one = broadcast(1.0f), g = load_block(gate + i, lanes), u = load_block(up + i, lanes),
                d = load_block(dy + i, lanes), s = sigmoid(g);
      const F16 slope_of_gate = (d * u) * (s * fma(g, one - s, one)), slope_of_up = d * (g * s);
      store_block(dgate + i, lanes, accumulate ? load_block(dgate + i, lanes) + slope_of_gate : slope_of_gate);
      store_block(dup + i, lanes, accumulate ? load_block(dup + i, lanes) + slope_of_up : slope_of_up);
    });
  });
}

}  // namespace

void fill_elementwise(hone_kernels &set) {
  set.add = add;
  set.add_scaled = add_scaled;
  set.add_bias = add_bias;
  set.add_bias_backward = add_bias_backward;
  set.swiglu = swiglu;
  set.swiglu_backward = swiglu_backward;
}

}  // namespace hone::kernels::HONE_ISA
