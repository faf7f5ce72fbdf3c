// expert_matmul on a CPU: the experts' rows are cut into blocks, so that threads share even one busy expert.
#include "kernels/expert_matmul/op.h"

#include "kernels/cpu/blocked_product.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul/op.h"

namespace hone::kernels::HONE_ISA {
namespace {

constexpr uint32_t kRowBlock = 48;

// f(expert, first row, rows) over every expert's rows in blocks.
template <class F>
HONE_INLINE void each_expert_block(hone_stream *stream, uint32_t E, const uint32_t *offsets, double work_per_row, const F &f) {
  const uint32_t rows = offsets[E] - offsets[0];
  if (rows == 0) return;
  if (!stream || !stream->loop || stream->threads < 2 || rows * work_per_row < 20000) {
    for (uint32_t e = 0; e < E; ++e)
      if (offsets[e + 1] > offsets[e]) f(e, offsets[e], offsets[e + 1] - offsets[e]);
    return;
  }
  uint64_t blocks = 0;
  for (uint32_t e = 0; e < E; ++e) blocks += (offsets[e + 1] - offsets[e] + kRowBlock - 1) / kRowBlock;
  parallel(stream, blocks, kRowBlock * work_per_row, [&](uint64_t begin, uint64_t end) {
    uint64_t block = 0;
    for (uint32_t e = 0; e < E && block < end; ++e)
      for (uint32_t row = offsets[e]; row < offsets[e + 1] && block < end; row += kRowBlock, ++block)
        if (block >= begin) f(e, row, least(kRowBlock, offsets[e + 1] - row));
  });
}

void expert_matmul(hone_stream *stream, uint32_t E, const uint32_t *offsets, const float *x, const hone_weight *w, float *y) {
  const uint32_t N = w->N, K = w->K;
  each_expert_block(stream, E, offsets, 2.0 * N * K / 50, [&](uint32_t e, uint32_t row, uint32_t rows) {
    matmul_block(rows, 0, N, left_rows(rows, x + (size_t)row * K, K, w[e]), w[e], y + (size_t)row * N, N, false);
  });
}

void expert_matmul_backward_input(hone_stream *stream, uint32_t E, const uint32_t *offsets, const float *dy, const hone_weight *w,
                                  float *dx) {
  const uint32_t N = w->N, K = w->K;
  each_expert_block(stream, E, offsets, 2.0 * N * K / 50, [&](uint32_t e, uint32_t row, uint32_t rows) {
    add_product(nullptr, w[e].dtype, {dy + (size_t)row * N, N, false}, {w[e].data, K, true}, rows, K, N, dx + (size_t)row * K, K, true);
  });
}

void expert_matmul_backward_weight(hone_stream *stream, uint32_t dtype, uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K,
                                   const float *x, const float *dy, float *dW) {
  const uint32_t rows = offsets[E] - offsets[0], blocks = (N + kRowBlock - 1) / kRowBlock;
  if (rows == 0) return;
  parallel(stream, (uint64_t)E * blocks, 2.0 * rows * N * K / 50 / E / blocks, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const uint32_t e = (uint32_t)(i / blocks), n = (uint32_t)(i % blocks) * kRowBlock, row = offsets[e];
      if (offsets[e + 1] > row)
        add_product(nullptr, dtype, {dy + (size_t)row * N + n, N, true}, {x + (size_t)row * K, K, true}, least(kRowBlock, N - n), K,
                    offsets[e + 1] - row, dW + ((size_t)e * N + n) * K, K, true);
    }
  });
}

}  // namespace

void fill_expert_matmul(hone_kernels &set) {
  set.expert_matmul = expert_matmul;
  set.expert_matmul_backward_input = expert_matmul_backward_input;
  set.expert_matmul_backward_weight = expert_matmul_backward_weight;
}

}  // namespace hone::kernels::HONE_ISA
