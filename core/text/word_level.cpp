// word_level.cpp -- reading, writing, encoding and decoding of a word-level vocabulary.
#include "core/text/word_level.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"

namespace hone {
namespace {

constexpr int64_t kMostTokens = 1 << 24;  // a larger id is a damaged file, not a vocabulary

// Bytes of the white-space character at text[at], 0 if it is none: Unicode's White_Space property.
size_t white_space(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned first = byte(0);
  if (first == ' ' || (first >= 9 && first <= 13)) return 1;
  if (first == 0xC2 && (byte(1) == 0x85 || byte(1) == 0xA0)) return 2;
  if (first == 0xE1 && byte(1) == 0x9A && byte(2) == 0x80) return 3;                       // U+1680
  if (first == 0xE2 && byte(1) == 0x80 && (byte(2) >= 0x80 && byte(2) <= 0x8A)) return 3;  // U+2000 .. U+200A
  if (first == 0xE2 && byte(1) == 0x80 && (byte(2) == 0xA8 || byte(2) == 0xA9 || byte(2) == 0xAF)) return 3;
  if (first == 0xE2 && byte(1) == 0x81 && byte(2) == 0x9F) return 3;  // U+205F
  if (first == 0xE3 && byte(1) == 0x80 && byte(2) == 0x80) return 3;  // U+3000
  return 0;
}

bool word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

const nlohmann::json &member(const nlohmann::json &object, const char *key) {
  static const nlohmann::json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

bool flag(const nlohmann::json &object, const char *key) {
  return member(object, key).is_boolean() && member(object, key).get<bool>();
}

std::string type_of(const nlohmann::json &object) {
  if (!object.is_object()) return object.type_name();
  return member(object, "type").is_string() ? member(object, "type").get<std::string>() : "(missing)";
}

// "<|BOS|>" and "[bos]" are both "bos".
std::string bare(const std::string &token) {
  std::string out;
  for (char c : token)
    if (!std::strchr("<>|[]", c)) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}
const std::vector<std::string> kUsualBegin = {"bos", "s", "begin_of_text", "startoftext"};
const std::vector<std::string> kUsualEnd = {"eos", "/s", "end_of_text", "endoftext"};

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
    if (post.is_null() && std::count(kUsualBegin.begin(), kUsualBegin.end(), bare(token))) {
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

WordLevel::WordLevel(const nlohmann::json &file, std::string text, const nlohmann::json &config,
                     const std::string &where)
    : text_(std::move(text)) {
  if (const auto &pre = member(file, "pre_tokenizer"); type_of(pre) != "WhitespaceSplit")
    throw Failure(where + ": pre_tokenizer \"" + type_of(pre) +
                  "\" is not supported for a word-level vocabulary; use \"WhitespaceSplit\"");
  for (const char *key : {"normalizer", "decoder"})
    if (const auto &part = member(file, key); !part.is_null())
      throw Failure(where + ": " + key + " \"" + type_of(part) +
                    "\" is not supported for a word-level vocabulary; it must be null");
  read_vocabulary(member(file, "model"), where);
  read_added(file, where);
  read_template(file, where);
  for (size_t id = 0; id < token_.size(); ++id)
    if (used_[id] && token_[id] == unknown_token_) unknown_ = static_cast<int32_t>(id);
  bos_ = named_token(config, "bos_token", kUsualBegin, where);
  eos_ = named_token(config, "eos_token", kUsualEnd, where);

  nlohmann::json written = config;
  written["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (bos_ >= 0) written["bos_token"] = token_[bos_];
  if (eos_ >= 0) written["eos_token"] = token_[eos_];
  if (unknown_ >= 0) written["unk_token"] = token_[unknown_];
  if (!written.contains("clean_up_tokenization_spaces")) written["clean_up_tokenization_spaces"] = false;
  config_text_ = written.dump(1) + "\n";
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
  const auto &vocabulary = member(model, "vocab");
  if (!vocabulary.is_object() || vocabulary.empty())
    throw Failure(where + ": model.vocab must be an object of token: id, with at least one");
  for (const auto &[token, id] : vocabulary.items()) {
    if (!id.is_number_integer())
      throw Failure(where + ": model.vocab[\"" + token + "\"] must be a whole number, but it is " + id.dump());
    insert(token, id.get<int64_t>(), "token", where);
  }
  const auto &unknown = member(model, "unk_token");
  if (unknown.is_string()) unknown_token_ = unknown.get<std::string>();
}

void WordLevel::read_added(const nlohmann::json &file, const std::string &where) {
  const auto &list = member(file, "added_tokens");
  if (list.is_null()) return;
  if (!list.is_array()) throw Failure(where + ": added_tokens must be a list, but it is " + list.type_name());
  for (const auto &token : list) {
    const auto &content = member(token, "content");
    const auto &id = member(token, "id");
    if (!token.is_object() || !content.is_string() || content.get_ref<const std::string &>().empty() ||
        !id.is_number_integer())
      throw Failure(
          where + ": added_tokens has an entry without a text \"content\" and a whole-number \"id\": " + token.dump());
    insert(content.get<std::string>(), id.get<int64_t>(), "added token", where);
    special_[id.get<int64_t>()] = flag(token, "special");
    added_.push_back(
        {content.get<std::string>(), id.get<int32_t>(), flag(token, "single_word"), flag(token, "normalized")});
  }
  std::stable_sort(added_.begin(), added_.end(),
                   [](const Added &a, const Added &b) { return a.content.size() > b.content.size(); });
}

void WordLevel::read_template(const nlohmann::json &file, const std::string &where) {
  const auto &post = member(file, "post_processor");
  if (post.is_null()) return;
  if (type_of(post) != "TemplateProcessing" || !member(post, "single").is_array())
    throw Failure(where + ": post_processor \"" + type_of(post) +
                  "\" is not supported; use \"TemplateProcessing\" or null");
  bool text_seen = false;
  for (const auto &piece : post["single"]) {
    if (const auto &special = member(piece, "SpecialToken"); special.is_object()) {
      const std::string name = member(special, "id").is_string() ? special["id"].get<std::string>() : "";
      const int32_t id = id_of(name);
      if (id < 0)
        throw Failure(where + ": post_processor names the token \"" + name + "\", which the vocabulary does not have");
      (text_seen ? after_ : before_).push_back(id);
    } else {
      text_seen = true;
    }
  }
}

int32_t WordLevel::named_token(const nlohmann::json &config, const char *key, const std::vector<std::string> &usual,
                               const std::string &where) const {
  const auto &entry = member(config, key);
  const auto &name = entry.is_object() ? member(entry, "content") : entry;
  if (name.is_string()) {
    const int32_t id = id_of(name.get<std::string>());
    if (id < 0)
      throw Failure(where + ": tokenizer_config.json's " + key + " \"" + name.get<std::string>() +
                    "\" is not in the vocabulary");
    return id;
  }
  for (const std::string &wanted : usual)
    for (size_t id = 0; id < token_.size(); ++id)
      if (special_[id] && bare(token_[id]) == wanted) return static_cast<int32_t>(id);
  return -1;
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

int32_t WordLevel::id_of(std::string_view token) const {
  const auto found = id_.find(std::string(token));
  return found == id_.end() ? -1 : found->second;
}

std::string WordLevel::token_of(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < token_.size() ? token_[id] : std::string();
}

}  // namespace hone
