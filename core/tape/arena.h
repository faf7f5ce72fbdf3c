// arena.h -- memory of one pass, taken from the front and given back all at once; it grows to the largest pass and
// stays.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/table.h"

namespace hone {

class Arena {
 public:
  explicit Arena(const hone_kernels &kernels) : kernels_(kernels) {}
  ~Arena();
  Arena(const Arena &) = delete;

  // Aligned to 64 bytes; what it holds is left from before. Valid until rewind() or restart(). Failure when there is no
  // memory.
  void *take(uint64_t bytes);
  float *floats(uint64_t n) { return static_cast<float *>(take(n * sizeof(float))); }
  void rewind() { block_ = 0, used_ = before_ = 0; }
  void restart();  // rewind, and lay what was taken piecemeal into one piece, while it is little
  void discard(hone_stream &);  // what was taken is over, and its memory given back until it is written again
  size_t bytes() const { return total_; }
  uint64_t most_used() const { return most_used_; }  // of bytes(), since the first pass

 private:
  struct Block {
    char *data;
    uint64_t size;
  };
  void add_block(uint64_t size);
  const hone_kernels &kernels_;
  std::vector<Block> blocks_;
  size_t block_ = 0;
  uint64_t used_ = 0, total_ = 0, before_ = 0, most_used_ = 0;  // before_: bytes of the blocks before block_
};

}  // namespace hone
