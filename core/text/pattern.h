// pattern.h -- tokenizer.json's {"Regex": ...} or {"String": ...}.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/text/regex.h"

namespace hone {

// The "pattern" of a component; a String matches itself. Failure when it is neither.
Regex read_pattern(const nlohmann::json &component, const std::string &where);

// `text` with every match replaced by `content`, literally.
std::string replaced(const Regex &pattern, std::string_view text, const std::string &content);

}  // namespace hone
