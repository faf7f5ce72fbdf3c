// word_level.h -- tokenizer.json's "WordLevel" model with the "WhitespaceSplit" pre-tokenizer and added tokens.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/text/added_vocabulary.h"
#include "core/text/post_processor.h"
#include "core/text/token_decoder.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"
#include "core/text/vocabulary.h"

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
  std::vector<int32_t> prefix_ids() const override { return post_processor_.before; }
  int32_t id_of(std::string_view token) const override { return vocabulary_.id_of(token); }
  std::string token_of(int32_t id) const override { return vocabulary_.knows(id) ? vocabulary_.token_of(id) : ""; }
  const char *type() const override { return "WordLevel"; }
  uint32_t size() const override { return vocabulary_.size(); }
  int32_t bos() const override { return bos_; }
  int32_t eos() const override { return eos_; }
  bool is_special(int32_t id) const override {
    return id >= 0 && static_cast<size_t>(id) < added_.special.size() && added_.special[id];
  }
  std::vector<int32_t> stop_ids() const override { return stop_ids_; }
  std::map<std::string, std::string> files() const override { return files_; }
  GgufVocabulary gguf_vocabulary() const override;

 private:
  void read_words(const nlohmann::json &model, const std::string &where);
  void encode_words(std::string_view piece, std::vector<int32_t> &ids) const;

  std::map<std::string, std::string> files_;
  Vocabulary words_, vocabulary_;  // the model's; and the added tokens
  AddedVocabulary added_;
  PostProcessor post_processor_;
  TokenDecoder decoder_;
  std::vector<int32_t> stop_ids_;
  int32_t unknown_ = -1, bos_ = -1, eos_ = -1;
};

}  // namespace hone
