// word_level.cpp -- a plain vocabulary as a tokenizer.json, the reading of one, and the ids of its words.
#include "core/text/word_level.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/text/added_vocabulary.h"
#include "core/text/json_member.h"
#include "core/text/special_names.h"
#include "core/text/utf8.h"
#include "core/text/white_space.h"

namespace hone {
nlohmann::json WordLevel::describe(const std::vector<std::string> &words, const std::vector<std::string> &special,
                                   const std::string &unknown) {
  if (words.empty()) throw Failure("a vocabulary needs at least one word");
  nlohmann::json vocabulary = nlohmann::json::object(), added = nlohmann::json::array(), post = nullptr;
  for (const std::string &word : words) {
    if (invalid_utf8(word) != std::string::npos)
      throw Failure("the vocabulary's word \"" + with_replaced_subparts(word) +
                    "\" is not valid UTF-8; save the file as UTF-8");
    for (size_t i = 0; i < word.size(); ++i)
      if (white_space(word, i))
        throw Failure("the vocabulary's word \"" + word + "\" contains white space, which separates words");
    if (word.empty()) throw Failure("the vocabulary contains an empty word");
    const size_t id = vocabulary.size();
    if (!vocabulary.emplace(word, id).second) throw Failure("the vocabulary contains the word \"" + word + "\" twice");
  }
  std::vector<std::pair<size_t, std::string>> by_id;
  for (const std::string &token : special) {
    if (!vocabulary.contains(token))
      throw Failure("the special token \"" + token + "\" is not among the vocabulary's words");
    by_id.emplace_back(vocabulary[token].get<size_t>(), token);
  }
  std::sort(by_id.begin(), by_id.end());
  for (const auto &[id, token] : by_id) {
    added.push_back(added_token_entry(id, token, true));
    if (post.is_null() && usual_begin(token)) {
      const nlohmann::json begin = {{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
      const auto sequence = [](const char *name, int type) {
        return nlohmann::json{{"Sequence", {{"id", name}, {"type_id", type}}}};
      };
      post = {{"type", "TemplateProcessing"},
              {"single", {begin, sequence("A", 0)}},
              {"pair", {begin, sequence("A", 0), sequence("B", 1)}},
              {"special_tokens", {{token, {{"id", token}, {"ids", {id}}, {"tokens", {token}}}}}}};
    }
  }
  if (!unknown.empty() && !vocabulary.contains(unknown))
    throw Failure("the unknown token \"" + unknown + "\" is not among the vocabulary's words");
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
          {"post_processor", post},
          {"decoder", nullptr},
          {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", unknown}}}};
}

WordLevel::WordLevel(TokenizerFiles files) : VocabularyTokenizer(std::move(files)) {
  const nlohmann::json &file = files_.tokenizer;
  const std::string &where = files_.where;
  if (const auto &pre = json_member(file, "pre_tokenizer"); json_component(pre) != "WhitespaceSplit")
    throw Failure(where + ": pre_tokenizer \"" + json_component(pre) +
                  "\" is not supported for a word-level vocabulary; use \"WhitespaceSplit\"");
  for (const char *key : {"normalizer", "decoder"})
    if (const auto &part = json_member(file, key); !part.is_null())
      throw Failure(where + ": " + key + " \"" + json_component(part) +
                    "\" is not supported for a word-level vocabulary; it must be null");
  vocabulary_ = words_ = Vocabulary::of_model(json_member(file, "model"), where);
  read_special_tokens();
  if (const auto &unknown = json_member(json_member(file, "model"), "unk_token"); unknown.is_string())
    unknown_ = id_of(unknown.get<std::string>());

  nlohmann::json &written = files_.config;
  written["tokenizer_class"] = "PreTrainedTokenizerFast";
  name_special_tokens(written);
  if (unknown_ >= 0) written["unk_token"] = vocabulary_.token_of(unknown_);
  if (!written.contains("clean_up_tokenization_spaces")) written["clean_up_tokenization_spaces"] = false;
  files_.text["tokenizer_config.json"] = written.dump(1) + "\n";
}

void WordLevel::encode_words(std::string_view text, bool, std::vector<int32_t> &ids) const {
  for (size_t at = 0; at < text.size();) {
    if (const size_t bytes = white_space(text, at)) {
      at += bytes;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && !white_space(text, at)) ++at;
    const std::string_view word = text.substr(begin, at - begin);
    const int32_t known = words_.id_of(word);
    if (known < 0 && unknown_ < 0)
      throw Failure("the word \"" + std::string(word) +
                    "\" is not in the tokenizer's vocabulary, which has no unknown token");
    ids.push_back(known < 0 ? unknown_ : known);
  }
}

GgufVocabulary WordLevel::gguf_vocabulary() const {
  throw Failure(
      "a word-level vocabulary has no form in GGUF, which knows byte-level and SentencePiece BPE; export it "
      "with --to hf instead");
}

}  // namespace hone
