// matmul on a CPU: panels of the packed weight against tiles of rows (cpu/gemm.h, cpu/blocks.h); formula and order in op.h.
#include "kernels/matmul/op.h"

#include "kernels/cpu/blocked_product.h"
#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

#if defined(HONE_AMX)
constexpr double kFlopsPerNanosecond = 400;  // for deciding what is worth a thread, no more
constexpr uint32_t kPiecesOfAFewRows = 1;    // a weight's stream from memory is waited for at the start of each piece
#else
constexpr double kFlopsPerNanosecond = 50;
constexpr uint32_t kPiecesOfAFewRows = 4;
#endif

// Of one product, in nanoseconds: by its arithmetic, or where that is little by the weight's bytes, read at 10 a nanosecond.
double cost(double T, double N, double K) { return most(2 * T * N * K / kFlopsPerNanosecond, N * K / 5); }

// Steps of a packed panel: floats, or pairs.
uint32_t packed_steps(uint32_t dtype, uint32_t K) {
  return dtype == HONE_BF16_BLOCKS ? block_pairs(K) : dtype == HONE_BF16 ? pairs(K) : K;
}
static_assert(sizeof(Pair) == sizeof(float), "a step of a panel takes 64 bytes");
size_t panel_bytes(uint32_t dtype, uint32_t K) { return (size_t)packed_steps(dtype, K) * 16 * sizeof(float); }

size_t packed_bytes(uint32_t dtype, uint32_t N, uint32_t K) { return panels(N) * panel_bytes(dtype, K); }

// Panel p in pieces of k that stay in L1 while their rows are spread over them.
void pack_panel(uint32_t dtype, uint32_t N, uint32_t K, const float *data, uint64_t p, void *packed) {
  constexpr uint32_t kPiece = 64;
  const uint32_t rows = least<uint64_t>(16, N - p * 16);
  packed = static_cast<char *>(packed) + p * panel_bytes(dtype, K);
  uint32_t k0 = 0;
#if defined(HONE_DOT)
  for (; rows == 16 && dtype != HONE_F32 && k0 + 32 <= K; k0 += 32) {
    __m512i x[16];
#pragma GCC unroll 16
    for (uint32_t j = 0; j < 16; ++j) x[j] = pairs_of_row(data + (p * 16 + j) * K + k0);
    transpose(x);
#pragma GCC unroll 16
    for (uint32_t s = 0; s < 16; ++s) _mm512_storeu_si512(static_cast<Pair *>(packed) + (k0 / 2 + s) * 16, x[s]);
  }
#endif
  for (; k0 < K; k0 += kPiece) {
    const uint32_t k1 = least(K, k0 + kPiece);
    for (uint32_t j = 0; j < 16; ++j) {
      const float *row = j < rows ? data + (p * 16 + j) * K : nullptr;
      if (dtype != HONE_F32) {
        Pair *to = static_cast<Pair *>(packed) + j;
        for (uint32_t k = k0; k < k1; k += 2) to[(size_t)(k / 2) * 16] = row ? pair_of(row[k], k + 1 < K ? row[k + 1] : 0.0f) : 0;
      } else {
        float *to = static_cast<float *>(packed) + j;
        for (uint32_t k = k0; k < k1; ++k) to[(size_t)k * 16] = row ? row[k] : 0.0f;
      }
    }
  }
  if (dtype != HONE_F32)
    for (uint32_t i = pairs(K) * 16; i < packed_steps(dtype, K) * 16; ++i) static_cast<Pair *>(packed)[i] = 0;
}

void pack_weight(hone_stream *stream, uint32_t dtype, uint32_t N, uint32_t K, const float *data, void *packed) {
  parallel(stream, panels(N), 16.0 * K, [&](uint64_t begin, uint64_t end) {
    for (uint64_t p = begin; p < end; ++p) pack_panel(dtype, N, K, data, p, packed);
  });
}

void weight_outputs(const hone_weight *w, uint32_t first, uint32_t n, hone_weight *part) {
  *part = *w;
  part->N = n;
  if (w->data) part->data = w->data + (size_t)first * w->K;
  part->packed = static_cast<const char *>(w->packed) + first / 16 * panel_bytes(w->dtype, w->K);
}

bool alone(const hone_stream *stream, double work) {
  return !stream || !stream->loop || stream->threads < 2 || work < 20000;
}

// Whether threads share the rows (few rows: the outputs), and how many rows one works on at once: their left factors stay in L2
// while the weight passes by.
struct Cut {
  bool by_rows;
  uint32_t rows;
};
Cut cut_of(uint32_t T, uint32_t threads) {
#if defined(HONE_AMX)  // which makes blocks alone (set_amx.cpp)
  const uint32_t few = 2 * kTileOfBlocks * threads;
  return T < few ? Cut{threads == 1, few} : Cut{true, rows_of_blocks(T, threads)};
#else
  constexpr uint32_t kRows = 96;
  return {threads == 1 || (T + kRows - 1) / kRows >= 2 * threads, kRows};
#endif
}

