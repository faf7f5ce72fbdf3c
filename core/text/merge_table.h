// merge_table.h -- which two tokens merge, when, and into what: a flat hash table, since encoding asks it most of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hone {

class MergeTable {
 public:
  struct Merge {
    uint32_t rank;  // the smaller merges first
    int32_t token;  // what the two become
  };
  explicit MergeTable(size_t most);
  void set(int32_t left, int32_t right, Merge merge);  // a pair given again takes the later merge
  const Merge *find(int32_t left, int32_t right) const {
    for (size_t at = slot(left, right);; at = (at + 1) & mask_) {
      const Entry &entry = entries_[at];
      if (entry.left == left && entry.right == right) return &entry.merge;
      if (entry.left < 0) return nullptr;
    }
  }

 private:
  struct Entry {
    int32_t left = -1, right = -1;
    Merge merge{};
  };
  size_t slot(int32_t left, int32_t right) const {
    uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    key *= 0x9E3779B97F4A7C15u;  // Fibonacci hashing
    return (key ^ key >> 32) & mask_;
  }
  std::vector<Entry> entries_;
  size_t mask_;
};

}  // namespace hone
