// vocabulary.h -- tokens and their ids: each token one id, each id one token, with gaps allowed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hone {

class Vocabulary {
 public:
  // The "vocab" of tokenizer.json's "model". Failure with the key and the value for what is damaged.
  static Vocabulary of_model(const nlohmann::json &model, const std::string &where);

  // Failure "WHERE: WHAT "TOKEN" has id ..., ..." when the id is out of bounds, is another token's, or the token has
  // another id. Giving the same pair twice is allowed.
  void insert(const std::string &token, int64_t id, const std::string &what, const std::string &where);

  int32_t id_of(std::string_view token) const {  // -1: none
    const auto found = id_.find(token);
    return found == id_.end() ? -1 : found->second;
  }
  const std::string &token_of(int32_t id) const { return token_[id]; }  // id must be known
  bool knows(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < used_.size() && used_[id]; }
  uint32_t size() const { return static_cast<uint32_t>(token_.size()); }  // the largest id and one

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::vector<std::string> token_;
  std::vector<bool> used_;
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> id_;
};

}  // namespace hone
