// newer_characters.h -- characters that the tokenizers library knows (Unicode 16) and an older PCRE2 may not (Debian
// 12's knows Unicode 14): each stands in by an older one of the same general category, script where it is Han, and
// length.
#pragma once

#include <string>
#include <string_view>

namespace hone {

// The text with every newer character replaced by its stand-in. Offsets stay what they are: both have as many bytes.
// False, and `out` untouched, when there is none. `text` is valid UTF-8.
bool with_stand_ins(std::string_view text, std::string &out);

}  // namespace hone
