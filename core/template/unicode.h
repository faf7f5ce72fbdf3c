// unicode.h -- what Python knows of characters: their number, their kind, their cases. Texts are valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hone::jinja {

size_t character_bytes(std::string_view text, size_t at);  // of the character that begins there
size_t character_count(std::string_view);                  // Python's len()
size_t place_of(std::string_view text, size_t character);  // the byte where it begins; the text's end when it has fewer
std::string shortened(std::string_view text, size_t most);  // its first `most` characters
uint32_t code_point(std::string_view character);            // of its first character; 0 when empty
std::string utf8(uint32_t code_point);

// for (std::string_view one : Characters(text)): views into the text, one after the other.
class Characters {
 public:
  explicit Characters(std::string_view text) : text_(text) {}
  class Iterator {
   public:
    Iterator(std::string_view text, size_t at) : text_(text), at_(at) {}
    std::string_view operator*() const { return text_.substr(at_, character_bytes(text_, at_)); }
    Iterator &operator++() {
      at_ += character_bytes(text_, at_);
      return *this;
    }
    bool operator!=(const Iterator &other) const { return at_ != other.at_; }

   private:
    std::string_view text_;
    size_t at_;
  };
  Iterator begin() const { return {text_, 0}; }
  Iterator end() const { return {text_, text_.size()}; }

 private:
  std::string_view text_;
};

bool is_space(uint32_t), is_letter(uint32_t), is_decimal(uint32_t), is_digit(uint32_t), is_numeric(uint32_t);
bool is_upper(uint32_t), is_lower(uint32_t), is_title(uint32_t), is_printable(uint32_t);

std::string upper(std::string_view), lower(std::string_view), fold(std::string_view);
std::string title(std::string_view);       // Python's str.title()
std::string capitalize(std::string_view);  // Python's str.capitalize()
std::string swap_case(std::string_view);

size_t space_at(std::string_view text, size_t at);  // bytes of the white space character there, or 0
std::string_view strip_left(std::string_view), strip_right(std::string_view);
// Without the characters of `set` at the left, at the right.
std::string_view strip_left(std::string_view, std::string_view set),
    strip_right(std::string_view, std::string_view set);
// Takes the first of Python's splitlines() from `rest`; false when there is none.
bool next_line(std::string_view &rest, std::string_view &line, bool keep_ends = false);

}  // namespace hone::jinja
