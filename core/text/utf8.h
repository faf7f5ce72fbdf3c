// utf8.h -- code points of UTF-8 text, and text from bytes that are not quite UTF-8 (Unicode 15, table 3-7 and D93b).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hone {

// The code point that begins at text[at], a boundary of valid UTF-8; `at` moves past it.
char32_t next_code_point(std::string_view text, size_t &at);
void append_code_point(std::string &text, char32_t code_point);

// How many bytes at the end begin a character that is not whole: 0 to 3.
size_t incomplete_end(std::string_view bytes);

// Each maximal subpart of an ill-formed sequence becomes one U+FFFD: what Python's errors="replace" and Rust's
// from_utf8_lossy give, so that ids and text agree with theirs.
std::string with_replaced_subparts(std::string_view bytes);

}  // namespace hone
