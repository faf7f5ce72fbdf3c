// word_level.h -- tokenizer.json's "WordLevel" model with the "WhitespaceSplit" pre-tokenizer and added tokens.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/vocabulary_tokenizer.h"

namespace hone {

// What lies between added tokens is split at Unicode white space, and each piece is one token or the unknown one. As
// Hugging Face's library does it.
class WordLevel final : public VocabularyTokenizer {
 public:
  explicit WordLevel(TokenizerFiles files);
  // The tokenizer.json of a plain vocabulary.
  static nlohmann::json describe(const std::vector<std::string> &words, const std::vector<std::string> &special,
                                 const std::string &unknown);

  const char *type() const override { return "WordLevel"; }
  GgufVocabulary gguf_vocabulary() const override;

 private:
  void encode_words(std::string_view text, bool at_start, std::vector<int32_t> &ids) const override;

  Vocabulary words_;  // the model's alone
  int32_t unknown_ = -1;
};

}  // namespace hone