void matmul(hone_stream *stream, uint32_t T, const float *x, uint32_t ldx, const hone_weight *w, float *y, uint32_t ldy,
            int accumulate) {
  if (T == 0 || w->N == 0) return;
  const bool on_caller = alone(stream, cost(T, w->N, w->K));
  const Cut cut = cut_of(T, on_caller ? 1 : stream->threads);
  const auto left_of = [&](uint32_t t) { return left_rows(least(cut.rows, T - t), x + (size_t)t * ldx, ldx, *w); };
  const auto multiply = [&](uint32_t t, const LeftRows &left, uint32_t first, uint32_t columns) {
    matmul_block(least(cut.rows, T - t), first, columns, left, *w, y + (size_t)t * ldy + first, ldy, accumulate != 0);
  };
  if (cut.by_rows) {
    parallel(on_caller ? nullptr : stream, (T + cut.rows - 1) / cut.rows, cost(cut.rows, w->N, w->K), [&](uint64_t begin, uint64_t end) {
      for (uint64_t block = begin; block < end; ++block) {
        const uint32_t t = (uint32_t)block * cut.rows;
        multiply(t, left_of(t), 0, w->N);
      }
    });
    return;
  }
  // The rows are made ready once for all threads.
  for (uint32_t t = 0; t < T; t += cut.rows) {
    const LeftRows left = left_of(t);
    constexpr uint32_t kColumns = 32;  // two panels, as tiles take them
    parallel(stream, (w->N + kColumns - 1) / kColumns, cost(least(cut.rows, T - t), kColumns, w->K), [&](uint64_t begin, uint64_t end) {
      const uint32_t first = (uint32_t)begin * kColumns;
      multiply(t, left, first, least(w->N, (uint32_t)end * kColumns) - first);
    }, kPiecesOfAFewRows);
  }
}

void matmul_backward_input(hone_stream *stream, uint32_t T, const float *dy, uint32_t lddy, const hone_weight *w, float *dx,
                           uint32_t lddx, int accumulate) {
  add_product(stream, w->dtype, {dy, lddy, false}, {w->data, w->K, true}, T, w->K, w->N, dx, lddx, accumulate != 0);
}

void matmul_backward_weight(hone_stream *stream, uint32_t dtype, uint32_t T, uint32_t N, uint32_t K, const float *x, uint32_t ldx,
                            const float *dy, uint32_t lddy, float *dW) {
  add_product(stream, dtype, {dy, lddy, true}, {x, ldx, true}, N, K, T, dW, K, true);
}

}  // namespace

LeftRows left_rows(uint32_t rows, const float *x, uint32_t ldx, const hone_weight &w) {
  if (w.dtype == HONE_F32) return {x, nullptr, nullptr, ldx};
  if (w.dtype == HONE_BF16_BLOCKS) {
    const size_t ld = block_pairs(w.K) + 64 / sizeof(BlockLeft);  // off a power of two, at which rows would share the cache's sets
    BlockLeft *to = static_cast<BlockLeft *>(scratch(kScratchA, (rows + kLeftRowsRead) * ld * sizeof(BlockLeft)));
    for (uint32_t t = 0; t < rows; ++t) block_left_of_row(w.K, x + (size_t)t * ldx, to + t * ld);
    return {nullptr, nullptr, to, ld};
  }
  const size_t ld = pairs(w.K) + 64 / sizeof(LeftPair);
  LeftPair *to = static_cast<LeftPair *>(scratch(kScratchA, rows * ld * sizeof(LeftPair)));
  for (uint32_t t = 0; t < rows; ++t) left_pairs_of_row(w.K, x + (size_t)t * ldx, to + t * ld);
  return {nullptr, to, nullptr, ld};
}

void matmul_block(uint32_t rows, uint32_t first_column, uint32_t columns, const LeftRows &x, const hone_weight &w, float *y,
                  uint32_t ldy, bool accumulate) {
  const uint32_t steps = packed_steps(w.dtype, w.K);
  const size_t panel = (size_t)steps * 16;
  const float *packed = static_cast<const float *>(w.packed) + first_column / 16 * panel;
  const Pair *packed_pairs = reinterpret_cast<const Pair *>(packed);
  if (x.single) return gemm(rows, columns, steps, x.single, x.ld, 1, packed, 16, panel, y, ldy, accumulate);
  if (x.blocked) return gemm_in_blocks(rows, columns, steps, x.blocked, x.ld, packed_pairs, panel, y, ldy, accumulate);
  const FlushSubnormals flush;
  gemm(rows, columns, steps, x.paired, x.ld, 1, packed_pairs, 16, panel, y, ldy, accumulate);
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
