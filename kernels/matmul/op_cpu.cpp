// matmul on a CPU: panels of the packed weight against tiles of rows (cpu/gemm.h); formula and order in op.h.
#include "kernels/matmul/op.h"

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace hone::kernels::HONE_ISA {
namespace {

constexpr double kFlopsPerNanosecond = 50;  // for deciding what is worth a thread, no more
constexpr uint32_t kRowBlock = 96, kPanelBlock = 4;

double cost(double T, double N, double K) { return 2 * T * N * K / kFlopsPerNanosecond; }

HONE_INLINE uint16_t to_bf16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}
HONE_INLINE float from_bf16(uint16_t h) {
  const uint32_t bits = (uint32_t)h << 16;
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

size_t packed_bytes(uint32_t dtype, uint32_t N, uint32_t K) {
  return (size_t)panels(N) * 16 * K * (dtype == HONE_BF16 ? 2 : 4);
}

void pack_weight(hone_stream *stream, uint32_t dtype, uint32_t N, uint32_t K, const float *data, void *packed) {
  parallel(stream, panels(N), 16.0 * K, [&](uint64_t begin, uint64_t end) {
    for (uint64_t p = begin; p < end; ++p)
      for (uint32_t j = 0; j < 16; ++j) {
        const uint64_t n = p * 16 + j, at = p * 16 * K + j;
        const float *row = n < N ? data + n * K : nullptr;
        if (dtype == HONE_BF16)
          for (uint32_t k = 0; k < K; ++k) static_cast<uint16_t *>(packed)[at + k * 16ull] = row ? to_bf16(row[k]) : 0;
        else
          for (uint32_t k = 0; k < K; ++k) static_cast<float *>(packed)[at + k * 16ull] = row ? row[k] : 0;
      }
  });
}

// f(first row, rows, first column, columns) over blocks of the output, at their fixed cut.
template <class F>
HONE_INLINE void each_output_block(hone_stream *stream, uint32_t T, uint32_t N, uint32_t S, const F &f) {
  if (T == 0 || N == 0) return;
  if (!stream || !stream->loop || stream->threads < 2 || cost(T, N, S) < 20000) return f(0u, T, 0u, N);
  const uint64_t row_blocks = (T + kRowBlock - 1) / kRowBlock;
  const bool by_rows = row_blocks >= 2 * stream->threads;
  const uint64_t column_blocks = by_rows ? 1 : (panels(N) + kPanelBlock - 1) / kPanelBlock;
  const uint32_t width = by_rows ? N : kPanelBlock * 16;
  parallel(stream, row_blocks * column_blocks, cost(kRowBlock, width, S), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const uint32_t t = (uint32_t)(i / column_blocks) * kRowBlock, n = (uint32_t)(i % column_blocks) * width;
      f(t, least(kRowBlock, T - t), n, least(width, N - n));
    }
  });
}

void matmul(hone_stream *stream, uint32_t T, const float *x, uint32_t ldx, const hone_weight *w, float *y, uint32_t ldy,
            int accumulate) {
  each_output_block(stream, T, w->N, w->K, [&](uint32_t t, uint32_t rows, uint32_t n, uint32_t columns) {
    matmul_block(rows, n, columns, x + (size_t)t * ldx, ldx, *w, y + (size_t)t * ldy + n, ldy, accumulate != 0);
  });
}

void matmul_backward_input(hone_stream *stream, uint32_t T, const float *dy, uint32_t lddy, const hone_weight *w, float *dx,
                           uint32_t lddx) {
  each_output_block(stream, T, w->K, w->N, [&](uint32_t t, uint32_t rows, uint32_t k, uint32_t columns) {
    gemm(rows, columns, w->N, dy + (size_t)t * lddy, lddy, 1, w->data + k, w->K, 16, dx + (size_t)t * lddx + k, lddx, true);
  });
}

void matmul_backward_weight(hone_stream *stream, uint32_t T, uint32_t N, uint32_t K, const float *x, uint32_t ldx,
                            const float *dy, uint32_t lddy, float *dW) {
  if (T == 0) return;
  each_output_block(stream, N, K, T, [&](uint32_t n, uint32_t rows, uint32_t k, uint32_t columns) {
    gemm(rows, columns, T, dy + n, 1, lddy, x + k, ldx, 16, dW + (size_t)n * K + k, K, true);
  });
}

}  // namespace

void matmul_block(uint32_t rows, uint32_t first_column, uint32_t columns, const float *x, uint32_t ldx, const hone_weight &w,
                  float *y, uint32_t ldy, bool accumulate) {
  const size_t panel = (size_t)w.K * 16;
  if (w.dtype != HONE_BF16) {
    gemm(rows, columns, w.K, x, ldx, 1, static_cast<const float *>(w.packed) + first_column / 16 * panel, 16, panel, y, ldy,
         accumulate);
    return;
  }
  float *rounded = scratch_floats(kScratchA, (size_t)least(rows, kRowBlock) * w.K + 1);
  for (uint32_t t = 0; t < rows; t += kRowBlock) {
    const uint32_t count = least(kRowBlock, rows - t);
    for (uint32_t i = 0; i < count; ++i)
      for (uint32_t k = 0; k < w.K; ++k) rounded[(size_t)i * w.K + k] = from_bf16(to_bf16(x[(size_t)(t + i) * ldx + k]));
    gemm(count, columns, w.K, rounded, w.K, 1, static_cast<const uint16_t *>(w.packed) + first_column / 16 * panel, 16, panel,
         y + (size_t)t * ldy, ldy, accumulate);
  }
}

void fill_matmul(hone_kernels &set) {
  set.packed_bytes = packed_bytes;
  set.pack_weight = pack_weight;
  set.matmul = matmul;
  set.matmul_backward_input = matmul_backward_input;
  set.matmul_backward_weight = matmul_backward_weight;
}

}  // namespace hone::kernels::HONE_ISA
