// parallel.h -- splits independent outputs over the caller's threads. Never used to split a sum.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/table.h"

namespace hone::kernels::HONE_ISA {

// f(begin, end) over [0, n). Work under about 20 us stays on the caller: handing it out would cost more than it saves.
// Each thread is given pieces_each of it: fewer are longer, more even out what disturbs a thread.
template <class F>
HONE_INLINE void parallel(hone_stream *stream, uint64_t n, double nanoseconds_each, const F &f, uint32_t pieces_each = 4) {
  if (n == 0) return;
  if (!stream || !stream->loop || stream->threads < 2 || n == 1 || (double)n * nanoseconds_each < 20000) {
    f((uint64_t)0, n);
    return;
  }
  // As many pieces for each thread, of 5 us at least.
  uint64_t pieces = least((uint64_t)stream->threads * pieces_each, (uint64_t)((double)n * nanoseconds_each / 5000));
  pieces = most((uint64_t)stream->threads, pieces - pieces % stream->threads);
  stream->loop(
      stream->pool, n, (n + pieces - 1) / pieces,
      [](void *arg, uint64_t begin, uint64_t end) { (*static_cast<const F *>(arg))(begin, end); }, const_cast<F *>(&f));
}

// The same over n elements in blocks of 16: f's begin is a multiple of 16.
template <class F>
HONE_INLINE void parallel_blocks(hone_stream *stream, uint64_t n, double nanoseconds_per_block, const F &f) {
  parallel(stream, (n + 15) / 16, nanoseconds_per_block,
           [&](uint64_t begin, uint64_t end) { f(begin * 16, least(end * 16, n)); });
}

}  // namespace hone::kernels::HONE_ISA
