// added_vocabulary.cpp -- one entry after the other (Hugging Face tokenizers, AddedVocabulary).
#include "core/text/added_vocabulary.h"

#include "core/base/failure.h"
#include "core/text/json_member.h"

namespace hone {
namespace {

// Of a text of n bytes a search looks at n times this many at most. Real added tokens have a few dozen bytes.
constexpr size_t kMostBytes = 512;

}  // namespace

nlohmann::json added_token_entry(size_t id, const std::string &content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

AddedVocabulary read_added_tokens(const nlohmann::json &list, const Normalizer &normalizer, Vocabulary &vocabulary,
                                  const std::string &where) {
  AddedVocabulary out;
  if (!list.is_null() && !list.is_array())
    throw Failure(where + ": added_tokens must be a list, but it is " + json_shown(list));
  std::vector<AddedToken> written, normalized;
  out.special.resize(vocabulary.size());
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = where + ": added_tokens[" + std::to_string(i) + "]";
    const std::string &content = json_text(list[i], "content", name);
    const nlohmann::json &id = json_member(list[i], "id");
    if (content.empty() || !id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX)
      throw Failure(name + " must have a \"content\" that is not empty and a whole-number \"id\", but it is " +
                    json_shown(list[i]));
    const bool special = json_bool(list[i], "special", false, name);
    vocabulary.insert(content, id.get<int64_t>(), "added token", where);
    out.special.resize(vocabulary.size());
    out.special[id.get<size_t>()] = special;
    AddedToken token = {content, id.get<int32_t>(), json_bool(list[i], "single_word", false, name),
                        json_bool(list[i], "lstrip", false, name), json_bool(list[i], "rstrip", false, name)};
    const bool as_written = !json_bool(list[i], "normalized", !special, name);
    if (!as_written) token.content = normalizer(token.content);
    if (token.content.size() > kMostBytes)
      throw Failure(name + " has a content of " + std::to_string(token.content.size()) +
                    " bytes, but an added token may have " + std::to_string(kMostBytes) +
                    "; is the file damaged? Else make it an ordinary text");
    if (as_written)
      written.push_back(std::move(token));
    else if (!token.content.empty())
      normalized.push_back(std::move(token));
  }
  out.written = AddedTokens(std::move(written));
  out.normalized = AddedTokens(std::move(normalized));
  return out;
}

}  // namespace hone
