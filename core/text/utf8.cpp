// utf8.cpp -- reading and writing code points, and the replacement of maximal subparts.
#include "core/text/utf8.h"

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

std::string with_replaced_subparts(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (true) {
    const size_t bad = invalid_utf8(bytes);
    out.append(bytes.substr(0, bad));
    if (bad == std::string_view::npos) return out;
    bytes.remove_prefix(bad);
    const auto in = [&](size_t i, unsigned low, unsigned high) {
      return i < bytes.size() && static_cast<unsigned char>(bytes[i]) >= low &&
             static_cast<unsigned char>(bytes[i]) <= high;
    };
    const unsigned first = static_cast<unsigned char>(bytes[0]);
    size_t length = 1;
    if (first >= 0xE0 && first <= 0xEF && in(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF)) length = 2;
    if (first >= 0xF0 && first <= 0xF4 && in(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF))
      length = in(2, 0x80, 0xBF) ? 3 : 2;
    out += "\xEF\xBF\xBD";
    bytes.remove_prefix(length);
  }
}

}  // namespace hone
