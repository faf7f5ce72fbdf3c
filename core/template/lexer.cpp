// lexer.cpp -- see lexer.h. The rules are those of jinja2's documentation, "Whitespace Control"; a last newline of the
// file is not part of the template.
#include "core/template/lexer.h"

#include <algorithm>
#include <array>

#include "core/template/limits.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

std::string plain_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') continue;
      text += '\n';
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool name_start(uint32_t c) { return c == '_' || is_letter(c); }
bool name_part(uint32_t c) { return name_start(c) || is_decimal(c); }
bool digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(plain_newlines(source)), rest_(source_) {}

  std::vector<Token> all() {
    while (at_ < rest_.size()) data();
    put(Token::Type::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void trouble(const std::string &what) const { throw SyntaxTrouble{line_, what}; }

  void put(Token::Type type, std::string text) { tokens_.push_back({type, std::move(text), line_, {}}); }

  void advance(size_t bytes) {
    line_ += static_cast<uint32_t>(
        std::count(rest_.begin() + static_cast<long>(at_), rest_.begin() + static_cast<long>(at_ + bytes), '\n'));
    at_ += bytes;
    if (bytes > 0) line_starting_ = rest_[at_ - 1] == '\n';
  }
  bool here(std::string_view what, size_t from) const {
    return rest_.substr(std::min(from, rest_.size()), what.size()) == what;
  }
  size_t skip_spaces(size_t from) const {
    while (const size_t bytes = space_at(rest_, from)) from += bytes;
    return from;
  }

  // What remains of the text before a tag with this sign. variable: "{{", before which lstrip_blocks leaves all as it
  // is.
  std::string_view before_tag(std::string_view text, char sign, bool variable) const {
    if (sign == '-') return strip_right(text);
    if (sign == '+' || variable) return text;
    const size_t newline = text.rfind('\n');
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if ((line > 0 || line_starting_) && strip_left(text.substr(line)).empty()) return text.substr(0, line);
    return text;
  }

  // Bytes of "raw" with spaces around it and the tag's end, from behind "{%" and its sign; 0 when it is another tag.
  size_t raw_tag(size_t from, std::string_view word, bool trims) const {
    size_t at = skip_spaces(from);
    if (!here(word, at)) return 0;
    at = skip_spaces(at + word.size());
    if (here("-%}", at)) return skip_spaces(at + 3) - from;
    if (trims && here("+%}", at)) return at + 3 - from;
    if (!here("%}", at)) return 0;
    at += 2;
    return at + (trims && here("\n", at)) - from;
  }

  char sign_at(size_t from) const { return here("-", from) ? '-' : here("+", from) ? '+' : ' '; }

  void data() {
    size_t tag = at_;
    for (;; ++tag) {
      tag = rest_.find('{', tag);
      if (tag == std::string_view::npos) break;
      if (here("{%", tag) || here("{{", tag) || here("{#", tag)) break;
    }
    if (tag == std::string_view::npos) {
      put(Token::Type::data, std::string(rest_.substr(at_)));
      advance(rest_.size() - at_);
      return;
    }
    const char kind = rest_[tag + 1], sign = sign_at(tag + 2);
    const std::string_view text = before_tag(rest_.substr(at_, tag - at_), sign, kind == '{');
    if (!text.empty()) put(Token::Type::data, std::string(text));
    const size_t inside = tag + 2 + (sign != ' ');
    if (kind == '%') {
      if (const size_t bytes = raw_tag(inside, "raw", false)) {
        advance(inside + bytes - at_);
        return raw();
      }
    }
    advance(inside - at_);
    if (kind == '#') return comment();
    put(kind == '%' ? Token::Type::block_begin : Token::Type::variable_begin, "");
    code(kind == '%');
  }

  void comment() {
    const size_t end = rest_.find("#}", at_);
    if (end == std::string_view::npos) trouble("a comment has no end \"#}\"");
    const char sign = end > at_ ? rest_[end - 1] : ' ';
    size_t after = end + 2;
    if (sign == '-') after = skip_spaces(after);
    if (sign != '-' && sign != '+' && here("\n", after)) ++after;
    advance(after - at_);
  }

  void raw() {
    for (size_t tag = at_;; ++tag) {
      tag = rest_.find("{%", tag);
      if (tag == std::string_view::npos) trouble("a raw block has no {% endraw %}");
      const char sign = sign_at(tag + 2);
      const size_t inside = tag + 2 + (sign != ' ');
      const size_t bytes = raw_tag(inside, "endraw", true);
      if (!bytes) continue;
      const std::string_view text = before_tag(rest_.substr(at_, tag - at_), sign, false);
      if (!text.empty()) put(Token::Type::data, std::string(text));
      advance(inside + bytes - at_);
      return;
    }
  }

  void code(bool block) {
    brackets_.clear();
    for (;;) {
      advance(skip_spaces(at_) - at_);
      if (at_ >= rest_.size()) trouble(block ? "a block has no end \"%}\"" : "an expression has no end \"}}\"");
      if (brackets_.empty() && tag_end(block)) return;
      token();
    }
  }

  bool tag_end(bool block) {
    const std::string_view end = block ? "%}" : "}}";
    size_t after = 0;
    if (here("-", at_) && here(end, at_ + 1))
      after = skip_spaces(at_ + 3);
    else if (block && here("+", at_) && here(end, at_ + 1))
      after = at_ + 3;
    else if (here(end, at_))
      after = at_ + 2 + (block && here("\n", at_ + 2));
    else
      return false;
    put(block ? Token::Type::block_end : Token::Type::variable_end, "");
    advance(after - at_);
    return true;
  }

  void token() {
    const char c = rest_[at_];
    if (digit(c)) return number();
    if (c == '\'' || c == '"') return string(c);
    if (name_start(code_point(rest_.substr(at_, 4)))) {
      size_t end = at_;
      while (end < rest_.size() && name_part(code_point(rest_.substr(end, 4)))) end += character_bytes(rest_, end);
      put(Token::Type::name, std::string(rest_.substr(at_, end - at_)));
      return advance(end - at_);
    }
    static constexpr std::array<std::string_view, 26> marks = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                               "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                               ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (const std::string_view mark : marks) {
      if (!here(mark, at_)) continue;
      bracket(mark[0]);
      put(Token::Type::mark, std::string(mark));
      return advance(mark.size());
    }
    trouble("the character \"" + std::string(rest_.substr(at_, character_bytes(rest_, at_))) +
            "\" has no meaning here");
  }

  void bracket(char c) {
    if (c == '(') brackets_ += ')';
    if (c == '[') brackets_ += ']';
    if (c == '{') brackets_ += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (brackets_.empty()) trouble(std::string("there is a \"") + c + "\" without its beginning");
    if (brackets_.back() != c)
      trouble(std::string("there is a \"") + c + "\" where a \"" + brackets_.back() + "\" is expected");
    brackets_.pop_back();
  }

  // Digits with single underscores between them, from `from`.
  size_t digits(size_t from) const {
    size_t at = from;
    while (at < rest_.size() &&
           (digit(rest_[at]) || (rest_[at] == '_' && at > from && at + 1 < rest_.size() && digit(rest_[at + 1]))))
      ++at;
    return at;
  }

  void number() {
    const bool after_point = at_ > 0 && rest_[at_ - 1] == '.';  // x.0.1 is two subscripts
    size_t end = digits(at_);
    bool real = false;
    if (!after_point) {
      size_t fraction = end;
      if (here(".", end) && end + 1 < rest_.size() && digit(rest_[end + 1])) fraction = digits(end + 1);
      size_t exponent = fraction;
      if (here("e", fraction) || here("E", fraction)) {
        const size_t sign = fraction + 1 + (here("+", fraction + 1) || here("-", fraction + 1));
        if (sign < rest_.size() && digit(rest_[sign])) exponent = digits(sign);
      }
      real = exponent > end;
      if (real) end = exponent;
    }
    int base = 10;
    if (!real && rest_[at_] == '0') {
      const char mark = at_ + 1 < rest_.size() ? static_cast<char>(rest_[at_ + 1] | 0x20) : ' ';
      const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
      size_t last = at_ + 2;
      const auto of_base = [&](size_t at) {
        if (at >= rest_.size()) return false;
        const char c = static_cast<char>(rest_[at] | 0x20);
        return marked == 16 ? digit(rest_[at]) || (c >= 'a' && c <= 'f') : digit(rest_[at]) && rest_[at] < '0' + marked;
      };
      while (marked && (of_base(last) || (here("_", last) && of_base(last + 1)))) ++last;
      if (marked && last > at_ + 2) {
        base = marked;
        end = last;
      } else {  // 007 is 00 and 7 to jinja2
        end = at_ + 1;
        while (here("0", end) || (here("_", end) && here("0", end + 1))) ++end;
      }
    }
    const std::string_view text = rest_.substr(at_, end - at_);
    Token token{Token::Type::number, std::string(text), line_, {}};
    try {
      token.number = real ? Value::real(read_real(text).value()) : Value::integer(read_whole(text, base).value());
    } catch (const Refusal &refusal) {
      trouble(refusal.what());
    }
    tokens_.push_back(std::move(token));
    advance(end - at_);
  }

  void string(char quote) {
    std::string text;
    size_t at = at_ + 1;
    for (;;) {
      if (at >= rest_.size()) trouble("a string has no closing quote");
      if (rest_[at] == quote) break;
      if (rest_[at] != '\\') {
        text += rest_[at++];
        continue;
      }
      if (at + 1 >= rest_.size()) trouble("a string has no closing quote");
      at = escape(at + 1, text);
    }
    put(Token::Type::text, std::move(text));
    advance(at + 1 - at_);
  }

  // Python's escapes in a str; what is none stays as it is, with its backslash. at: of the character behind the
  // backslash.
  size_t escape(size_t at, std::string &text) const {
    const char c = rest_[at];
    static constexpr std::string_view letters = "abfnrtv\\'\"", meanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t known = letters.find(c); known != std::string_view::npos) {
      text += meanings[known];
      return at + 1;
    }
    if (c == '\n') return at + 1;
    if (c >= '0' && c <= '7') {
      uint32_t point = 0;
      size_t end = at;
      while (end < at + 3 && end < rest_.size() && rest_[end] >= '0' && rest_[end] <= '7')
        point = point * 8 + static_cast<uint32_t>(rest_[end++] - '0');
      text += utf8(point);
      return end;
    }
    const size_t wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == 'N') trouble("\\N{...} in a string is not supported; write the character itself");
    if (wanted == 0) {
      text += '\\';
      return at;  // the character itself comes next
    }
    const std::string_view hex = rest_.substr(at + 1, wanted);
    if (hex.size() < wanted || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
      trouble(std::string("\\") + c + " in a string needs " + std::to_string(wanted) + " hexadecimal digits");
    const uint64_t point = std::stoull(std::string(hex), nullptr, 16);
    if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
      trouble("a string names the character " + std::string(hex) + ", which is none");
    text += utf8(static_cast<uint32_t>(point));
    return at + 1 + wanted;
  }

  std::string source_;
  std::string_view rest_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  bool line_starting_ = true;
  std::string brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view source) { return Lexer(source).all(); }

}  // namespace hone::jinja
