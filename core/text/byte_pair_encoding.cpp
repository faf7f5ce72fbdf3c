// byte_pair_encoding.cpp -- reading the model; short words merge by looking at all pairs, long ones by a heap.
#include "core/text/byte_pair_encoding.h"

#include <algorithm>
#include <cstdio>
#include <queue>

#include "core/base/failure.h"
#include "core/text/byte_alphabet.h"
#include "core/text/json_member.h"
#include "core/text/utf8.h"

namespace hone {
namespace {

constexpr std::string_view kSpace = "▁";
constexpr size_t kShortWord = 32;  // tokens up to which looking at all pairs beats a heap

// Whether a "▁" stands after another character.
bool space_within(std::string_view token) {
  for (size_t at = token.find(kSpace, 1); at != std::string_view::npos; at = token.find(kSpace, at + 1))
    if (at < kSpace.size() || token.substr(at - kSpace.size(), kSpace.size()) != kSpace) return true;
  return false;
}

// The two tokens of a merge, spelled "a b" or ["a", "b"].
std::pair<std::string, std::string> read_merge(const nlohmann::json &merge, size_t index, const std::string &where) {
  const std::string name = where + ": model.merges[" + std::to_string(index) + "]";
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (!merge.is_string()) throw Failure(name + " must be two tokens, but it is " + json_shown(merge));
  const std::string &text = merge.get_ref<const std::string &>();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
    throw Failure(name + " must be two tokens with one space between, but it is " + json_shown(merge));
  return {text.substr(0, space), text.substr(space + 1)};
}

}  // namespace

BytePairEncoding::BytePairEncoding(const nlohmann::json &model, bool byte_level, const std::string &where)
    : vocabulary_(Vocabulary::of_model(model, where)), byte_level_(byte_level) {
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const auto &value = json_member(model, key); !value.is_null() && value != "")
      throw Failure(where + ": model." + key + " " + json_shown(value) + " is not supported; it must be null");
  if (const auto &dropout = json_member(model, "dropout"); !dropout.is_null() && dropout != 0.0)
    throw Failure(where + ": model.dropout " + json_shown(dropout) +
                  " would make ids random, which hone does not do; set it to null");
  byte_fallback_ = json_bool(model, "byte_fallback", false, where + ": model");
  fuse_unknown_ = json_bool(model, "fuse_unk", false, where + ": model");
  ignore_merges_ = json_bool(model, "ignore_merges", false, where + ": model");
  if (const auto &unknown = json_member(model, "unk_token"); !unknown.is_null()) {
    if (!unknown.is_string())
      throw Failure(where + ": model.unk_token must be a text, but it is " + json_shown(unknown));
    unknown_ = vocabulary_.id_of(unknown.get<std::string>());
    if (unknown_ < 0) throw Failure(where + ": model.unk_token " + json_shown(unknown) + " is not in model.vocab");
  }
  for (int byte = 0; byte < 256; ++byte) {
    byte_id_[byte] = vocabulary_.id_of(byte_character(static_cast<unsigned char>(byte)));
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    fallback_id_[byte] = vocabulary_.id_of(name);
  }
  read_merges(model, where);
}

void BytePairEncoding::read_merges(const nlohmann::json &model, const std::string &where) {
  const nlohmann::json &merges = json_member(model, "merges");
  if (!merges.is_array())
    throw Failure(where + ": model.merges must be a list of merges, but it is " +
                  (merges.is_null() ? "missing" : json_shown(merges)) + "; a BPE vocabulary cannot encode without it");
  merges_ = std::make_unique<MergeTable>(merges.size());
  spaces_begin_parts_ = !byte_level_ && !ignore_merges_ && vocabulary_.id_of(kSpace) >= 0;
  uint32_t rank = 0;
  for (size_t i = 0; i < merges.size(); ++i) {
    if (merges[i].is_string() && merges[i].get_ref<const std::string &>().starts_with("#version")) continue;
    const auto [left, right] = read_merge(merges[i], i, where);
    const auto id = [&](const std::string &token) {
      const int32_t known = vocabulary_.id_of(token);
      if (known < 0)
        throw Failure(where + ": model.merges[" + std::to_string(i) + "] " + json_shown(merges[i]) +
                      " needs the token \"" + token + "\", which is not in model.vocab");
      return known;
    };
    const int32_t left_id = id(left), right_id = id(right), token = id(left + right);
    merges_->set(left_id, right_id, {rank++, token});
    if (spaces_begin_parts_ && space_within(left + right)) spaces_begin_parts_ = false;
  }
}

void BytePairEncoding::encode(std::string_view word, std::vector<int32_t> &ids) const {
  if (!spaces_begin_parts_) return encode_part(word, ids);
  for (size_t begin = 0; begin < word.size();) {
    const size_t end = part_end(word, begin);
    encode_part(word.substr(begin, end - begin), ids);
    begin = end;
  }
}

