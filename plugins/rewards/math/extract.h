// extract.h -- finds the final answer in a response, by ways that a script can order.
#pragma once

#include <optional>
#include <string_view>

namespace math {

std::optional<std::string_view> last_boxed(std::string_view text);   // inside the last whole \boxed{…} or \fbox{…}
std::optional<std::string_view> after_hashes(std::string_view text); // the rest of the line after the last ####
std::optional<std::string_view> last_number(std::string_view text);  // with sign, separators, decimals, fraction, percent
std::optional<std::string_view> only_number(std::string_view text);  // the number of a text of words that holds exactly one

}  // namespace math
