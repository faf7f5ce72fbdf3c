// word_level.cpp -- reading, writing, encoding and decoding of a word-level vocabulary.
#include "core/text/word_level.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/text/json_member.h"
#include "core/text/special_names.h"
#include "core/text/white_space.h"

namespace hone {
namespace {

constexpr int64_t kMostTokens = 1 << 22;  // a larger id is a damaged file, not a vocabulary

bool word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

nlohmann::json WordLevel::describe(const std::vector<std::string> &words, const std::vector<std::string> &special,
                                   const std::string &unknown) {
  if (words.empty()) throw Failure("a vocabulary needs at least one word");
  nlohmann::json vocabulary = nlohmann::json::object(), added = nlohmann::json::array(), post = nullptr;
  for (const std::string &word : words) {
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
    added.push_back({{"id", id},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
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

WordLevel::WordLevel(TokenizerFiles files) : files_(std::move(files.text)) {
  const nlohmann::json &file = files.tokenizer, &config = files.config;
  const std::string &where = files.where;
  if (const auto &pre = json_member(file, "pre_tokenizer"); json_component(pre) != "WhitespaceSplit")
    throw Failure(where + ": pre_tokenizer \"" + json_component(pre) +
                  "\" is not supported for a word-level vocabulary; use \"WhitespaceSplit\"");
  for (const char *key : {"normalizer", "decoder"})
    if (const auto &part = json_member(file, key); !part.is_null())
      throw Failure(where + ": " + key + " \"" + json_component(part) +
                    "\" is not supported for a word-level vocabulary; it must be null");
  read_vocabulary(json_member(file, "model"), where);
  read_added(file, where);
  read_template(file, where);
  for (size_t id = 0; id < token_.size(); ++id)
    if (used_[id] && token_[id] == unknown_token_) unknown_ = static_cast<int32_t>(id);
  std::vector<std::pair<int32_t, std::string>> special;
  for (size_t id = 0; id < token_.size(); ++id)
    if (special_[id]) special.emplace_back(static_cast<int32_t>(id), token_[id]);
  const auto id = [this](const std::string &token) { return id_of(token); };
  bos_ = named_token(config, "bos_token", usual_begin, special, id, where);
  eos_ = named_token(config, "eos_token", usual_end, special, id, where);

  nlohmann::json written = config;
  written["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (bos_ >= 0) written["bos_token"] = token_[bos_];
  if (eos_ >= 0) written["eos_token"] = token_[eos_];
  if (unknown_ >= 0) written["unk_token"] = token_[unknown_];
  if (!written.contains("clean_up_tokenization_spaces")) written["clean_up_tokenization_spaces"] = false;
  files_["tokenizer_config.json"] = written.dump(1) + "\n";
  stop_ids_ = stop_ids_of(eos_, files, size());
}

void WordLevel::insert(const std::string &token, int64_t id, const std::string &what, const std::string &where) {
  if (id < 0 || id >= kMostTokens)
    throw Failure(where + ": " + what + " \"" + token + "\" has id " + std::to_string(id) + ", outside 0 .. " +
                  std::to_string(kMostTokens - 1));
  if (static_cast<size_t>(id) >= token_.size()) {
    token_.resize(id + 1);
    special_.resize(id + 1);
    used_.resize(id + 1);
  }
  if (used_[id] && token_[id] != token)
    throw Failure(where + ": id " + std::to_string(id) + " belongs to both \"" + token_[id] + "\" and \"" + token +
                  "\"");
  const auto [known, fresh] = id_.emplace(token, static_cast<int32_t>(id));
  if (!fresh && known->second != id)
    throw Failure(where + ": " + what + " \"" + token + "\" has two ids, " + std::to_string(known->second) + " and " +
                  std::to_string(id));
  token_[id] = token;
  used_[id] = true;
}

void WordLevel::read_vocabulary(const nlohmann::json &model, const std::string &where) {
  const auto &vocabulary = json_member(model, "vocab");
  if (!vocabulary.is_object() || vocabulary.empty())
    throw Failure(where + ": model.vocab must be an object of token: id, with at least one");
  for (const auto &[token, id] : vocabulary.items()) {
    if (!id.is_number_integer())
      throw Failure(where + ": model.vocab[\"" + token + "\"] must be a whole number, but it is " + id.dump());
    insert(token, id.get<int64_t>(), "token", where);
  }
  const auto &unknown = json_member(model, "unk_token");
  if (unknown.is_string()) unknown_token_ = unknown.get<std::string>();
}

void WordLevel::read_added(const nlohmann::json &file, const std::string &where) {
  const auto &list = json_member(file, "added_tokens");
  if (list.is_null()) return;
  if (!list.is_array()) throw Failure(where + ": added_tokens must be a list, but it is " + list.type_name());
  for (const auto &token : list) {
    const auto &content = json_member(token, "content");
    const auto &id = json_member(token, "id");
    if (!token.is_object() || !content.is_string() || content.get_ref<const std::string &>().empty() ||
        !id.is_number_integer())
      throw Failure(
          where + ": added_tokens has an entry without a text \"content\" and a whole-number \"id\": " + token.dump());
    insert(content.get<std::string>(), id.get<int64_t>(), "added token", where);
    special_[id.get<int64_t>()] = json_flag(token, "special");
    added_.push_back({content.get<std::string>(), id.get<int32_t>(), json_flag(token, "single_word"),
                      json_flag(token, "normalized")});
  }
  std::stable_sort(added_.begin(), added_.end(),
                   [](const Added &a, const Added &b) { return a.content.size() > b.content.size(); });
}

void WordLevel::read_template(const nlohmann::json &file, const std::string &where) {
  const auto &post = json_member(file, "post_processor");
  if (post.is_null()) return;
  if (json_component(post) != "TemplateProcessing" || !json_member(post, "single").is_array())
    throw Failure(where + ": post_processor \"" + json_component(post) +
                  "\" is not supported; use \"TemplateProcessing\" or null");
  bool text_seen = false;
  for (const auto &piece : post["single"]) {
    if (const auto &special = json_member(piece, "SpecialToken"); special.is_object()) {
      const std::string name = json_member(special, "id").is_string() ? special["id"].get<std::string>() : "";
      const int32_t id = id_of(name);
      if (id < 0)
        throw Failure(where + ": post_processor names the token \"" + name + "\", which the vocabulary does not have");
      (text_seen ? after_ : before_).push_back(id);
    } else {
      text_seen = true;
    }
  }
}

const WordLevel::Added *WordLevel::match(std::string_view piece, size_t at, bool normalized) const {
  for (const Added &token : added_) {
    if (token.normalized != normalized || piece.substr(at, token.content.size()) != token.content) continue;
    const size_t end = at + token.content.size();
    if (token.single_word && ((at > 0 && word_byte(piece[at - 1])) || (end < piece.size() && word_byte(piece[end]))))
      continue;
    return &token;
  }
  return nullptr;
}

// pass 0 takes out the added tokens that are matched before normalisation, pass 1 those after it, pass 2 splits into
// words.
void WordLevel::encode_piece(std::string_view piece, int pass, std::vector<int32_t> &ids) const {
  if (pass == 2) return encode_words(piece, ids);
  size_t begin = 0;
  for (size_t at = 0; at < piece.size();) {
    if (const Added *token = match(piece, at, pass == 1)) {
      encode_piece(piece.substr(begin, at - begin), pass + 1, ids);
      ids.push_back(token->id);
      begin = at += token->content.size();
    } else {
      ++at;
    }
  }
  encode_piece(piece.substr(begin), pass + 1, ids);
}

void WordLevel::encode_words(std::string_view piece, std::vector<int32_t> &ids) const {
  std::string word;
  const auto finish = [&] {
    if (word.empty()) return;
    const auto known = id_.find(word);
    if (known == id_.end() && unknown_ < 0)
      throw Failure("the word \"" + word + "\" is not in the tokenizer's vocabulary, which has no unknown token");
    ids.push_back(known == id_.end() ? unknown_ : known->second);
    word.clear();
  };
  for (size_t at = 0; at < piece.size();) {
    if (const size_t bytes = white_space(piece, at)) {
      finish();
      at += bytes;
    } else {
      word += piece[at++];
    }
  }
  finish();
}

std::vector<int32_t> WordLevel::encode(std::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = before_;
  encode_piece(text, 0, ids);
  if (add_special_tokens) ids.insert(ids.end(), after_.begin(), after_.end());
  return ids;
}

std::string WordLevel::decode(const std::vector<int32_t> &ids, bool skip_special) const {
  std::string text;
  bool first = true;
  for (int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= token_.size() || !used_[id] || (skip_special && special_[id])) continue;
    if (!first) text += ' ';
    text += token_[id];
    first = false;
  }
  return text;
}

GgufVocabulary WordLevel::gguf_vocabulary() const {
  throw Failure(
      "a word-level vocabulary has no form in GGUF, which knows byte-level and SentencePiece BPE; export it "
      "with --to hf instead");
}

int32_t WordLevel::id_of(std::string_view token) const {
  const auto found = id_.find(std::string(token));
  return found == id_.end() ? -1 : found->second;
}

std::string WordLevel::token_of(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < token_.size() ? token_[id] : std::string();
}

}  // namespace hone
