// pre_tokenizer.h -- tokenizer.json's "pre_tokenizer": what cuts a text into the words that are encoded one by one.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/regex.h"

namespace hone {

// A text and its words, in order and none empty.
struct Words {
  std::string text;
  std::vector<Span> spans;
  bool at_start;  // the text begins where the whole input does (Metaspace's "first")
};

// Split, Digits, Whitespace, WhitespaceSplit, ByteLevel (last only), Metaspace and sequences of them.
// Thread-safe after construction.
class PreTokenizer {
 public:
  struct Step;
  PreTokenizer(const nlohmann::json &json, const std::string &where);  // `json`: the component, or null for none

  Words operator()(std::string_view text, bool at_start) const;
  bool byte_level() const { return byte_level_; }  // words are encoded as bytes, in GPT-2's alphabet
  bool empty() const { return steps_.empty(); }

 private:
  void read(const nlohmann::json &json, const std::string &where);
  std::vector<std::shared_ptr<const Step>> steps_;
  bool byte_level_ = false;
};

// GPT-2's own expression, which ByteLevel uses when use_regex is true.
extern const char *const kGpt2Regex;

}  // namespace hone
