// reduce on a CPU; order in op.h.
#include "kernels/reduce/op.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace hone::kernels::HONE_ISA {
namespace {

constexpr uint64_t kChunk = 65536;

double chunk_squares(const float *x, uint64_t n) {
  double lanes[16] = {};
  uint64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) lanes[j] += (double)x[i + j] * (double)x[i + j];
  for (int j = 0; i < n; ++i, ++j) lanes[j] += (double)x[i] * (double)x[i];
  double total = 0;
  for (int j = 0; j < 16; ++j) total += lanes[j];
  return total;
}

double sum_of_squares(hone_stream *stream, uint64_t n, const float *x) {
  const uint64_t chunks = (n + kChunk - 1) / kChunk;
  double *partial = static_cast<double *>(scratch(kScratchE, (chunks + 1) * sizeof(double)));
  parallel(stream, chunks, 20000, [&](uint64_t begin, uint64_t end) {
    for (uint64_t c = begin; c < end; ++c) partial[c] = chunk_squares(x + c * kChunk, least(kChunk, n - c * kChunk));
  });
  double total = 0;
  for (uint64_t c = 0; c < chunks; ++c) total += partial[c];
  return total;
}

void add_slots(hone_stream *stream, uint64_t n, uint32_t n_slots, const float *const *slots, float *to) {
  parallel_blocks(stream, n, n_slots * 3.0, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
      F16 level[32];  // level[d]: the sum of a finished subtree of 2^d slots; which are in use is told by the bits of s
      for (uint32_t s = 0; s < n_slots; ++s) {
        F16 carry = load_block(slots[s] + i, lanes);
        uint32_t d = 0;
        for (; s >> d & 1; ++d) carry = level[d] + carry;
        level[d] = carry;
      }
      F16 total = zero();
      bool any = false;
      for (uint32_t d = 0; d < 32; ++d)
        if (n_slots >> d & 1) {
          total = any ? level[d] + total : level[d];
          any = true;
        }
      store_block(to + i, lanes, total);
    });
  });
}

int32_t all_finite(hone_stream *stream, uint64_t n, const float *x) {
  int32_t finite = 1;
  parallel_blocks(stream, n, 2, [&](uint64_t begin, uint64_t end) {
    uint32_t bad = 0;
    for (uint64_t i = begin; i < end; ++i) {
      uint32_t bits;
      __builtin_memcpy(&bits, x + i, 4);
      bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    if (bad) __atomic_store_n(&finite, 0, __ATOMIC_RELAXED);
  });
  return __atomic_load_n(&finite, __ATOMIC_RELAXED);
}

}  // namespace

void fill_reduce(hone_kernels &set) {
  set.sum_of_squares = sum_of_squares;
  set.add_slots = add_slots;
  set.all_finite = all_finite;
}

}  // namespace hone::kernels::HONE_ISA
