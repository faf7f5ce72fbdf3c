// unicode.cpp -- see unicode.h. Python's documentation of str; the Unicode properties are ICU's.
#include "core/template/unicode.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace hone::jinja {

size_t character_bytes(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const size_t bytes = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return std::min(bytes, text.size() - at);
}

size_t character_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

size_t place_of(std::string_view text, size_t character) {
  size_t at = 0;
  for (; character > 0 && at < text.size(); --character) at += character_bytes(text, at);
  return at;
}

std::string shortened(std::string_view text, size_t most) { return std::string(text.substr(0, place_of(text, most))); }

uint32_t code_point(std::string_view text) {
  if (text.empty()) return 0;
  const size_t bytes = character_bytes(text, 0);
  const auto first = static_cast<unsigned char>(text[0]);
  if (bytes == 1) return first;
  uint32_t point = first & (0xFF >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  return point;
}

std::string utf8(uint32_t point) {
  std::string text;
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xC0 | point >> 6);
    text += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    text += static_cast<char>(0xE0 | point >> 12);
    text += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | point >> 18);
    text += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (point & 0x3F));
  }
  return text;
}

bool is_space(uint32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static UChar32 icu(uint32_t c) { return static_cast<UChar32>(c); }
static int32_t numeric_type(uint32_t c) { return u_getIntPropertyValue(icu(c), UCHAR_NUMERIC_TYPE); }

bool is_letter(uint32_t c) { return (U_GET_GC_MASK(icu(c)) & U_GC_L_MASK) != 0; }
bool is_decimal(uint32_t c) { return numeric_type(c) == U_NT_DECIMAL; }
bool is_digit(uint32_t c) { return numeric_type(c) == U_NT_DECIMAL || numeric_type(c) == U_NT_DIGIT; }
bool is_numeric(uint32_t c) { return numeric_type(c) != U_NT_NONE; }
bool is_upper(uint32_t c) { return u_hasBinaryProperty(icu(c), UCHAR_UPPERCASE); }
bool is_lower(uint32_t c) { return u_hasBinaryProperty(icu(c), UCHAR_LOWERCASE); }
bool is_title(uint32_t c) { return u_charType(icu(c)) == U_TITLECASE_LETTER; }

bool is_printable(uint32_t c) {
  if (c == ' ') return true;
  return (U_GET_GC_MASK(icu(c)) & (U_GC_C_MASK | U_GC_Z_MASK)) == 0;
}

static std::string of_icu(const icu::UnicodeString &from) {
  std::string to;
  from.toUTF8String(to);
  return to;
}
static icu::UnicodeString to_icu(std::string_view from) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(from.data(), static_cast<int32_t>(from.size())));
}
static bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}
static char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
static char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string upper(std::string_view text) {
  if (!ascii(text)) return of_icu(to_icu(text).toUpper(icu::Locale::getRoot()));
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), ascii_upper);
  return out;
}

std::string lower(std::string_view text) {
  if (!ascii(text)) return of_icu(to_icu(text).toLower(icu::Locale::getRoot()));
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), ascii_lower);
  return out;
}

std::string fold(std::string_view text) {
  if (ascii(text)) return lower(text);
  return of_icu(to_icu(text).foldCase());
}

// The title case of one character: SpecialCasing's where it is several characters, as of "ß".
static std::string title_of(std::string_view character) {
  if (ascii(character)) return upper(character);
  icu::UnicodeString one = to_icu(character);
  return of_icu(one.toTitle(nullptr, icu::Locale::getRoot(), U_TITLECASE_NO_BREAK_ADJUSTMENT));
}

static bool cased(uint32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

std::string title(std::string_view text) {
  std::string out;
  const std::string lowered = lower(text);  // of the whole, so that a final sigma is one
  // Lower-casing may change how many characters there are (U+0130 only), so such a text goes character by character.
  const bool same = character_count(text) == character_count(lowered);
  bool before = false;
  size_t low = 0;
  for (const std::string_view one : Characters(text)) {
    const size_t bytes = same ? character_bytes(lowered, low) : 0;
    out += !before ? title_of(one) : same ? lowered.substr(low, bytes) : lower(one);
    low += bytes;
    before = cased(code_point(one));
  }
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return "";
  const size_t first = character_bytes(text, 0);
  const std::string lowered = lower(text), lowered_first = lower(text.substr(0, first));
  if (!lowered.starts_with(lowered_first)) return title_of(text.substr(0, first)) + lower(text.substr(first));
  return title_of(text.substr(0, first)) + lowered.substr(lowered_first.size());
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (const std::string_view one : Characters(text)) {
    const uint32_t c = code_point(one);
    out += is_upper(c) ? lower(one) : is_lower(c) ? upper(one) : std::string(one);
  }
  return out;
}

size_t space_at(std::string_view text, size_t at) {
  if (at >= text.size()) return 0;
  return is_space(code_point(text.substr(at, 4))) ? character_bytes(text, at) : 0;
}

std::string_view strip_left(std::string_view text) {
  size_t at = 0;
  while (const size_t bytes = space_at(text, at)) at += bytes;
  return text.substr(at);
}

static size_t last_character(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
  return at;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const size_t at = last_character(text);
    if (!space_at(text, at)) break;
    text = text.substr(0, at);
  }
  return text;
}

namespace {

// Characters to strip: a few are looked for one by one, many are marked.
class Set {
 public:
  explicit Set(std::string_view set) : set_(set) {
    if (set.size() <= 64) return;
    marked_.resize(0x200000);  // what four bytes can say
    for (const std::string_view one : Characters(set)) marked_[code_point(one)] = true;
  }
  bool has(std::string_view character) const {
    return marked_.empty() ? set_.find(character) != std::string_view::npos : marked_[code_point(character)];
  }

 private:
  std::string_view set_;
  std::vector<bool> marked_;  // by code point
};

}  // namespace

std::string_view strip_left(std::string_view text, std::string_view set) {
  const Set of(set);
  while (!text.empty()) {
    const size_t bytes = character_bytes(text, 0);
    if (!of.has(text.substr(0, bytes))) break;
    text.remove_prefix(bytes);
  }
  return text;
}

std::string_view strip_right(std::string_view text, std::string_view set) {
  const Set of(set);
  while (!text.empty()) {
    const size_t at = last_character(text);
    if (!of.has(text.substr(at))) break;
    text = text.substr(0, at);
  }
  return text;
}

bool next_line(std::string_view &rest, std::string_view &line, bool keep_ends) {
  if (rest.empty()) return false;
  for (size_t at = 0; at < rest.size();) {
    const size_t bytes = character_bytes(rest, at);
    const uint32_t c = code_point(rest.substr(at, bytes));
    const bool ends = (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!ends) {
      at += bytes;
      continue;
    }
    const size_t end = at;
    at += c == '\r' && at + 1 < rest.size() && rest[at + 1] == '\n' ? 2 : bytes;
    line = rest.substr(0, keep_ends ? at : end);
    rest.remove_prefix(at);
    return true;
  }
  line = std::exchange(rest, {});
  return true;
}

}  // namespace hone::jinja
