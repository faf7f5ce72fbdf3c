// memory on a CPU: 64-byte aligned, zeroed, null when there is none.
#include "kernels/memory/op.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/cpu/parallel.h"

namespace hone::kernels::HONE_ISA {
namespace {

// Zeroes large memory by giving its pages back: the system hands out zeroed ones at the first touch, so that what is never used
// (the packed weights of a model that is only converted) takes no memory.
void zero(char *begin, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), from = reinterpret_cast<uintptr_t>(begin);
  const size_t head = (page - from % page) % page, pages = bytes < head ? 0 : (bytes - head) / page * page;
  if (pages < 1u << 20 || madvise(begin + head, pages, MADV_DONTNEED) != 0) {
    __builtin_memset(begin, 0, bytes);
    return;
  }
  __builtin_memset(begin, 0, head);
  __builtin_memset(begin + head + pages, 0, bytes - head - pages);
}

// Large memory in large pages, where the system has them: products walk over megabytes at strides of a page or more.
constexpr size_t kLargePage = size_t{1} << 21;

void *allocate(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kLargePage) return nullptr;
  const size_t alignment = bytes >= 2 * kLargePage ? kLargePage : 64, rounded = (bytes + 64 + alignment - 1) / alignment * alignment;
  void *p = aligned_alloc(alignment, rounded);
  if (!p) return p;
  if (alignment == kLargePage) madvise(p, rounded, MADV_HUGEPAGE);  // a refusal leaves small pages
  zero(static_cast<char *>(p), rounded);
  return p;
}

void discard(hone_stream *, void *data, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), from = reinterpret_cast<uintptr_t>(data);
  const size_t head = (page - from % page) % page, pages = bytes < head ? 0 : (bytes - head) / page * page;
  if (pages) madvise(static_cast<char *>(data) + head, pages, MADV_DONTNEED);  // a refusal leaves all as it was
}

void copy_bytes(hone_stream *, void *to, const void *from, size_t bytes) {
  if (bytes) __builtin_memcpy(to, from, bytes);
}

void fill(hone_stream *stream, float *x, uint64_t n, float value) {
  parallel_blocks(stream, n, 2, [&](uint64_t begin, uint64_t end) {
    each_block(begin, end, [&](uint64_t i, uint32_t lanes) { store_block(x + i, lanes, broadcast(value)); });
  });
}

void copy(hone_stream *stream, float *to, const float *from, uint64_t n) {
  parallel_blocks(stream, n, 2, [&](uint64_t begin, uint64_t end) {
    __builtin_memcpy(to + begin, from + begin, (end - begin) * sizeof(float));
  });
}

int32_t synchronize(hone_stream *) { return 0; }

}  // namespace

void fill_memory(hone_kernels &set) {
  set.allocate = allocate;
  set.release = free;
  set.discard = discard;
  set.copy_in = copy_bytes;
  set.copy_out = copy_bytes;
  set.fill = fill;
  set.copy = copy;
  set.synchronize = synchronize;
}

}  // namespace hone::kernels::HONE_ISA
