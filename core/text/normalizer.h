// normalizer.h -- tokenizer.json's "normalizer": NFC, NFD, NFKC, NFKD, Prepend, Replace, and sequences of them.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// Thread-safe after construction.
class Normalizer {
 public:
  Normalizer() = default;  // leaves every text as it is
  // `json`: the component, or null for none. Failure names what is not supported.
  Normalizer(const nlohmann::json &json, const std::string &where);

  bool empty() const { return steps_.empty(); }
  // Of valid UTF-8, to valid UTF-8. Failure when a step makes a text many times longer than any real normalizer does.
  std::string operator()(std::string_view text) const;

 private:
  void read(const nlohmann::json &json, const std::string &where);
  std::vector<std::function<std::string(std::string)>> steps_;
};

}  // namespace hone
