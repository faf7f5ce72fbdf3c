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

int32_t named_token(const nlohmann::json &config, const char *key, bool (*usual)(const std::string &),
                    const std::vector<std::pair<int32_t, std::string>> &special,
                    const std::function<int32_t(const std::string &)> &id_of, const std::string &where) {
  const nlohmann::json &entry = json_member(config, key);
  const nlohmann::json &name = entry.is_object() ? json_member(entry, "content") : entry;
  if (name.is_string()) {
    const int32_t id = id_of(name.get<std::string>());
    if (id < 0)
      throw Failure(where + ": tokenizer_config.json's " + key + " \"" + name.get<std::string>() +
                    "\" is not in the vocabulary");
    return id;
  }
  if (!name.is_null())
    throw Failure(where + ": tokenizer_config.json's " + key + " must be a text, but it is " + json_shown(entry));
  if (config.contains(key)) return -1;
  for (const auto &[id, token] : special)
    if (usual(token)) return id;
  return -1;
}

}  // namespace hone
