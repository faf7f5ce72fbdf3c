// rope on a CPU; formula in op.h.
#include "kernels/rope/op.h"

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

// One head's pairs: a block of them at a time where they lie a half apart, else one by one.
void turn(uint32_t half, int interleaved, const float *cosine, const float *sine, float sign, const float *x, float *y) {
  if (!interleaved) {
    each_block(0, half, [&](uint64_t i, uint32_t lanes) {
      const F16 a = load_block(x + i, lanes), b = load_block(x + half + i, lanes), c = load_block(cosine + i, lanes),
                s = load_block(sine + i, lanes);
      store_block(y + i, lanes, fma(a, c, b * (broadcast(-sign) * s)));
      store_block(y + half + i, lanes, fma(b, c, a * (broadcast(sign) * s)));
    });
    return;
  }
  for (uint32_t i = 0; i < half; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1], s = sign * sine[i];
    y[2 * i] = fma(a, cosine[i], -(b * s));
    y[2 * i + 1] = fma(b, cosine[i], a * s);
  }
}

void rope(hone_stream *stream, uint32_t T, uint32_t H, uint32_t head_size, uint32_t first_column, uint32_t size, int interleaved,
          const uint32_t *position, const float *cos_sin, int direction, const float *x, float *y) {
  const uint32_t half = size / 2;
  const float sign = direction < 0 ? -1.0f : 1.0f;
  parallel(stream, T, H * head_size * 0.2, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      const float *cosine = cos_sin + (size_t)position[t] * size, *sine = cosine + half;
      for (uint64_t h = 0; h < H; ++h) {
        const size_t head = (t * H + h) * head_size, last = first_column + size;
        if (x != y) {
          __builtin_memcpy(y + head, x + head, first_column * sizeof(float));
          __builtin_memcpy(y + head + last, x + head + last, (head_size - last) * sizeof(float));
        }
        turn(half, interleaved, cosine, sine, sign, x + head + first_column, y + head + first_column);
      }
    }
  });
}

}  // namespace

void fill_rope(hone_kernels &set) { set.rope = rope; }

}  // namespace hone::kernels::HONE_ISA
