// word_cache.h -- the ids of words seen before. Bounded; any thread may ask and tell; never changes a result.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hone {

class WordCache {
 public:
  static constexpr size_t kLongestWord = 64;  // bytes; longer ones seldom come again

  // Appends the word's ids; false when they are not known.
  bool find(std::string_view word, std::vector<int32_t> &ids) const;
  void insert(std::string_view word, const int32_t *ids, size_t count);  // does nothing once full

 private:
  static constexpr size_t kShards = 64, kMostInShard = 2048;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> words;
  };
  static size_t shard_of(std::string_view word) { return (Hash{}(word) >> 20) % kShards; }
  std::array<Shard, kShards> shards_;
};

}  // namespace hone
