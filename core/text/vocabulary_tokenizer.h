// vocabulary_tokenizer.h -- what tokenizers have in common whatever their model is: a vocabulary with added tokens,
// which of them are special, and what stands around the words that the model encodes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/added_vocabulary.h"
#include "core/text/normalizer.h"
#include "core/text/post_processor.h"
#include "core/text/token_decoder.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"
#include "core/text/vocabulary.h"

namespace hone {

// Encodes in the order of the tokenizers library: added tokens in the text as it is, the leftmost and longest; the
// normalizer on what lies between; added tokens in the normalized text; the model's words; the template around all.
// What stands around a text is the post-processor's alone: add_bos_token in tokenizer_config.json changes nothing, as
// in transformers 5.
class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const override;
  std::string decode(const std::vector<int32_t> &ids, bool skip_special) const override;
  std::vector<int32_t> prefix_ids() const override { return post_processor_.before; }
  int32_t id_of(std::string_view token) const override { return vocabulary_.id_of(token); }
  std::string token_of(int32_t id) const override { return vocabulary_.knows(id) ? vocabulary_.token_of(id) : ""; }
  int fallback_byte(int32_t id) const override {
    return vocabulary_.knows(id) ? decoder_.fallback_byte(vocabulary_.token_of(id)) : -1;
  }
  uint32_t size() const override { return vocabulary_.size(); }
  int32_t bos() const override { return bos_; }
  int32_t eos() const override { return eos_; }
  bool is_special(int32_t id) const override {
    return id >= 0 && static_cast<size_t>(id) < added_.special.size() && added_.special[id];
  }
  std::vector<int32_t> stop_ids() const override { return stop_ids_; }
  std::map<std::string, std::string> files() const override { return files_.text; }

 protected:
  explicit VocabularyTokenizer(TokenizerFiles files);
  // Once normalizer_, decoder_ and the model's own tokens in vocabulary_ are there: the added tokens, the
  // post-processor, and what begins and ends a text. Failure with the key for what is damaged.
  void read_special_tokens();
  // bos_token and eos_token, where there are any.
  void name_special_tokens(nlohmann::json &config) const;
  // The ids of a text without added tokens. at_start: it begins where the whole input does.
  virtual void encode_words(std::string_view text, bool at_start, std::vector<int32_t> &ids) const = 0;

  TokenizerFiles files_;
  Normalizer normalizer_;
  Vocabulary vocabulary_;  // the model's and the added tokens
  AddedVocabulary added_;
  PostProcessor post_processor_;
  TokenDecoder decoder_;
  int32_t bos_ = -1, eos_ = -1;
  std::vector<int32_t> stop_ids_;
};

}  // namespace hone
