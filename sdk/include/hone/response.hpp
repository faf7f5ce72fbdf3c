// response.hpp -- the parts of a reasoning model's response: <think> thinking </think> <answer> answer </answer>.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

// The tags as the template of arXiv 2501.12948 has them. An empty tag occurs nowhere; both tags of the answer empty:
// answers are not tagged.
struct Tags {
  std::string open = "<think>", close = "</think>", answer_open = "<answer>", answer_close = "</answer>";
};

// Views into the response.
struct ResponseParts {
  // Between the tags; from the response's start when the prompt ended with `open`; to its end when never closed.
  std::optional<std::string_view> thinking;
  bool closed = false;    // the thinking came to its end
  std::string_view rest;  // what follows the last `close`; all, without tags; nothing when the thinking never ended
  std::optional<std::string_view> answer;  // inside the last whole pair of answer tags of `rest`
};

inline ResponseParts split_response(std::string_view text, const Tags &tags = {}) {
  constexpr size_t none = std::string_view::npos;
  ResponseParts out;
  const size_t open = tags.open.empty() ? none : text.find(tags.open);
  const size_t close = tags.close.empty() ? none : text.rfind(tags.close);
  const size_t begin = open == none || (close != none && close < open) ? 0 : open + tags.open.size();
  if (close != none) {
    out.closed = true;
    out.thinking = text.substr(begin, close - begin);
    out.rest = text.substr(close + tags.close.size());
  } else if (open != none) {
    out.thinking = text.substr(begin);
  } else {
    out.rest = text;
  }
  if (!tags.answer_open.empty() && !tags.answer_close.empty()) {
    const size_t end = out.rest.rfind(tags.answer_close);
    const size_t start = end == none ? none : out.rest.substr(0, end).rfind(tags.answer_open);
    if (start != none) {
      const size_t from = start + tags.answer_open.size();
      out.answer = out.rest.substr(from, end - from);
    }
  }
  return out;
}

// Without the white space of ASCII at both ends.
inline std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n\f\v");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n\f\v") - begin + 1);
}

// What a reader is given as the answer: the tagged one, else all that follows the thinking; empty when it never ended.
inline std::string_view answer_of(std::string_view text, const Tags &tags = {}) {
  const ResponseParts parts = split_response(text, tags);
  return trimmed(parts.answer.value_or(parts.rest));
}

// Each tag exactly once and in order, only white space outside, neither part empty, and come to its end by itself.
// opened: the prompt already ends with tags.open, so that the response must not have it.
inline bool well_formed(std::string_view text, bool truncated, const Tags &tags = {}, bool opened = false) {
  const auto filled = [&tags](std::string_view part) {
    for (const std::string *tag : {&tags.open, &tags.close, &tags.answer_open, &tags.answer_close})
      if (!tag->empty() && part.find(*tag) != part.npos) return false;
    return !trimmed(part).empty();
  };
  if (truncated || tags.open.empty() || tags.close.empty()) return false;
  if (!opened) {
    text = trimmed(text);
    if (!text.starts_with(tags.open)) return false;
    text.remove_prefix(tags.open.size());
  }
  const size_t end = text.find(tags.close);
  if (end == text.npos) return false;
  std::string_view answer = trimmed(text.substr(end + tags.close.size()));
  if (!tags.answer_open.empty()) {
    if (answer.size() < tags.answer_open.size() + tags.answer_close.size() || !answer.starts_with(tags.answer_open) ||
        !answer.ends_with(tags.answer_close))
      return false;
    answer.remove_prefix(tags.answer_open.size());
    answer.remove_suffix(tags.answer_close.size());
  }
  return filled(text.substr(0, end)) && filled(answer);
}

}  // namespace HONE_HIDDEN
