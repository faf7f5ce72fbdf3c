// byte_pair_encoding.h -- tokenizer.json's "BPE" model: a word's characters, merged pair by pair (Sennrich et al. 2016,
// arXiv:1508.07909), always the pair of the lowest rank, of equals the leftmost.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/merge_table.h"
#include "core/text/vocabulary.h"
#include "core/text/word_cache.h"

namespace hone {

// Thread-safe after construction.
class BytePairEncoding {
 public:
  // `model`: the object of tokenizer.json. byte_level: words come as bytes, and the vocabulary spells them in GPT-2's
  // alphabet. Failure with the key and the value for what is damaged or not supported.
  BytePairEncoding(const nlohmann::json &model, bool byte_level, const std::string &where);

  // Appends the ids of a word. A character that is no token becomes its bytes' tokens (byte_fallback), else the unknown
  // token, else nothing, as in the tokenizers library.
  void encode(std::string_view word, std::vector<int32_t> &ids) const;

  const Vocabulary &vocabulary() const { return vocabulary_; }
  int32_t unknown() const { return unknown_; }  // -1: none

 private:
  void read_merges(const nlohmann::json &model, const std::string &where);
  void encode_part(std::string_view word, std::vector<int32_t> &ids) const;
  void first_tokens(std::string_view word, std::vector<int32_t> &ids) const;
  void character(std::string_view character, int32_t &pending, std::vector<int32_t> &ids) const;
  void merge_short(std::vector<int32_t> &ids) const;
  void merge_long(std::vector<int32_t> &ids) const;
  size_t part_end(std::string_view word, size_t begin) const;

  Vocabulary vocabulary_;
  std::unique_ptr<MergeTable> merges_;
  bool byte_level_, byte_fallback_ = false, fuse_unknown_ = false, ignore_merges_ = false;
  bool spaces_begin_parts_ = false;  // no merge reaches from another character over to a "▁" after it
  int32_t unknown_ = -1;
  std::array<int32_t, 256> byte_id_;      // the token of a byte of a byte-level vocabulary
  std::array<int32_t, 256> fallback_id_;  // the token "<0x0A>" of a byte
  mutable WordCache cache_;
};

}  // namespace hone
