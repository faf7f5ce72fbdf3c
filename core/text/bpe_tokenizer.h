// bpe_tokenizer.h -- a tokenizer.json with a "BPE" model: byte-level (GPT-2, Llama 3, Qwen2, DeepSeek-V3, SmolLM2) or
// SentencePiece-style with byte fallback (Llama 2).
#pragma once

#include <string_view>
#include <vector>

#include "core/text/byte_pair_encoding.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/vocabulary_tokenizer.h"

namespace hone {

class BpeTokenizer final : public VocabularyTokenizer {
 public:
  explicit BpeTokenizer(TokenizerFiles files);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const override;
  const char *type() const override { return "BPE"; }
  GgufVocabulary gguf_vocabulary() const override;

 private:
  void encode_words(std::string_view text, bool at_start, std::vector<int32_t> &ids) const override;

  PreTokenizer pre_tokenizer_;
  BytePairEncoding model_;
};

}  // namespace hone
