// white_space.h -- Unicode's White_Space property (PropList.txt) on UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace hone {

// Bytes of the white-space character that begins at text[at], 0 when there is none.
size_t white_space(std::string_view text, size_t at);

}  // namespace hone
