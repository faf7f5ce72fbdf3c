// bpe_tokenizer.cpp -- the parts of a BPE tokenizer.json put together.
#include "core/text/bpe_tokenizer.h"

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/text/json_member.h"

namespace hone {

BpeTokenizer::BpeTokenizer(TokenizerFiles files)
    : VocabularyTokenizer(std::move(files)),
      pre_tokenizer_(json_member(files_.tokenizer, "pre_tokenizer"), files_.where),
      model_(json_member(files_.tokenizer, "model"), pre_tokenizer_.byte_level(), files_.where) {
  normalizer_ = Normalizer(json_member(files_.tokenizer, "normalizer"), files_.where);
  decoder_ = TokenDecoder(json_member(files_.tokenizer, "decoder"), files_.where);
  vocabulary_ = model_.vocabulary();
  read_special_tokens();
  if (!files_.text.contains("tokenizer_config.json")) {
    files_.config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
    name_special_tokens(files_.config);
    files_.text["tokenizer_config.json"] = files_.config.dump(1) + "\n";
  }
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text, bool add_special_tokens) const {
  if (text.size() > (1u << 30))
    throw Failure("a text of " + human_bytes(text.size()) +
                  " is too long to tokenize at once; cut it into texts of 1 GiB or less");
  return VocabularyTokenizer::encode(text, add_special_tokens);
}

void BpeTokenizer::encode_words(std::string_view text, bool at_start, std::vector<int32_t> &ids) const {
  if (pre_tokenizer_.empty()) return model_.encode(text, ids);
  const Words words = pre_tokenizer_(text, at_start);
  for (const Span &word : words.spans)
    model_.encode(std::string_view(words.text).substr(word.begin, word.end - word.begin), ids);
}

}  // namespace hone
