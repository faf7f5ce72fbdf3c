// gguf_blocks.h -- the number types of GGUF tensors (ggml's enumeration), and how their blocks become floats.
#pragma once

#include <cstdint>
#include <string>

namespace hone {

struct GgufType {
  const char *name;
  uint32_t numbers, bytes;                                         // of one block
  void (*read)(const uint8_t *blocks, uint64_t count, float *to);  // `count` blocks; null: hone cannot read this type
};

const GgufType *gguf_type(uint32_t id);  // null: unknown
std::string gguf_readable_types();       // "F32, F16, ..."

}  // namespace hone
