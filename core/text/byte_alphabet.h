// byte_alphabet.h -- GPT-2's alphabet: each byte is one printable character, so that a vocabulary of bytes is text.
#pragma once

#include <string>
#include <string_view>

namespace hone {

// The bytes 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF are the characters of the same number; the other 68, in order, are
// U+0100 to U+0143.
const std::string &byte_character(unsigned char byte);

// The bytes that a token's characters stand for, into `out`; false when one of them is not of the alphabet.
bool bytes_of_characters(std::string_view token, std::string &out);

}  // namespace hone
