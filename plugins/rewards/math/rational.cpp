// rational.cpp -- a recursive-descent parser over exact rationals; everything it might be asked to do is bounded.
#include "rational.h"

#include <cctype>
#include <string>

namespace math {

namespace {

using Integer = boost::multiprecision::cpp_int;

constexpr size_t kLongestText = 4096;
constexpr int kDeepest = 64;
constexpr unsigned kLargestBits = 1u << 16;  // of a power's result
constexpr int kLargestExponent = 4096;       // of 1e400 and the like

struct NotANumber {};

void replace_all(std::string &text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
}

// The spellings that mean the same, made one.
std::string plain(std::string_view raw) {
  std::string text(raw);
  for (const auto &[from, to] : {std::pair<const char *, const char *>{"\\left", ""},
                                 {"\\right", ""},
                                 {"\\dfrac", "\\frac"},
                                 {"\\tfrac", "\\frac"},
                                 {"\\cdot", "*"},
                                 {"\\times", "*"},
                                 {"\\div", "/"},
                                 {"\\%", "%"},
                                 {"\\$", ""},
                                 {"$", ""},
                                 {"{,}", ","},
                                 {"\\,", ""},
                                 {"\\!", ""},
                                 {"\\;", " "},
                                 {"\\ ", " "},
                                 {"\xE2\x88\x92", "-"},
                                 {"\xC3\x97", "*"},
                                 {"\xC3\xB7", "/"},
                                 {"\xC2\xA0", " "},
                                 {"**", "^"}})
    replace_all(text, from, to);
  return text;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Value whole() {
    Value value = sum();
    space();
    if (take('%')) {
      value.percent = value.number;
      value.number /= 100;
      space();
    }
    if (at_ != text_.size()) throw NotANumber{};
    return value;
  }

 private:
  struct Deeper {
    explicit Deeper(int &depth) : depth_(depth) {
      if (++depth_ > kDeepest) throw NotANumber{};
    }
    ~Deeper() { --depth_; }
    int &depth_;
  };

  void space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) { return peek() == c ? ++at_, true : false; }
  bool take(std::string_view word) { return text_.substr(at_).starts_with(word) ? at_ += word.size(), true : false; }
  static bool digit(char c) { return c >= '0' && c <= '9'; }

  static void bounded(const Value &value) {
    if (bits(numerator(value.number)) > kLargestBits || bits(denominator(value.number)) > kLargestBits)
      throw NotANumber{};
  }
  static unsigned bits(const Integer &n) { return n == 0 ? 0 : unsigned(msb(n < 0 ? Integer(-n) : n)) + 1; }

  Value sum() {
    Deeper deeper(depth_);
    Value left = product();
    for (;;) {
      space();
      const bool plus = peek() == '+';
      if (!plus && peek() != '-') return left;
      ++at_;
      const Value right = product();
      if (plus)
        left.number += right.number;
      else
        left.number -= right.number;
      left.decimal |= right.decimal;
      bounded(left);
    }
  }

  Value product() {
    Value left = signed_power();
    for (;;) {
      space();
      const bool times = peek() == '*';
      if (!times && peek() != '/') return left;
      ++at_;
      const Value right = signed_power();
      if (times)
        left.number *= right.number;
      else
        divide(left.number, right.number);
      left.decimal |= right.decimal;
      bounded(left);
    }
  }

  static void divide(Rational &left, const Rational &right) {
    if (right == 0) throw NotANumber{};
    left /= right;
  }

  // -2^2 is -(2^2).
  Value signed_power() {
    Deeper deeper(depth_);
    space();
    if (take('-')) {
      Value value = signed_power();
      value.number = -value.number;
      return value;
    }
    if (take('+')) return signed_power();
    Value base = primary();
    space();
    if (!take('^')) return base;
    Value exponent = braced() ? group('}') : signed_power();
    raise(base, exponent);
    return base;
  }

  bool braced() {
    space();
    return take('{');
  }
  Value group(char close) {
    Value value = sum();
    space();
    if (!take(close)) throw NotANumber{};
    return value;
  }

