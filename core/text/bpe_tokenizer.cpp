// bpe_tokenizer.cpp -- the parts of a BPE tokenizer.json put together.
#include "core/text/bpe_tokenizer.h"

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/text/json_member.h"
#include "core/text/special_names.h"
#include "core/text/utf8.h"

namespace hone {

BpeTokenizer::BpeTokenizer(TokenizerFiles files)
    : files_(std::move(files)),
      pre_tokenizer_(json_member(files_.tokenizer, "pre_tokenizer"), files_.where),
      normalizer_(json_member(files_.tokenizer, "normalizer"), files_.where),
      model_(json_member(files_.tokenizer, "model"), pre_tokenizer_.byte_level(), files_.where),
      vocabulary_(model_.vocabulary()),
      decoder_(json_member(files_.tokenizer, "decoder"), files_.where) {
  added_ = read_added_tokens(json_member(files_.tokenizer, "added_tokens"), normalizer_, vocabulary_, files_.where);
  post_processor_ = PostProcessor(json_member(files_.tokenizer, "post_processor"), size(), files_.where);
  std::vector<std::pair<int32_t, std::string>> special;
  for (uint32_t id = 0; id < size(); ++id)
    if (added_.special[id]) special.emplace_back(id, vocabulary_.token_of(id));
  const auto id = [this](const std::string &token) { return id_of(token); };
  bos_ = named_token(files_, "bos_token", usual_begin, special, id);
  eos_ = named_token(files_, "eos_token", usual_end, special, id);
  stop_ids_ = stop_ids_of(eos_, files_, size());
  if (!files_.text.contains("tokenizer_config.json")) {
    files_.config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
    if (bos_ >= 0) files_.config["bos_token"] = vocabulary_.token_of(bos_);
    if (eos_ >= 0) files_.config["eos_token"] = vocabulary_.token_of(eos_);
    files_.text["tokenizer_config.json"] = files_.config.dump(1) + "\n";
  }
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text, bool add_special_tokens) const {
  if (text.size() > (1u << 30))
    throw Failure("a text of " + human_bytes(text.size()) +
                  " is too long to tokenize at once; cut it into texts of 1 GiB or less");
  std::string valid;
  if (invalid_utf8(text) != std::string_view::npos) text = valid = with_replaced_subparts(text);
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = post_processor_.before;
  added_.written.split(text, [&](std::string_view part, int32_t token) {
    if (token >= 0) return ids.push_back(token);
    const bool at_start = part.data() == text.data();
    std::string changed;
    if (!normalizer_.empty()) part = changed = normalizer_(part);
    added_.normalized.split(part, [&](std::string_view words, int32_t found) {
      if (found >= 0)
        ids.push_back(found);
      else
        encode_words(words, at_start && words.data() == part.data(), ids);
    });
  });
  if (add_special_tokens) ids.insert(ids.end(), post_processor_.after.begin(), post_processor_.after.end());
  return ids;
}

void BpeTokenizer::encode_words(std::string_view text, bool at_start, std::vector<int32_t> &ids) const {
  if (pre_tokenizer_.empty()) return model_.encode(text, ids);
  const Words words = pre_tokenizer_(text, at_start);
  for (const Span &word : words.spans)
    model_.encode(std::string_view(words.text).substr(word.begin, word.end - word.begin), ids);
}

std::string BpeTokenizer::decode(const std::vector<int32_t> &ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids)
    if (vocabulary_.knows(id) && !(skip_special && is_special(id))) tokens.push_back(vocabulary_.token_of(id));
  return decoder_(std::move(tokens));
}

}  // namespace hone
