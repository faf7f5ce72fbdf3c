// gguf_blocks.cpp -- dequantisation of ggml's block formats. A block is scale(s) first, packed integers after. The
// float operations are those of ggml's own reference in the same order, so results are equal bit for bit.
//   Q4_0, Q5_0, Q8_0: d * (q - offset)      Q4_1, Q5_1: d * q + m          (32 numbers)
//   Q2_K, Q4_K, Q5_K: (d * scale) * q - (dmin * min)     Q3_K, Q6_K: (d * scale) * (q - offset)     (256 numbers)
#include "core/model/gguf_blocks.h"

#include <cstring>

#include "core/model/number_formats.h"

namespace hone {
namespace {

float half_at(const uint8_t *at) {
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return from_f16(bits);
}

void read_f32(const uint8_t *from, uint64_t count, float *to) {
  if (count) std::memcpy(to, from, count * 4);
}
void read_f16(const uint8_t *from, uint64_t count, float *to) {
  for (uint64_t i = 0; i < count; ++i) to[i] = half_at(from + 2 * i);
}
void read_bf16(const uint8_t *from, uint64_t count, float *to) {
  for (uint64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, from + 2 * i, 2);
    to[i] = from_bf16(bits);
  }
}

void read_q8_0(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 34, to += 32) {
    const float d = half_at(block);
    for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
}

// Sixteen bytes of low nibbles (numbers 0 .. 15) and high nibbles (16 .. 31); bit i of `fifth` is bit 4 of number i.
int nibble(const uint8_t *packed, int i) { return i < 16 ? packed[i] & 15 : packed[i - 16] >> 4; }
uint32_t word_at(const uint8_t *at) {
  uint32_t word;
  std::memcpy(&word, at, 4);
  return word;
}

void read_q4_0(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 18, to += 32) {
    const float d = half_at(block);
    for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(nibble(block + 2, i) - 8);
  }
}
void read_q4_1(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 20, to += 32) {
    const float d = half_at(block), m = half_at(block + 2);
    for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(nibble(block + 4, i)) + m;
  }
}
void read_q5_0(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 22, to += 32) {
    const float d = half_at(block);
    const uint32_t fifth = word_at(block + 2);
    for (int i = 0; i < 32; ++i)
      to[i] = d * static_cast<float>((nibble(block + 6, i) | static_cast<int>(fifth >> i & 1) << 4) - 16);
  }
}
void read_q5_1(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 24, to += 32) {
    const float d = half_at(block), m = half_at(block + 2);
    const uint32_t fifth = word_at(block + 4);
    for (int i = 0; i < 32; ++i)
      to[i] = d * static_cast<float>(nibble(block + 8, i) | static_cast<int>(fifth >> i & 1) << 4) + m;
  }
}

// Scale and minimum of sub-block j of eight, six bits each, in twelve bytes: those of 0 .. 3 in the low bits of bytes 0
// .. 7; of 4 .. 7 four bits each in bytes 8 .. 11, and their upper two on top of bytes 0 .. 7.
void scale_and_minimum(const uint8_t *packed, int j, float &scale, float &minimum) {
  int s, m;
  if (j < 4) {
    s = packed[j] & 63;
    m = packed[j + 4] & 63;
  } else {
    s = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
    m = (packed[j + 4] >> 4) | (packed[j] >> 6) << 4;
  }
  scale = static_cast<float>(s);
  minimum = static_cast<float>(m);
}

// Q4_K: d, dmin, 12 bytes of scales, 128 of nibbles. Q5_K has 32 bytes of fifth bits between: bit j of byte i is number
// 32 j + i's.
template <bool five>
void read_q4_or_q5_k(const uint8_t *block, uint64_t count, float *to) {
  constexpr int nibbles = five ? 48 : 16, size = five ? 176 : 144;
  for (; count--; block += size, to += 256) {
    const float d = half_at(block), dmin = half_at(block + 2);
    for (int j = 0; j < 8; ++j) {
      float scale, minimum;
      scale_and_minimum(block + 4, j, scale, minimum);
      const float step = d * scale, low = dmin * minimum;
      for (int i = 0; i < 32; ++i) {
        const int byte = block[nibbles + j / 2 * 32 + i];
        int q = j % 2 ? byte >> 4 : byte & 15;
        if (five) q |= (block[16 + i] >> j & 1) << 4;
        to[32 * j + i] = step * static_cast<float>(q) - low;
      }
    }
  }
}