  static void raise(Value &base, const Value &exponent) {
    if (denominator(exponent.number) != 1) throw NotANumber{};
    Integer n = numerator(exponent.number);
    const bool inverse = n < 0;
    if (inverse) n = -n;
    if (n > kLargestBits) throw NotANumber{};
    const auto power = n.convert_to<unsigned>();
    if (uint64_t(bits(numerator(base.number))) * power > kLargestBits ||
        uint64_t(bits(denominator(base.number))) * power > kLargestBits)
      throw NotANumber{};
    if (base.number == 0 && inverse) throw NotANumber{};
    const Integer above = pow(numerator(base.number), power), below = pow(denominator(base.number), power);
    base.number = inverse ? Rational(below, above) : Rational(above, below);
    base.decimal |= exponent.decimal;
  }

  Value primary() {
    space();
    if (take('(')) return group(')');
    if (take('{')) return group('}');
    if (take("\\frac")) return fraction();
    if (!digit(peek()) && peek() != '.') throw NotANumber{};
    Value value = literal();
    // Mixed numbers: 1\frac{1}{2}, and 1 1/2.
    if (value.decimal) return value;
    const size_t before = at_;
    space();
    Value part;
    if (take("\\frac")) {
      part = fraction();
    } else if (at_ > before && digit(peek())) {
      part = literal();
      space();
      if (part.decimal || !take('/')) throw NotANumber{};
      space();
      if (!digit(peek())) throw NotANumber{};
      const Value below = literal();
      if (below.decimal) throw NotANumber{};
      divide(part.number, below.number);
    } else {
      at_ = before;
      return value;
    }
    value.number += part.number;
    return value;
  }

  Value fraction() {
    const auto piece = [&] {
      if (braced()) return group('}');
      space();
      if (!digit(peek())) throw NotANumber{};
      return Value{Rational(text_[at_++] - '0'), false, {}};  // \frac12
    };
    Value above = piece();
    const Value below = piece();
    divide(above.number, below.number);
    above.decimal |= below.decimal;
    return above;
  }

  // Digits, groups of three after commas, a decimal point, an exponent.
  Value literal() {
    std::string digits;
    while (digit(peek())) digits += text_[at_++];
    if (!digits.empty() && digits.size() <= 3) {
      for (;;) {
        const std::string_view next = text_.substr(at_);
        if (next.size() < 4 || next[0] != ',' || !digit(next[1]) || !digit(next[2]) || !digit(next[3]) ||
            (next.size() > 4 && digit(next[4])))
          break;
        digits += next.substr(1, 3);
        at_ += 4;
      }
    }
    Value value;
    int shift = 0;
    if (peek() == '.' && (!digits.empty() || (at_ + 1 < text_.size() && digit(text_[at_ + 1])))) {
      ++at_;
      value.decimal = digit(peek());
      while (digit(peek())) digits += text_[at_++], --shift;
    }
    if (digits.empty()) throw NotANumber{};
    if ((peek() == 'e' || peek() == 'E') && at_ + 1 < text_.size()) {
      size_t at = at_ + 1;
      const bool minus = text_[at] == '-';
      if (minus || text_[at] == '+') ++at;
      if (at < text_.size() && digit(text_[at])) {
        int exponent = 0;
        for (; at < text_.size() && digit(text_[at]); ++at)
          if ((exponent = exponent * 10 + (text_[at] - '0')) > kLargestExponent) throw NotANumber{};
        shift += minus ? -exponent : exponent;
        at_ = at;
        value.decimal = true;
      }
    }
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));  // a leading zero would mean octal
    const Integer whole(digits);
    const Integer scale = pow(Integer(10), unsigned(shift < 0 ? -shift : shift));
    value.number = shift < 0 ? Rational(whole, scale) : Rational(Integer(whole * scale));
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

bool near(const Rational &a, const Rational &b, bool decimal, double tolerance) {
  if (a == b) return true;
  if (!decimal || tolerance <= 0) return false;
  const Rational size = abs(b) > 1 ? Rational(abs(b)) : Rational(1);
  return Rational(abs(Rational(a - b))) <= Rational(tolerance) * size;
}

}  // namespace

std::optional<Value> read_value(std::string_view raw) {
  if (raw.size() > kLongestText) return std::nullopt;
  const std::string text = plain(raw);
  try {
    return Parser(text).whole();
  } catch (const NotANumber &) {
    return std::nullopt;
  }
}

bool same(const Value &given, const Value &expected, double tolerance) {
  const bool decimal = given.decimal || expected.decimal;
  if (near(given.number, expected.number, decimal, tolerance)) return true;
  if (given.percent && !expected.percent) return near(*given.percent, expected.number, decimal, tolerance);
  if (expected.percent && !given.percent) return near(given.number, *expected.percent, decimal, tolerance);
  return false;
}

}  // namespace math
