// word_cache.cpp -- one lock for each part of the cache, so that threads seldom wait for one another.
#include "core/text/word_cache.h"

namespace hone {

bool WordCache::find(std::string_view word, std::vector<int32_t> &ids) const {
  const Shard &shard = shards_[shard_of(word)];
  const std::lock_guard lock(shard.mutex);
  const auto known = shard.words.find(word);
  if (known == shard.words.end()) return false;
  ids.insert(ids.end(), known->second.begin(), known->second.end());
  return true;
}

void WordCache::insert(std::string_view word, const int32_t *ids, size_t count) {
  Shard &shard = shards_[shard_of(word)];
  const std::lock_guard lock(shard.mutex);
  if (shard.words.size() < kMostInShard) shard.words.emplace(word, std::vector<int32_t>(ids, ids + count));
}

}  // namespace hone
