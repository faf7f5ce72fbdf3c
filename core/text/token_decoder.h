// token_decoder.h -- tokenizer.json's "decoder": what turns the tokens of a text back into the text.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace hone {

// ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace and sequences of them. Thread-safe after construction.
class TokenDecoder {
 public:
  TokenDecoder(const nlohmann::json &json, const std::string &where);  // null: tokens are joined by one space

  // Bytes that no character holds become U+FFFD, one for each maximal subpart (ByteLevel) or byte (ByteFallback).
  std::string operator()(std::vector<std::string> tokens) const;

  // The byte of "<0x0A>" and its like where ByteFallback reads them, else -1.
  int fallback_byte(const std::string &token) const;

 private:
  void read(const nlohmann::json &json, const std::string &where);
  std::vector<std::function<void(std::vector<std::string> &)>> steps_;
  bool byte_fallback_ = false, joined_ = false;  // joined: by a step so far, so that a byte is no token any more
};

}  // namespace hone
