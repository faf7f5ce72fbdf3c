// response.hpp -- the parts of a reasoning model's response: <think> thinking </think> <answer> answer </answer>.
#pragma once

#include <string>
#include <string_view>

#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

struct Tags {
  std::string open = "<think>", close = "</think>", answer_open = "<answer>", answer_close = "</answer>";
};

namespace detail {

inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// An empty tag occurs nowhere.
inline size_t find_tag(std::string_view text, std::string_view tag, size_t from = 0) {
  return tag.empty() ? std::string_view::npos : text.find(tag, from);
}

}  // namespace detail

// What stands between the first opening tag of the thinking and the closing one after it, or the text's end when it is
// never closed; without an opening tag, what stands before the first closing tag; without either, nothing.
inline std::string_view thinking_of(std::string_view text, const Tags &tags = {}) {
  const size_t open = detail::find_tag(text, tags.open);
  const size_t begin = open == text.npos ? 0 : open + tags.open.size();
  const size_t close = detail::find_tag(text, tags.close, begin);
  if (open == text.npos && close == text.npos) return {};
  return detail::trimmed(text.substr(begin, close == text.npos ? text.npos : close - begin));
}

// What stands inside the last pair of answer tags; else what follows the last closing tag of the thinking; else, when
// the response shows no thinking at all, the whole of it.
inline std::string_view answer_of(std::string_view text, const Tags &tags = {}) {
  if (const size_t open = tags.answer_open.empty() ? text.npos : text.rfind(tags.answer_open); open != text.npos) {
    const size_t begin = open + tags.answer_open.size(), end = detail::find_tag(text, tags.answer_close, begin);
    if (end != text.npos) return detail::trimmed(text.substr(begin, end - begin));
  }
  if (const size_t close = tags.close.empty() ? text.npos : text.rfind(tags.close); close != text.npos)
    return detail::trimmed(text.substr(close + tags.close.size()));
  return detail::find_tag(text, tags.open) == text.npos ? detail::trimmed(text) : std::string_view{};
}

// Each tag once, in order, with nothing but white space outside them and something inside both pairs.
inline bool well_formed(std::string_view text, const Tags &tags = {}) {
  size_t at = 0;
  std::string_view part[4];  // what stands before each tag
  const std::string *const order[] = {&tags.open, &tags.close, &tags.answer_open, &tags.answer_close};
  for (int i = 0; i < 4; ++i) {
    const size_t found = detail::find_tag(text, *order[i]);
    if (found == text.npos || found < at || detail::find_tag(text, *order[i], found + order[i]->size()) != text.npos)
      return false;
    part[i] = detail::trimmed(text.substr(at, found - at));
    at = found + order[i]->size();
  }
  return part[0].empty() && !part[1].empty() && part[2].empty() && !part[3].empty() &&
         detail::trimmed(text.substr(at)).empty();
}

}  // namespace HONE_HIDDEN
