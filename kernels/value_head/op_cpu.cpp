// value_head on a CPU; order in op.h.
#include "kernels/value_head/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void value_head(hone_stream *stream, uint32_t T, uint32_t C, const float *x, const float *w, float *y) {
  parallel(stream, T, panels(C) * 2.0 + 5, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      F16 dot = zero();
      each_block(0, C, [&](uint64_t i, uint32_t lanes) {
        dot = fma(load_block(x + t * C + i, lanes), load_block(w + i, lanes), dot);
      });
      y[t] = sum(dot);
    }
  });
}

void value_head_backward(hone_stream *stream, uint32_t T, uint32_t C, const float *x, const float *w, const float *dy, float *dx,
                         float *dw) {
  parallel_blocks(stream, C, T * 4.0, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      const F16 weight = load_block(w + i, lanes);
      F16 total = load_block(dw + i, lanes);
      for (uint64_t t = 0; t < T; ++t) {
        const F16 d = broadcast(dy[t]);
        total = fma(d, load_block(x + t * C + i, lanes), total);
        store_block(dx + t * C + i, lanes, fma(d, weight, load_block(dx + t * C + i, lanes)));
      }
      store_block(dw + i, lanes, total);
    });
  });
}

}  // namespace

void fill_value_head(hone_kernels &set) {
  set.value_head = value_head;
  set.value_head_backward = value_head_backward;
}

}  // namespace hone::kernels::HONE_ISA
