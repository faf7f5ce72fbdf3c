// utf8.cpp -- reading and writing code points, and the replacement of maximal subparts.
#include "core/text/utf8.h"

#include <algorithm>

#include "core/base/text.h"

namespace hone {

char32_t next_code_point(std::string_view text, size_t &at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return text[at++];
  const int more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  char32_t code_point = first & (0x3F >> more);
  for (int i = 1; i <= more; ++i) code_point = code_point << 6 | (byte(at + i) & 0x3F);
  at += more + 1;
  return code_point;
}

void append_code_point(std::string &text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr unsigned lead[] = {0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(lead[more] | c >> 6 * more);
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (c >> 6 * i & 0x3F));
}

// The length of the longest beginning of a character that `bytes` starts with, when it is no whole one; 0 for none.
static size_t begun_character(std::string_view bytes) {
  const auto in = [&](size_t i, unsigned low, unsigned high) {
    return i < bytes.size() && static_cast<unsigned char>(bytes[i]) >= low &&
           static_cast<unsigned char>(bytes[i]) <= high;
  };
  if (in(0, 0xC2, 0xDF)) return 1;
  if (in(0, 0xE0, 0xEF)) {
    const unsigned first = static_cast<unsigned char>(bytes[0]);
    return in(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) ? 2 : 1;
  }
  if (in(0, 0xF0, 0xF4)) {
    const unsigned first = static_cast<unsigned char>(bytes[0]);
    if (!in(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF)) return 1;
    return in(2, 0x80, 0xBF) ? 3 : 2;
  }
  return 0;
}

size_t incomplete_end(std::string_view bytes) {
  for (size_t length = 1; length <= 3 && length <= bytes.size(); ++length) {
    const std::string_view end = bytes.substr(bytes.size() - length);
    if ((static_cast<unsigned char>(end[0]) & 0xC0) == 0x80) continue;
    return begun_character(end) == length && invalid_utf8(end) == 0 ? length : 0;
  }
  return 0;
}

std::string with_replaced_subparts(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (true) {
    const size_t bad = invalid_utf8(bytes);
    out.append(bytes.substr(0, bad));
    if (bad == std::string_view::npos) return out;
    bytes.remove_prefix(bad);
    out += "\xEF\xBF\xBD";
    bytes.remove_prefix(std::max<size_t>(begun_character(bytes), 1));
  }
}

}  // namespace hone
