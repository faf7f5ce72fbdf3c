// extract.cpp -- see extract.h.
#include "extract.h"

#include <cctype>

namespace math {

namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool wordish(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The number that begins at `at`, which is at its sign or its first digit or point; its end.
size_t end_of_number(std::string_view text, size_t at) {
  if (text[at] == '-' || text[at] == '+') ++at;
  const auto digits = [&] {
    while (at < text.size() && digit(text[at])) ++at;
  };
  const size_t begin = at;
  digits();
  if (at > begin && at - begin <= 3)
    while (at + 3 < text.size() && text[at] == ',' && digit(text[at + 1]) && digit(text[at + 2]) &&
           digit(text[at + 3]) && !(at + 4 < text.size() && digit(text[at + 4])))
      at += 4;
  if (at + 1 < text.size() && text[at] == '.' && digit(text[at + 1])) ++at, digits();
  if (at + 1 < text.size() && text[at] == '/' && digit(text[at + 1])) ++at, digits();
  if (at < text.size() && text[at] == '%') ++at;
  return at;
}

template <class F>
void each_number(std::string_view text, F &&found) {
  for (size_t at = 0; at < text.size();) {
    const bool point = text[at] == '.' && at + 1 < text.size() && digit(text[at + 1]);
    if (!digit(text[at]) && !point) {
      ++at;
      continue;
    }
    size_t begin = at;
    // A sign belongs to the number when it touches it and nothing that could be subtracted from stands before it.
    if (begin > 0 && text[begin - 1] == '-' && (begin == 1 || !(wordish(text[begin - 2]) || text[begin - 2] == ')')))
      --begin;
    const size_t end = end_of_number(text, begin);
    found(text.substr(begin, end - begin));
    at = end;
  }
}

}  // namespace

std::optional<std::string_view> last_boxed(std::string_view text) {
  size_t from = text.size();
  for (int tries = 0; tries < 64; ++tries) {  // a response of nothing but openings must not cost its square
    const size_t boxed = text.rfind("boxed{", from), fboxed = text.rfind("fbox{", from);
    size_t at = boxed == text.npos ? fboxed : fboxed == text.npos ? boxed : std::max(boxed, fboxed);
    if (at == text.npos) return std::nullopt;
    const size_t begin = text.find('{', at) + 1;
    if (at > 0 && text[at - 1] == '\\') {
      int depth = 1;
      for (size_t i = begin; i < text.size(); ++i) {
        depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
        if (depth == 0) return text.substr(begin, i - begin);
      }
    }
    if (at == 0) return std::nullopt;
    from = at - 1;
  }
  return std::nullopt;
}

std::optional<std::string_view> after_hashes(std::string_view text) {
  const size_t at = text.rfind("####");
  if (at == text.npos) return std::nullopt;
  const std::string_view rest = text.substr(at + 4);
  return rest.substr(0, rest.find('\n'));
}

std::optional<std::string_view> last_number(std::string_view text) {
  std::optional<std::string_view> last;
  each_number(text, [&](std::string_view number) { last = number; });
  return last;
}

std::optional<std::string_view> only_number(std::string_view text) {
  std::optional<std::string_view> only;
  int count = 0;
  each_number(text, [&](std::string_view number) { only = number, ++count; });
  if (count != 1) return std::nullopt;
  const size_t begin = size_t(only->data() - text.data());
  for (const std::string_view around : {text.substr(0, begin), text.substr(begin + only->size())})
    if (around.find_first_of("+-*/^()=<>|") != around.npos) return std::nullopt;  // a formula, not a number among words
  return only;
}

}  // namespace math
