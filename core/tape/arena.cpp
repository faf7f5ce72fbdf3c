// arena.cpp -- growth by whole blocks, so that nothing taken ever moves within a pass.
#include "core/tape/arena.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {

constexpr uint64_t most_moved = uint64_t{1} << 26;

Arena::~Arena() {
  for (const Block &block : blocks_) kernels_.release(block.data);
}

void Arena::add_block(uint64_t size) {
  blocks_.reserve(blocks_.size() + 1);
  void *data = kernels_.allocate(size);
  if (!data)
    throw Failure("out of memory: a pass needs another " + human_bytes(size) + " beside " + human_bytes(total_) +
                  "; use fewer tokens in one pass, or activation checkpointing");
  blocks_.push_back({static_cast<char *>(data), size});
  total_ += size;
}

void *Arena::take(uint64_t bytes) {
  bytes = (std::max<uint64_t>(bytes, 1) + 63) / 64 * 64;
  while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size) before_ += blocks_[block_++].size, used_ = 0;
  if (block_ == blocks_.size()) add_block(std::max({bytes, total_, uint64_t{1} << 16}));
  void *taken = blocks_[block_].data + used_;
  used_ += bytes;
  most_used_ = std::max(most_used_, before_ + used_);
  return taken;
}

void Arena::restart() {
  rewind();
  // Large pieces stay as they are: new memory would have to be found, and cleared, for all of it once more.
  if (blocks_.size() < 2 || total_ > most_moved) return;
  const uint64_t whole = total_;
  for (const Block &block : blocks_) kernels_.release(block.data);
  blocks_.clear();
  total_ = 0;
  add_block(whole);
}

void Arena::discard(hone_stream &stream) {
  rewind();
  for (const Block &block : blocks_) kernels_.discard(&stream, block.data, block.size);
}

}  // namespace hone
