// text.h -- small text helpers that several rooms share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// The candidate nearest to `name` by Damerau-Levenshtein distance, or "" when none is within a third of its length (at least 2).
std::string nearest_name(std::string_view name, const std::vector<std::string> &candidates);

// Offset of the first byte that is not valid UTF-8, or npos.
size_t invalid_utf8(std::string_view);
std::string with_replaced_invalid_utf8(std::string_view);  // each bad byte becomes U+FFFD

std::string join(const std::vector<std::string> &, std::string_view between);
std::string human_bytes(uint64_t);       // "1.5 GiB"
std::string human_seconds(double);       // "1 h 02 m", "3 m 20 s", "0.4 s"
std::string number_text(double);         // shortest text that reads back as the same double
// What a JSON library's exception says, without the exception's own name: "at line 2, column 1: syntax error ...".
std::string json_reason(const std::string &what);
// Failure "WHERE: nested more than 64 levels deep ..." for such a JSON text: what walks over it would need as deep a stack.
void refuse_deep_json(std::string_view json, const std::string &where);
// "PLACE: what", with what both say told once: ("s.lua:3: stage eval", "stage eval: no x") is "s.lua:3: stage eval: no x".
std::string after_place(const std::string &place, const std::string &what);

}  // namespace hone
