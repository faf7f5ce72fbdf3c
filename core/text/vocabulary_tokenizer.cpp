// vocabulary_tokenizer.cpp -- see vocabulary_tokenizer.h.
#include "core/text/vocabulary_tokenizer.h"

#include <utility>

#include "core/base/text.h"
#include "core/text/json_member.h"
#include "core/text/special_names.h"
#include "core/text/utf8.h"

namespace hone {

VocabularyTokenizer::VocabularyTokenizer(TokenizerFiles files)
    : files_(std::move(files)), decoder_(nullptr, files_.where) {}

void VocabularyTokenizer::read_special_tokens() {
  added_ = read_added_tokens(json_member(files_.tokenizer, "added_tokens"), normalizer_, vocabulary_, files_.where);
  post_processor_ = PostProcessor(json_member(files_.tokenizer, "post_processor"), size(), files_.where);
  std::vector<std::pair<int32_t, std::string>> special;
  for (uint32_t id = 0; id < size(); ++id)
    if (added_.special[id]) special.emplace_back(id, vocabulary_.token_of(id));
  const auto id = [this](const std::string &token) { return id_of(token); };
  bos_ = named_token(files_, "bos_token", usual_begin, special, id);
  eos_ = named_token(files_, "eos_token", usual_end, special, id);
  stop_ids_ = stop_ids_of(eos_, files_, size());
}

void VocabularyTokenizer::name_special_tokens(nlohmann::json &config) const {
  if (bos_ >= 0) config["bos_token"] = vocabulary_.token_of(bos_);
  if (eos_ >= 0) config["eos_token"] = vocabulary_.token_of(eos_);
}

std::vector<int32_t> VocabularyTokenizer::encode(std::string_view text, bool add_special_tokens) const {
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

std::string VocabularyTokenizer::decode(const std::vector<int32_t> &ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids)
    if (vocabulary_.knows(id) && !(skip_special && is_special(id))) tokens.push_back(vocabulary_.token_of(id));
  return decoder_(std::move(tokens));
}

}  // namespace hone
