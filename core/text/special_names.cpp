// special_names.cpp -- spellings of the beginning and the end in the vocabularies that people have.
#include "core/text/special_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/text/json_member.h"

namespace hone {
namespace {

// "<|BOS|>" and "[bos]" are both "bos".
std::string bare(const std::string &token) {
  std::string out;
  for (char c : token)
    if (!std::strchr("<>|[]", c)) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

template <size_t N>
bool among(const std::string &token, const std::array<const char *, N> &names) {
  return std::find(names.begin(), names.end(), bare(token)) != names.end();
}

}  // namespace

bool usual_begin(const std::string &token) {
  return among(token, std::array{"bos", "s", "begin_of_text", "startoftext", "｜begin▁of▁sentence｜"});
}

bool usual_end(const std::string &token) {
  return among(token, std::array{"eos", "/s", "end_of_text", "endoftext", "｜end▁of▁sentence｜"});
}

SpecialEntry special_entry(const TokenizerFiles &files, const char *key) {
  if (files.config.contains(key)) return {&files.config.at(key), "tokenizer_config.json"};
  if (files.special_map.contains(key)) return {&files.special_map.at(key), "special_tokens_map.json"};
  return {};
}

int32_t named_token(const TokenizerFiles &files, const char *key, bool (*usual)(const std::string &),
                    const std::vector<std::pair<int32_t, std::string>> &special,
                    const std::function<int32_t(const std::string &)> &id_of) {
  const auto [entry, file] = special_entry(files, key);
  if (!entry) {
    for (const auto &[id, token] : special)
      if (usual(token)) return id;
    return -1;
  }
  const nlohmann::json &name = entry->is_object() ? json_member(*entry, "content") : *entry;
  if (name.is_null()) return -1;
  if (!name.is_string())
    throw Failure(files.where + ": " + file + "'s " + key + " must be a text, but it is " + json_shown(*entry));
  const int32_t id = id_of(name.get<std::string>());
  if (id < 0)
    throw Failure(files.where + ": " + file + "'s " + key + " \"" + name.get<std::string>() +
                  "\" is not in the vocabulary");
  return id;
}

}  // namespace hone
