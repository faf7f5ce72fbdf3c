// thinking.hpp -- splits a reasoning model's response into its thinking and its answer by tags.
#pragma once

#include <optional>

#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

// The tags as the template of arXiv 2501.12948 has them. An empty answer_open: answers are not tagged.
struct ThinkingTags {
  std::string open = "<think>", close = "</think>", answer_open = "<answer>", answer_close = "</answer>";
};

struct ThinkingParts {
  // Between the tags; from the response's start when the prompt ended with `open`; to its end when never closed.
  std::optional<std::string_view> thinking;
  bool closed = false;      // the thinking came to its end
  std::string_view rest;    // what follows the last `close`; all, without tags; nothing when the thinking never ended
  std::optional<std::string_view> answer;  // inside the last whole pair of answer tags of `rest`
};

inline ThinkingParts split_thinking(std::string_view text, const ThinkingTags &tags) {
  constexpr size_t none = std::string_view::npos;
  ThinkingParts out;
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
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin, text.find_last_not_of(" \t\r\n\f\v") - begin + 1);
}

}  // namespace hone
