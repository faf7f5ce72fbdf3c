// dispatch on a CPU: a counting sort, and row copies; order of sums in op.h.
#include "kernels/dispatch/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void dispatch(hone_stream *, uint32_t T, uint32_t k, uint32_t E, const int32_t *index, uint32_t *order, uint32_t *place,
              uint32_t *offsets) {
  const uint32_t n = T * k;
  for (uint32_t e = 0; e <= E; ++e) offsets[e] = 0;
  for (uint32_t c = 0; c < n; ++c) ++offsets[index[c] + 1];
  for (uint32_t e = 0; e < E; ++e) offsets[e + 1] += offsets[e];
  for (uint32_t c = 0; c < n; ++c) {  // offsets[e] is now the next free place of e, and ends as the start of e + 1
    place[c] = offsets[index[c]]++;
    order[place[c]] = c;
  }
  for (uint32_t e = E; e > 0; --e) offsets[e] = offsets[e - 1];
  offsets[0] = 0;
}

void gather_rows(hone_stream *stream, uint32_t n, uint32_t C, uint32_t k, const uint32_t *order, const float *x, float *y) {
  parallel(stream, n, panels(C) * 3.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i)
      __builtin_memcpy(y + i * C, x + (size_t)(order[i] / k) * C, (size_t)C * sizeof(float));
  });
}

void combine(hone_stream *stream, uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *weight, const float *x,
             float *y) {
  parallel(stream, T, panels(C) * (k + 2.0) * 2, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t)
      each_block(0, C, [&](uint64_t i, uint32_t lanes) {
        F16 total = zero();
        for (uint64_t c = t * k; c < (t + 1) * k; ++c)
          total = fma(broadcast(weight[c]), load_block(x + (size_t)place[c] * C + i, lanes), total);
        store_block(y + t * C + i, lanes, total);
      });
  });
}

void combine_backward(hone_stream *stream, uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *weight,
                      const float *x, const float *dy, float *dx, float *dweight) {
  parallel(stream, T, panels(C) * (k + 2.0) * 3, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t)
      for (uint64_t c = t * k; c < (t + 1) * k; ++c) {
        const float *from = x + (size_t)place[c] * C;
        float *to = dx + (size_t)place[c] * C;
        const F16 w = broadcast(weight[c]);
        F16 dot = zero();
        each_block(0, C, [&](uint64_t i, uint32_t lanes) {
          const F16 d = load_block(dy + t * C + i, lanes);
          dot = fma(d, load_block(from + i, lanes), dot);
          store_block(to + i, lanes, w * d);
        });
        dweight[c] = sum(dot);
      }
  });
}

void gather_rows_backward(hone_stream *stream, uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *dy, float *dx) {
  parallel(stream, T, panels(C) * (k + 2.0) * 2, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t)
      each_block(0, C, [&](uint64_t i, uint32_t lanes) {
        F16 total = load_block(dx + t * C + i, lanes);
        for (uint64_t c = t * k; c < (t + 1) * k; ++c) total = total + load_block(dy + (size_t)place[c] * C + i, lanes);
        store_block(dx + t * C + i, lanes, total);
      });
  });
}

}  // namespace

void fill_dispatch(hone_kernels &set) {
  set.dispatch = dispatch;
  set.gather_rows = gather_rows;
  set.combine = combine;
  set.combine_backward = combine_backward;
  set.gather_rows_backward = gather_rows_backward;
}

}  // namespace hone::kernels::HONE_ISA
