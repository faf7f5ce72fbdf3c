// embedding on a CPU: backward is split over columns, so that each sum over tokens stays in order.
#include "kernels/embedding/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void embedding(hone_stream *stream, uint32_t T, uint32_t C, const int32_t *ids, const float *table, float *y) {
  parallel(stream, T, panels(C) * 3.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) __builtin_memcpy(y + t * C, table + (size_t)ids[t] * C, (size_t)C * sizeof(float));
  });
}

void embedding_backward(hone_stream *stream, uint32_t T, uint32_t C, uint32_t, const int32_t *ids, const float *dy,
                        float *dtable) {
  parallel_blocks(stream, C, T * 4.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = 0; t < T; ++t) {
      float *to = dtable + (size_t)ids[t] * C;
      each_block(begin, end, [&](uint64_t i, uint32_t lanes) {
        store_block(to + i, lanes, load_block(to + i, lanes) + load_block(dy + t * C + i, lanes));
      });
    }
  });
}

}  // namespace

void fill_embedding(hone_kernels &set) {
  set.embedding = embedding;
  set.embedding_backward = embedding_backward;
}

}  // namespace hone::kernels::HONE_ISA
