// vocabulary.cpp -- insertion, which keeps tokens and ids one to one.
#include "core/text/vocabulary.h"

#include "core/base/failure.h"

namespace hone {
namespace {
constexpr int64_t kMostTokens = 1 << 22;  // a larger id is a damaged file, not a vocabulary
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
