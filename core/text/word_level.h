// word_level.h -- tokenizer.json's "WordLevel" model with the "WhitespaceSplit" pre-tokenizer and added tokens.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"

namespace hone {

// Added tokens are found first, the leftmost and longest, wherever they stand in the text; what lies between is split
// at Unicode white space, and each piece is one token or the unknown one. As Hugging Face's library does it.
class WordLevel final : public Tokenizer {
 public:
  explicit WordLevel(TokenizerFiles files);
  // The tokenizer.json of a plain vocabulary.
  static nlohmann::json describe(const std::vector<std::string> &words, const std::vector<std::string> &special,
                                 const std::string &unknown);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const override;
  std::string decode(const std::vector<int32_t> &ids, bool skip_special) const override;
  int32_t id_of(std::string_view token) const override;
  std::string token_of(int32_t id) const override;
  uint32_t size() const override { return static_cast<uint32_t>(token_.size()); }
  int32_t bos() const override { return bos_; }
  int32_t eos() const override { return eos_; }
  bool is_special(int32_t id) const override {
    return id >= 0 && static_cast<size_t>(id) < special_.size() && special_[id];
  }
  std::vector<int32_t> stop_ids() const override { return stop_ids_; }
  std::map<std::string, std::string> files() const override { return files_; }
  GgufVocabulary gguf_vocabulary() const override;

 private:
  struct Added {
    std::string content;
    int32_t id;
    bool single_word, normalized;
  };
  void insert(const std::string &token, int64_t id, const std::string &what, const std::string &where);
  void read_vocabulary(const nlohmann::json &model, const std::string &where);
  void read_added(const nlohmann::json &file, const std::string &where);
  void read_template(const nlohmann::json &file, const std::string &where);
  void encode_piece(std::string_view piece, int pass, std::vector<int32_t> &ids) const;
  void encode_words(std::string_view piece, std::vector<int32_t> &ids) const;
  const Added *match(std::string_view piece, size_t at, bool normalized) const;

  std::map<std::string, std::string> files_;
  std::string unknown_token_;
  std::vector<std::string> token_;
  std::vector<bool> special_, used_;
  std::unordered_map<std::string, int32_t> id_;
  std::vector<Added> added_;             // the longest first
  std::vector<int32_t> before_, after_;  // what the post-processor puts around a text
  std::vector<int32_t> stop_ids_;
  int32_t unknown_ = -1, bos_ = -1, eos_ = -1;
};

}  // namespace hone
