// regex_translation.h -- a regular expression of tokenizer.json, in Oniguruma's Ruby syntax, as PCRE2 takes it.
#pragma once

#include <string>

namespace hone {

// The same language in PCRE2's syntax, for UTF + UCP + MULTILINE with newline LF. What the two libraries mean alike is
// passed on; what they spell or mean otherwise is translated (\w, \v, \uHHHH, {,n}, {n}?, {n,m}+, scripts); the rest
// (back-references, \b, nested sets, ...) is refused: Failure "WHERE: the regular expression "..." uses ...".
std::string translated_regex(const std::string &oniguruma, const std::string &where);

}  // namespace hone
