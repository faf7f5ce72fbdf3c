// scratch.cpp -- per-thread buffers that only grow, freed when their thread ends.
#include "kernels/cpu/scratch.h"

#include <cstdlib>
#include <new>

namespace hone::kernels {
namespace {

struct Buffers {
  void *data[kScratchSlots] = {};
  size_t size[kScratchSlots] = {};
  ~Buffers() {
    for (void *p : data) std::free(p);
  }
};
thread_local Buffers buffers;

}  // namespace

void *scratch(ScratchSlot slot, size_t bytes) {
  if (bytes > buffers.size[slot] || !buffers.data[slot]) {
    const size_t rounded = (bytes + bytes / 2 + 4095) / 4096 * 4096 + 4096;
    void *grown = std::aligned_alloc(64, rounded);
    if (!grown) throw std::bad_alloc();
    std::free(buffers.data[slot]);
    buffers.data[slot] = grown;
    buffers.size[slot] = rounded;
  }
  return buffers.data[slot];
}

}  // namespace hone::kernels
