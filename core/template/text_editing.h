// text_editing.h -- Python's str.replace(), and ljust(), rjust() and center(), for filters and methods.
#pragma once

#include <string>
#include <string_view>

#include "core/template/store.h"

namespace hone::jinja {

std::string replaced(Store &, std::string_view text, std::string_view old, std::string_view with,
                     int64_t count);  // count < 0: all
std::string aligned(Store &, const std::string &text, int64_t width, std::string_view fill,
                    char align);  // '<', '>' or '^'

}  // namespace hone::jinja
