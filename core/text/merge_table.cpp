// merge_table.cpp -- filling the table: linear probing, at most half full.
#include "core/text/merge_table.h"

#include <bit>

namespace hone {

MergeTable::MergeTable(size_t most) : entries_(std::bit_ceil(2 * most + 2)), mask_(entries_.size() - 1) {}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  size_t at = slot(left, right);
  while (entries_[at].left >= 0 && (entries_[at].left != left || entries_[at].right != right)) at = (at + 1) & mask_;
  entries_[at] = {left, right, merge};
}

}  // namespace hone
