// byte_alphabet.cpp -- both directions of the alphabet.
#include "core/text/byte_alphabet.h"

#include <array>

#include "core/text/utf8.h"

namespace hone {
namespace {

constexpr char32_t kEnd = 0x144;  // past the last character

struct Alphabet {
  std::array<std::string, 256> character;
  std::array<int, kEnd> byte;
  Alphabet() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool itself = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
      const char32_t c = itself ? static_cast<char32_t>(b) : next++;
      append_code_point(character[b], c);
      byte[c] = b;
    }
  }
};

const Alphabet &alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

const std::string &byte_character(unsigned char byte) { return alphabet().character[byte]; }

bool bytes_of_characters(std::string_view token, std::string &out) {
  out.clear();
  for (size_t at = 0; at < token.size();) {
    const char32_t c = next_code_point(token, at);
    if (c >= kEnd || alphabet().byte[c] < 0) return false;
    out += static_cast<char>(alphabet().byte[c]);
  }
  return true;
}

}  // namespace hone
