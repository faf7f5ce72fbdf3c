// token_decoder.cpp -- the steps, each over the list of tokens so far (Hugging Face tokenizers, Decoder::decode_chain).
#include "core/text/token_decoder.h"

#include <charconv>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/text/byte_alphabet.h"
#include "core/text/json_member.h"
#include "core/text/pattern.h"
#include "core/text/utf8.h"

namespace hone {
namespace {

using Tokens = std::vector<std::string>;

void fuse(Tokens &tokens) { tokens = {join(tokens, "")}; }

void byte_level(Tokens &tokens) {
  std::string bytes, piece;
  for (const std::string &token : tokens) bytes += bytes_of_characters(token, piece) ? piece : token;
  tokens = {with_replaced_subparts(bytes)};
}

// The byte of "<0x0A>", or -1.
int byte_of(const std::string &token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = -1;
  const char *end = token.data() + 5;
  return std::from_chars(token.data() + 3, end, byte, 16).ptr == end && byte >= 0 ? byte : -1;
}

void byte_fallback(Tokens &tokens) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (invalid_utf8(bytes) == std::string::npos)
      out.push_back(bytes);
    else
      out.insert(out.end(), bytes.size(), "\uFFFD");
    bytes.clear();
  };
  for (std::string &token : tokens) {
    if (const int byte = byte_of(token); byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens.swap(out);
}

size_t read_count(const nlohmann::json &json, const char *key, const std::string &where) {
  const nlohmann::json &value = json_member(json, key);
  if (!value.is_number_unsigned())
    throw Failure(where + ": " + key + " must be a count, but it is " + json_shown(value));
  return value.get<size_t>();
}

}  // namespace

TokenDecoder::TokenDecoder(const nlohmann::json &json, const std::string &where) {
  if (json.is_null())
    steps_.push_back([](Tokens &tokens) { tokens = {join(tokens, " ")}; });
  else
    read(json, where + ": decoder");
}

void TokenDecoder::read(const nlohmann::json &json, const std::string &where) {
  const std::string type = json_component(json);
  if (type == "Sequence") {
    const nlohmann::json &list = json_member(json, "decoders");
    if (!list.is_array()) throw Failure(where + ".decoders must be a list, but it is " + json_shown(list));
    for (size_t i = 0; i < list.size(); ++i) read(list[i], where + ".decoders[" + std::to_string(i) + "]");
  } else if (type == "ByteLevel") {
    steps_.push_back(byte_level);
    joined_ = true;
  } else if (type == "Fuse") {
    steps_.push_back(fuse);
    joined_ = true;
  } else if (type == "ByteFallback") {
    steps_.push_back(byte_fallback);
    if (!joined_) byte_fallback_ = true;
  } else if (type == "Replace") {
    steps_.push_back(
        [pattern = read_pattern(json, where), content = json_text(json, "content", where)](Tokens &tokens) {
          for (std::string &token : tokens) token = replaced(pattern, token, content);
        });
  } else if (type == "Strip") {
    const std::string &content = json_text(json, "content", where);
    if (content.empty()) throw Failure(where + ": content is empty");
    steps_.push_back(
        [content, start = read_count(json, "start", where), stop = read_count(json, "stop", where)](Tokens &tokens) {
          for (std::string &token : tokens) {
            for (size_t i = 0; i < start && token.starts_with(content); ++i) token.erase(0, content.size());
            for (size_t i = 0; i < stop && token.ends_with(content); ++i) token.resize(token.size() - content.size());
          }
        });
  } else if (type == "Metaspace") {
    const nlohmann::json &named = json_member(json, "replacement");
    const std::string replacement = named.is_null() ? "▁" : json_text(json, "replacement", where);
    if (replacement.empty()) throw Failure(where + ": replacement is empty");
    const nlohmann::json &scheme = json_member(json, "prepend_scheme");
    const bool prefixed = scheme.is_null() ? json_bool(json, "add_prefix_space", true, where) : scheme != "never";
    steps_.push_back([replacement, prefixed](Tokens &tokens) {
      for (size_t i = 0; i < tokens.size(); ++i) {
        std::string out;
        for (size_t at = 0; at < tokens[i].size();) {
          if (tokens[i].compare(at, replacement.size(), replacement) == 0) {
            if (i > 0 || !prefixed) out += ' ';
            at += replacement.size();
          } else {
            out += tokens[i][at++];
          }
        }
        tokens[i].swap(out);
      }
    });
  } else {
    throw Failure(
        where + " \"" + type +
        "\" is not supported; hone reads ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace and Sequence");
  }
}

int TokenDecoder::fallback_byte(const std::string &token) const { return byte_fallback_ ? byte_of(token) : -1; }

std::string TokenDecoder::operator()(std::vector<std::string> tokens) const {
  for (const auto &step : steps_) step(tokens);
  return join(tokens, "");
}

}  // namespace hone
