// vocabulary.cpp -- insertion, which keeps tokens and ids one to one, and all of a file's tokens inserted.
#include "core/text/vocabulary.h"

#include "core/base/failure.h"
#include "core/text/json_member.h"

namespace hone {
namespace {
constexpr int64_t kMostTokens = 1 << 22;  // a larger id is a damaged file, not a vocabulary
}

Vocabulary Vocabulary::of_model(const nlohmann::json &model, const std::string &where) {
  const nlohmann::json &entries = json_member(model, "vocab");
  if (!entries.is_object() || entries.empty())
    throw Failure(where + ": model.vocab must be an object of token: id, with at least one");
  Vocabulary vocabulary;
  for (const auto &[token, id] : entries.items()) {
    if (!id.is_number_integer() || (id.is_number_unsigned() && id.get<uint64_t>() > INT64_MAX))
      throw Failure(where + ": model.vocab[\"" + token + "\"] must be a whole number, but it is " + json_shown(id));
    vocabulary.insert(token, id.get<int64_t>(), "token", where);
  }
  return vocabulary;
}

void Vocabulary::insert(const std::string &token, int64_t id, const std::string &what, const std::string &where) {
  if (id < 0 || id >= kMostTokens)
    throw Failure(where + ": " + what + " \"" + token + "\" has id " + std::to_string(id) + ", outside 0 .. " +
                  std::to_string(kMostTokens - 1));
  if (static_cast<size_t>(id) >= token_.size()) {
    token_.resize(id + 1);
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

}  // namespace hone
