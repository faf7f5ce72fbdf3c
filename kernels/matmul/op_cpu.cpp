// matmul on a CPU: panels of the packed weight against tiles of rows (cpu/gemm.h); formula and order in op.h.
#include "kernels/matmul/op.h"

#include "kernels/cpu/blocked_product.h"
#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

constexpr double kFlopsPerNanosecond = 50;  // for deciding what is worth a thread, no more
constexpr uint32_t kRowBlock = 96;

double cost(double T, double N, double K) { return 2 * T * N * K / kFlopsPerNanosecond; }

size_t packed_bytes(uint32_t dtype, uint32_t N, uint32_t K) {
  return (size_t)panels(N) * 16 * (dtype == HONE_BF16 ? pairs(K) * sizeof(Pair) : K * sizeof(float));
}

// Panel p in pieces of k that stay in L1 while their rows are spread over them.
void pack_panel(uint32_t dtype, uint32_t N, uint32_t K, const float *data, uint64_t p, void *packed) {
  constexpr uint32_t kPiece = 64;
  const uint32_t rows = least<uint64_t>(16, N - p * 16);
  for (uint32_t k0 = 0; k0 < K; k0 += kPiece) {
    const uint32_t k1 = least(K, k0 + kPiece);
    for (uint32_t j = 0; j < 16; ++j) {
      const float *row = j < rows ? data + (p * 16 + j) * K : nullptr;
      if (dtype == HONE_BF16) {
        Pair *to = static_cast<Pair *>(packed) + p * 16 * pairs(K) + j;
        for (uint32_t k = k0; k < k1; k += 2) to[(size_t)(k / 2) * 16] = row ? pair_of(row[k], k + 1 < K ? row[k + 1] : 0.0f) : 0;
      } else {
        float *to = static_cast<float *>(packed) + p * 16 * K + j;
        for (uint32_t k = k0; k < k1; ++k) to[(size_t)k * 16] = row ? row[k] : 0.0f;
      }
    }
  }
}

void pack_weight(hone_stream *stream, uint32_t dtype, uint32_t N, uint32_t K, const float *data, void *packed) {
  parallel(stream, panels(N), 16.0 * K, [&](uint64_t begin, uint64_t end) {
    for (uint64_t p = begin; p < end; ++p) pack_panel(dtype, N, K, data, p, packed);
  });
}

size_t panel_bytes(const hone_weight &w) {
  return (size_t)16 * (w.dtype == HONE_BF16 ? pairs(w.K) * sizeof(Pair) : w.K * sizeof(float));
}

void weight_outputs(const hone_weight *w, uint32_t first, uint32_t n, hone_weight *part) {
  *part = *w;
  part->N = n;
  if (w->data) part->data = w->data + (size_t)first * w->K;
  part->packed = static_cast<const char *>(w->packed) + first / 16 * panel_bytes(*w);
}

bool alone(const hone_stream *stream, double work) {
  return !stream || !stream->loop || stream->threads < 2 || work < 20000;
}

void matmul(hone_stream *stream, uint32_t T, const float *x, uint32_t ldx, const hone_weight *w, float *y, uint32_t ldy,
            int accumulate) {
  if (T == 0 || w->N == 0) return;
  const uint32_t N = w->N, row_blocks = (T + kRowBlock - 1) / kRowBlock;
  const bool on_caller = alone(stream, cost(T, N, w->K));
  const auto left_of = [&](uint32_t t) { return left_rows(least(kRowBlock, T - t), x + (size_t)t * ldx, ldx, *w); };
  const auto multiply = [&](uint32_t t, const LeftRows &left, uint32_t first, uint32_t columns) {
    matmul_block(least(kRowBlock, T - t), first, columns, left, *w, y + (size_t)t * ldy + first, ldy, accumulate != 0);
  };
  if (on_caller || row_blocks >= 2 * stream->threads) {
    parallel(on_caller ? nullptr : stream, row_blocks, cost(kRowBlock, N, w->K), [&](uint64_t begin, uint64_t end) {
      for (uint64_t block = begin; block < end; ++block) {
        const uint32_t t = (uint32_t)block * kRowBlock;
        multiply(t, left_of(t), 0, N);
      }
    });
    return;
  }
  // Few rows: threads share the outputs, and the rows are made ready once for all of them.
  for (uint32_t t = 0; t < T; t += kRowBlock) {
    const LeftRows left = left_of(t);
    parallel(stream, panels(N), cost(least(kRowBlock, T - t), 16, w->K), [&](uint64_t begin, uint64_t end) {
      const uint32_t first = (uint32_t)begin * 16;
      multiply(t, left, first, least(N, (uint32_t)end * 16) - first);
    });
  }
}

void matmul_backward_input(hone_stream *stream, uint32_t T, const float *dy, uint32_t lddy, const hone_weight *w, float *dx,
                           uint32_t lddx) {
  add_product(stream, w->dtype, {dy, lddy, false}, {w->data, w->K, true}, T, w->K, w->N, dx, lddx);
}

void matmul_backward_weight(hone_stream *stream, uint32_t dtype, uint32_t T, uint32_t N, uint32_t K, const float *x, uint32_t ldx,
                            const float *dy, uint32_t lddy, float *dW) {
  add_product(stream, dtype, {dy, lddy, true}, {x, ldx, true}, N, K, T, dW, K);
}

}  // namespace

LeftRows left_rows(uint32_t rows, const float *x, uint32_t ldx, const hone_weight &w) {
  if (w.dtype != HONE_BF16) return {x, nullptr, ldx};
  const size_t ld = pairs(w.K) + 64 / sizeof(LeftPair);  // off a power of two, at which rows would share the cache's sets
  LeftPair *to = static_cast<LeftPair *>(scratch(kScratchA, rows * ld * sizeof(LeftPair)));
  for (uint32_t t = 0; t < rows; ++t) left_pairs_of_row(w.K, x + (size_t)t * ldx, to + t * ld);
  return {nullptr, to, ld};
}

void matmul_block(uint32_t rows, uint32_t first_column, uint32_t columns, const LeftRows &x, const hone_weight &w, float *y,
                  uint32_t ldy, bool accumulate) {
  const char *packed = static_cast<const char *>(w.packed) + first_column / 16 * panel_bytes(w);
  if (x.single) {
    gemm(rows, columns, w.K, x.single, x.ld, 1, reinterpret_cast<const float *>(packed), 16, (size_t)w.K * 16, y, ldy, accumulate);
    return;
  }
  const FlushSubnormals flush;
  gemm(rows, columns, pairs(w.K), x.paired, x.ld, 1, reinterpret_cast<const Pair *>(packed), 16, (size_t)pairs(w.K) * 16, y, ldy,
       accumulate);
}

void fill_matmul(hone_kernels &set) {
  set.packed_bytes = packed_bytes;
  set.pack_weight = pack_weight;
  set.weight_outputs = weight_outputs;
  set.matmul = matmul;
  set.matmul_backward_input = matmul_backward_input;
  set.matmul_backward_weight = matmul_backward_weight;
}

}  // namespace hone::kernels::HONE_ISA
