// unicode.h -- what Python knows of characters: their number, their kind, their cases. Texts are valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::jinja {

size_t character_bytes(std::string_view text, size_t at);    // of the character that begins there
size_t character_count(std::string_view);                    // Python's len()
std::vector<std::string_view> characters(std::string_view);  // views into the text
uint32_t code_point(std::string_view character);             // of its first character; 0 when empty
std::string utf8(uint32_t code_point);

bool is_space(uint32_t), is_letter(uint32_t), is_decimal(uint32_t), is_digit(uint32_t), is_numeric(uint32_t);
bool is_upper(uint32_t), is_lower(uint32_t), is_title(uint32_t), is_printable(uint32_t);

std::string upper(std::string_view), lower(std::string_view), fold(std::string_view);
std::string title(std::string_view);       // Python's str.title()
std::string capitalize(std::string_view);  // Python's str.capitalize()
std::string swap_case(std::string_view);

size_t space_at(std::string_view text, size_t at);  // bytes of the white space character there, or 0
std::string_view strip_left(std::string_view), strip_right(std::string_view);
// Without the characters of `set` at the left, at the right.
std::string_view strip_left(std::string_view, std::string_view set),
    strip_right(std::string_view, std::string_view set);
std::vector<std::string_view> lines(std::string_view, bool keep_ends = false);  // Python's splitlines()

}  // namespace hone::jinja
