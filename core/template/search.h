// search.h -- where a text stands in another: Python's find() and rfind(), of bytes.
#pragma once

#include <string_view>

#include "core/template/store.h"

namespace hone::jinja {

// npos when it is not there. Every byte compared costs steps: a wanted text that nearly matches everywhere is no way
// around the limit.
size_t find_text(Store &, std::string_view text, std::string_view wanted, size_t from = 0);
size_t find_last_text(Store &, std::string_view text, std::string_view wanted);

}  // namespace hone::jinja
