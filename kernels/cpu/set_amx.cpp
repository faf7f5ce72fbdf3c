// set_amx.cpp -- the avx512 set with products of bf16 in tiles by TDPBF16PS; compiled as HONE_ISA amx. What the instruction does is
// checked before it is used: cpu/blocks.h says what it must give.
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/sets.h"
#include "kernels/expert_matmul/op.h"
#include "kernels/matmul/op.h"

namespace hone::kernels::HONE_ISA {

// Whether this CPU's instruction gives the bits of the two chains and their sum: over random numbers of all sizes, subnormal ones
// among them, sums that cancel, and overflow.
bool tiles_keep_the_blocks() {
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  const FlushSubnormals flush;
  // Two blocks of two row tiles by two panels: every tile of block_tile<2, 2>, whose sums go on from block to block.
  constexpr int kRows = 32, kColumns = 32, kSteps = 32;
  static thread_local Pair x[kRows][kSteps], w[kColumns / 16][kSteps][16];
  static thread_local float sums[kRows][kColumns], expected[kRows][kColumns];
  for (int round = 0; round < 30; ++round) {
    // Exponents near each other, so that every bit matters, around 0 of any size; and products and sums about as small as numbers are.
    const bool smallest = round % 5 == 0;
    const uint32_t near = smallest ? 64 : round % 4 ? 100 + (next() >> 24) % 48 : (next() >> 24) % 2 * 254, spread = 1 + round % 5 * 4;
    const uint32_t far = smallest ? 62 + (next() >> 30) : 253 - near;
    const auto number = [&](uint32_t exponent) { return (next() >> 16 & 0x8000u) | (exponent & 255u) << 7 | (next() >> 9 & 127u); };
    const auto pair = [&](uint32_t exponent) {
      const uint32_t first = number(exponent + (next() >> 16) % spread);
      return first << 16 | number(exponent + (next() >> 16) % spread);
    };
    for (auto &row : x)
      for (Pair &p : row) p = pair(near);
    for (auto &panel : w)
      for (auto &step : panel)
        for (Pair &p : step) p = pair(far);
    for (int m = 0; m < kRows; ++m)
      for (int n = 0; n < kColumns; ++n) {
        const uint32_t bits = (next() & 0x807fffffu) | (smallest ? next() >> 29 : 120u + (next() >> 28)) << 23;
        __builtin_memcpy(&sums[m][n], &bits, 4);
        float sum = sums[m][n];
        for (int block = 0; block < kSteps; block += 16) {
          float firsts = 0, seconds = 0;
          for (int s = block; s < block + 16; ++s) {
            firsts = fma(number_of(x[m][s], 0), number_of(w[n / 16][s][n % 16], 0), firsts);
            seconds = fma(number_of(x[m][s], 1), number_of(w[n / 16][s][n % 16], 1), seconds);
          }
          if (block == 0 && round % 3 == 0) sum = sums[m][n] = -(firsts + seconds);  // cancels
          sum = sum + (firsts + seconds);
        }
        expected[m][n] = sum;
      }
    gemm_in_blocks(kRows, kColumns, kSteps, &x[0][0], kSteps, &w[0][0][0], kSteps * 16, &sums[0][0], kColumns, true);
    for (int m = 0; m < kRows; ++m)
      for (int n = 0; n < kColumns; ++n)
        if (__builtin_memcmp(&sums[m][n], &expected[m][n], 4) != 0 && !(sums[m][n] != sums[m][n] && expected[m][n] != expected[m][n])) return false;
  }
  return true;
}

// Products in blocks are this set's own; all others are of the set that is the fastest at them here.
namespace {

const hone_kernels &others() {
  static const hone_kernels *set = avx512bf16::dot_is_faster() ? avx512bf16::set() : avx512::set();
  return *set;
}
const hone_kernels &own() {
  static const hone_kernels table = [] {
    hone_kernels t = {};
    fill_matmul(t);
    fill_expert_matmul(t);
    return t;
  }();
  return table;
}
const hone_kernels &maker_of(uint32_t dtype) { return dtype == HONE_BF16_BLOCKS ? own() : others(); }

}  // namespace

const hone_kernels *set() {
  static const hone_kernels table = [] {
    hone_kernels t = others();
    t.isa = "amx";
    t.bf16 = HONE_BF16_BLOCKS;
    t.packed_bytes = own().packed_bytes;  // panels are alike in all sets
    t.pack_weight = own().pack_weight;
    t.weight_outputs = own().weight_outputs;
    t.matmul = [](hone_stream *stream, uint32_t T, const float *x, uint32_t ldx, const hone_weight *w, float *y, uint32_t ldy, int accumulate) {
      maker_of(w->dtype).matmul(stream, T, x, ldx, w, y, ldy, accumulate);
    };
    t.matmul_backward_input = [](hone_stream *stream, uint32_t T, const float *dy, uint32_t lddy, const hone_weight *w, float *dx,
                                 uint32_t lddx, int accumulate) {
      maker_of(w->dtype).matmul_backward_input(stream, T, dy, lddy, w, dx, lddx, accumulate);
    };
    t.matmul_backward_weight = [](hone_stream *stream, uint32_t dtype, uint32_t T, uint32_t N, uint32_t K, const float *x, uint32_t ldx,
                                  const float *dy, uint32_t lddy, float *dW) {
      maker_of(dtype).matmul_backward_weight(stream, dtype, T, N, K, x, ldx, dy, lddy, dW);
    };
    t.expert_matmul = [](hone_stream *stream, uint32_t E, const uint32_t *offsets, const float *x, const hone_weight *w, float *y) {
      maker_of(w->dtype).expert_matmul(stream, E, offsets, x, w, y);
    };
    t.expert_matmul_backward_input = [](hone_stream *stream, uint32_t E, const uint32_t *offsets, const float *dy, const hone_weight *w,
                                        float *dx) { maker_of(w->dtype).expert_matmul_backward_input(stream, E, offsets, dy, w, dx); };
    t.expert_matmul_backward_weight = [](hone_stream *stream, uint32_t dtype, uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K,
                                         const float *x, const float *dy, float *dW) {
      maker_of(dtype).expert_matmul_backward_weight(stream, dtype, E, offsets, N, K, x, dy, dW);
    };
    return t;
  }();
  return &table;
}

}  // namespace hone::kernels::HONE_ISA