// Q6_K: 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, d. Each half of 128 numbers is four rows
// of 32.
void read_q6_k(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 210, to += 256) {
    const float d = half_at(block + 208);
    for (int n = 0; n < 256; ++n) {
      const int half = n / 128, row = n % 128 / 32, i = n % 32;
      const int low = block[64 * half + row % 2 * 32 + i], high = block[128 + 32 * half + i];
      const int q = (row < 2 ? low & 15 : low >> 4) | (high >> 2 * row & 3) << 4;
      const float scale = d * static_cast<float>(static_cast<int8_t>(block[192 + n / 16]));
      to[n] = scale * static_cast<float>(q - 32);
    }
  }
}

// Q2_K: 16 bytes of (scale, minimum) nibbles, 64 of bit pairs, d, dmin.
void read_q2_k(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 84, to += 256) {
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (int n = 0; n < 256; ++n) {
      const int scales = block[n / 16], q = block[16 + n / 128 * 32 + n % 32] >> 2 * (n % 128 / 32) & 3;
      const float step = d * static_cast<float>(scales & 15), low = dmin * static_cast<float>(scales >> 4);
      to[n] = step * static_cast<float>(q) - low;
    }
  }
}

// Q3_K: 32 bytes of third bits (bit j of byte i is number 32 j + i's; 0 subtracts 4), 64 of bit pairs, 12 of six-bit
// scales (low nibbles of scale j in byte j mod 8, upper pairs in bytes 8 .. 11), d.
void read_q3_k(const uint8_t *block, uint64_t count, float *to) {
  for (; count--; block += 110, to += 256) {
    const float d = half_at(block + 108);
    const uint8_t *packed = block + 96;
    for (int n = 0; n < 256; ++n) {
      const int j = n / 16, low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4,
                scale = (low | (packed[8 + j % 4] >> 2 * (j / 4) & 3) << 4) - 32;
      const int q = block[32 + n / 128 * 32 + n % 32] >> 2 * (n % 128 / 32) & 3, third = block[n % 32] >> n / 32 & 1;
      const float step = d * static_cast<float>(scale);
      to[n] = step * static_cast<float>(q - (third ? 0 : 4));
    }
  }
}

struct Known {
  uint32_t id;
  GgufType type;
};
const Known kTypes[] = {
    {0, {"F32", 1, 4, read_f32}},
    {1, {"F16", 1, 2, read_f16}},
    {2, {"Q4_0", 32, 18, read_q4_0}},
    {3, {"Q4_1", 32, 20, read_q4_1}},
    {6, {"Q5_0", 32, 22, read_q5_0}},
    {7, {"Q5_1", 32, 24, read_q5_1}},
    {8, {"Q8_0", 32, 34, read_q8_0}},
    {9, {"Q8_1", 32, 36, nullptr}},
    {10, {"Q2_K", 256, 84, read_q2_k}},
    {11, {"Q3_K", 256, 110, read_q3_k}},
    {12, {"Q4_K", 256, 144, read_q4_or_q5_k<false>}},
    {13, {"Q5_K", 256, 176, read_q4_or_q5_k<true>}},
    {14, {"Q6_K", 256, 210, read_q6_k}},
    {15, {"Q8_K", 256, 292, nullptr}},
    {16, {"IQ2_XXS", 256, 66, nullptr}},
    {17, {"IQ2_XS", 256, 74, nullptr}},
    {18, {"IQ3_XXS", 256, 98, nullptr}},
    {19, {"IQ1_S", 256, 50, nullptr}},
    {20, {"IQ4_NL", 32, 18, nullptr}},
    {21, {"IQ3_S", 256, 110, nullptr}},
    {22, {"IQ2_S", 256, 82, nullptr}},
    {23, {"IQ4_XS", 256, 136, nullptr}},
    {24, {"I8", 1, 1, nullptr}},
    {25, {"I16", 1, 2, nullptr}},
    {26, {"I32", 1, 4, nullptr}},
    {27, {"I64", 1, 8, nullptr}},
    {28, {"F64", 1, 8, nullptr}},
    {29, {"IQ1_M", 256, 56, nullptr}},
    {30, {"BF16", 1, 2, read_bf16}},
    {34, {"TQ1_0", 256, 54, nullptr}},
    {35, {"TQ2_0", 256, 66, nullptr}},
    {39, {"MXFP4", 32, 17, nullptr}},
};

}  // namespace

const GgufType *gguf_type(uint32_t id) {
  for (const Known &known : kTypes)
    if (known.id == id) return &known.type;
  return nullptr;
}

std::string gguf_readable_types() {
  std::string text;
  for (const Known &known : kTypes)
    if (known.type.read) text += (text.empty() ? "" : ", ") + std::string(known.type.name);
  return text;
}

}  // namespace hone
