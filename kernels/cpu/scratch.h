// scratch.h -- memory that a thread keeps between calls, so that a warm kernel allocates nothing. Contents are never carried over.
#pragma once

#include <stddef.h>

namespace hone::kernels {

// 64-byte aligned room for at least `bytes`, valid until this thread asks for the same slot again. Throws std::bad_alloc.
enum ScratchSlot { kScratchA, kScratchB, kScratchC, kScratchD, kScratchE, kScratchSlots };
void *scratch(ScratchSlot slot, size_t bytes);
inline __attribute__((always_inline)) float *scratch_floats(ScratchSlot slot, size_t n) {
  return static_cast<float *>(scratch(slot, n * sizeof(float)));
}

}  // namespace hone::kernels
