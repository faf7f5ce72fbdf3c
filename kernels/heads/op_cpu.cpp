// heads on a CPU; strides in table.h.
#include "kernels/heads/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void copy_heads(hone_stream *stream, uint32_t T, uint32_t H, uint32_t size, const float *x, uint32_t ldx, uint32_t x_head,
                float *y, uint32_t ldy, uint32_t y_head, int accumulate) {
  parallel(stream, T, H * panels(size) * 3.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t)
      for (uint64_t h = 0; h < H; ++h) {
        const float *from = x + t * ldx + h * x_head;
        float *to = y + t * ldy + h * y_head;
        each_block(0, size, [&](uint64_t i, uint32_t lanes) {
          const F16 value = load_block(from + i, lanes);
          store_block(to + i, lanes, accumulate ? load_block(to + i, lanes) + value : value);
        });
      }
  });
}

void sum_heads(hone_stream *stream, uint32_t T, uint32_t H, uint32_t size, const float *dy, uint32_t lddy, uint32_t dy_head,
               float *dx, uint32_t lddx) {
  parallel(stream, T, H * panels(size) * 3.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t)
      each_block(0, size, [&](uint64_t i, uint32_t lanes) {
        F16 total = load_block(dx + t * lddx + i, lanes);
        for (uint64_t h = 0; h < H; ++h) total = total + load_block(dy + t * lddy + h * dy_head + i, lanes);
        store_block(dx + t * lddx + i, lanes, total);
      });
  });
}

}  // namespace

void fill_heads(hone_kernels &set) {
  set.copy_heads = copy_heads;
  set.sum_heads = sum_heads;
}

}  // namespace hone::kernels::HONE_ISA