// Just before the first "▁" that follows another character.
size_t BytePairEncoding::part_end(std::string_view word, size_t begin) const {
  size_t at = begin;
  while (word.substr(at, kSpace.size()) == kSpace) at += kSpace.size();
  return std::min(word.find(kSpace, at), word.size());
}

void BytePairEncoding::encode_part(std::string_view word, std::vector<int32_t> &ids) const {
  if (word.empty()) return;
  const bool cached = word.size() <= WordCache::kLongestWord;
  if (cached && cache_.find(word, ids)) return;
  std::vector<int32_t> own;
  int32_t whole = -1;
  if (ignore_merges_) {
    if (byte_level_) {
      std::string token;
      for (char c : word) token += byte_character(static_cast<unsigned char>(c));
      whole = vocabulary_.id_of(token);
    } else {
      whole = vocabulary_.id_of(word);
    }
  }
  if (whole >= 0) {
    own.push_back(whole);
  } else {
    first_tokens(word, own);
    if (own.size() <= kShortWord)
      merge_short(own);
    else
      merge_long(own);
  }
  ids.insert(ids.end(), own.begin(), own.end());
  if (cached) cache_.insert(word, own.data(), own.size());
}

void BytePairEncoding::first_tokens(std::string_view word, std::vector<int32_t> &ids) const {
  ids.reserve(word.size());
  int32_t pending = 0;
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    if (byte_level_) {
      const auto byte = static_cast<unsigned char>(word[at++]);
      if (pending == 0 && byte_id_[byte] >= 0)
        ids.push_back(byte_id_[byte]);
      else
        character(byte_character(byte), pending, ids);
    } else {
      next_code_point(word, at);
      character(word.substr(begin, at - begin), pending, ids);
    }
  }
  ids.insert(ids.end(), pending, unknown_);
}

// pending: unknown tokens not yet written. The library writes them before the next known character, but not before the
// bytes of an unknown one.
void BytePairEncoding::character(std::string_view character, int32_t &pending, std::vector<int32_t> &ids) const {
  if (const int32_t id = vocabulary_.id_of(character); id >= 0) {
    ids.insert(ids.end(), pending, unknown_);
    pending = 0;
    ids.push_back(id);
    return;
  }
  const auto has_token = [&](char c) { return fallback_id_[static_cast<unsigned char>(c)] >= 0; };
  if (byte_fallback_ && std::all_of(character.begin(), character.end(), has_token)) {
    for (char c : character) ids.push_back(fallback_id_[static_cast<unsigned char>(c)]);
    return;
  }
  if (unknown_ < 0) return;
  if (pending > 0 && !fuse_unknown_) ids.push_back(unknown_);
  pending = 1;
}

void BytePairEncoding::merge_short(std::vector<int32_t> &ids) const {
  const MergeTable::Merge *pair[kShortWord];  // pair[i]: how ids[i] and ids[i + 1] merge
  size_t count = ids.size();
  for (size_t i = 0; i + 1 < count; ++i) pair[i] = merges_->find(ids[i], ids[i + 1]);
  while (true) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i)
      if (pair[i] && (best == count || pair[i]->rank < pair[best]->rank)) best = i;
    if (best == count) break;
    ids[best] = pair[best]->token;
    std::copy(ids.begin() + best + 2, ids.begin() + count, ids.begin() + best + 1);
    if (best + 2 < count) std::copy(pair + best + 2, pair + count - 1, pair + best + 1);
    --count;
    if (best > 0) pair[best - 1] = merges_->find(ids[best - 1], ids[best]);
    if (best + 1 < count) pair[best] = merges_->find(ids[best], ids[best + 1]);
  }
  ids.resize(count);
}

void BytePairEncoding::merge_long(std::vector<int32_t> &ids) const {
  struct Symbol {
    int32_t id;
    int32_t before, after;  // -1: none
  };
  struct Candidate {
    uint32_t rank;
    int32_t at, token;
    bool operator>(const Candidate &other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  const auto count = static_cast<int32_t>(ids.size());
  std::vector<Symbol> symbols(count);
  for (int32_t i = 0; i < count; ++i) symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};
  std::vector<Candidate> storage;
  storage.reserve(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{}, std::move(storage));
  const auto offer = [&](int32_t at) {
    if (at < 0 || symbols[at].after < 0) return;
    if (const auto *merge = merges_->find(symbols[at].id, symbols[symbols[at].after].id))
      queue.push({merge->rank, at, merge->token});
  };
  for (int32_t i = 0; i < count; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol &left = symbols[top.at];
    if (left.id < 0 || left.after < 0) continue;
    Symbol &right = symbols[left.after];
    const auto *merge = merges_->find(left.id, right.id);
    if (!merge || merge->token != top.token) continue;  // one of the two has merged otherwise since
    left.id = top.token;
    right.id = -1;
    left.after = right.after;
    if (right.after >= 0) symbols[right.after].before = top.at;
    offer(left.before);
    offer(top.at);
  }
  ids.clear();
  for (int32_t at = 0; at >= 0 && at < count; at = symbols[at].after) ids.push_back(symbols[at].id);
}

}  // namespace hone
