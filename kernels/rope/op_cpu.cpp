// rope on a CPU; formula in op.h.
#include "kernels/rope/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

void rope(hone_stream *stream, uint32_t T, uint32_t H, uint32_t head_size, uint32_t first_column, uint32_t size, int interleaved,
          const uint32_t *position, const float *cos_sin, int direction, float *x) {
  const uint32_t half = size / 2, step = interleaved ? 2 : 1, apart = interleaved ? 1 : half;
  const float sign = direction < 0 ? -1.0f : 1.0f;
  parallel(stream, T, H * half * 1.0, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      const float *cosine = cos_sin + (size_t)position[t] * size, *sine = cosine + half;
      for (uint64_t h = 0; h < H; ++h) {
        float *head = x + (t * H + h) * head_size + first_column;
        for (uint32_t i = 0; i < half; ++i) {
          float *a = head + i * step, *b = a + apart;
          const float s = sign * sine[i], turned = fma(*a, cosine[i], -(*b * s));
          *b = fma(*b, cosine[i], *a * s);
          *a = turned;
        }
      }
    }
  });
}

}  // namespace

void fill_rope(hone_kernels &set) { set.rope = rope; }

}  // namespace hone::kernels::HONE_ISA
