// number.cpp -- see number.h. Python's language reference: 6.5 (power), 6.7 (arithmetic); IEEE 754.
#include "core/template/number.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/template/limits.h"
#include "core/template/unicode.h"

namespace hone::jinja {

std::string real_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string out;
  if (text[0] == '-') out = "-", text.remove_prefix(1);
  const size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  const int n = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (n > 1) out += "." + digits.substr(1);
    const int size = std::abs(exponent);
    return out + (exponent < 0 ? "e-" : "e+") + (size < 10 ? "0" : "") + std::to_string(size);
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (n <= exponent + 1) return out + digits + std::string(static_cast<size_t>(exponent + 1 - n), '0') + ".0";
  return out + digits.substr(0, static_cast<size_t>(exponent) + 1) + "." +
         digits.substr(static_cast<size_t>(exponent) + 1);
}

// Digits with single underscores between them.
static std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto digit = [&](size_t at) {
      return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at]));
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  return out;
}

[[noreturn]] static void too_large(const std::string &what) { throw Refusal(what + " does not fit in 64 bits"); }

std::optional<int64_t> read_whole(std::string_view text, int base) {
  text = strip_right(strip_left(text));
  bool minus = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) minus = text[0] == '-', text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked && (base == 0 || base == marked)) {
      base = marked;
      text.remove_prefix(2);
      if (!text.empty() && text[0] == '_') text.remove_prefix(1);
    }
  }
  if (base == 0) base = 10;
  const auto plain = without_underscores(text);
  if (!plain || plain->empty()) return std::nullopt;
  const std::string signed_text = (minus ? "-" : "") + *plain;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(signed_text.data(), signed_text.data() + signed_text.size(), number, base);
  if (end != signed_text.data() + signed_text.size() || (*plain)[0] == '-' || (*plain)[0] == '+') return std::nullopt;
  if (error == std::errc::result_out_of_range) too_large("the whole number " + shortened(signed_text, 40));
  if (error != std::errc{}) return std::nullopt;
  return number;
}

std::optional<double> read_real(std::string_view text) {
  text = strip_right(strip_left(text));
  const auto plain = without_underscores(text);
  if (!plain || plain->empty()) return std::nullopt;
  std::string lowered = lower(*plain);
  std::string_view body = lowered;
  const bool minus = body[0] == '-';
  if (minus || body[0] == '+') body.remove_prefix(1);
  if (body == "inf" || body == "infinity") return minus ? -HUGE_VAL : HUGE_VAL;
  if (body == "nan") return std::nan("");
  if (body.empty() || body.find_first_not_of("0123456789.e+-") != std::string_view::npos || body[0] == '+' ||
      body[0] == '-' || body[0] == 'e')
    return std::nullopt;
  char *end = nullptr;
  const double number = std::strtod(lowered.c_str(), &end);
  if (end != lowered.c_str() + lowered.size()) return std::nullopt;
  return number;
}

static int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}

static double real_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (rest == 0) rest = std::copysign(0.0, b);
  return rest;
}

static double real_floor_divide(double a, double b) {
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

static Value whole_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  bool overflow = false;  // of the base's next square, which may not be needed any more
  while (exponent > 0) {
    if (exponent & 1)
      if (overflow || __builtin_mul_overflow(result, base, &result)) too_large("the result of **");
    exponent >>= 1;
    overflow = overflow || __builtin_mul_overflow(base, base, &base);
  }
  return Value::integer(result);
}

static Value whole_compute(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case Operator::add:
      if (__builtin_add_overflow(a, b, &result)) too_large("a sum");
      return Value::integer(result);
    case Operator::subtract:
      if (__builtin_sub_overflow(a, b, &result)) too_large("a difference");
      return Value::integer(result);
    case Operator::multiply:
      if (__builtin_mul_overflow(a, b, &result)) too_large("a product");
      return Value::integer(result);
    case Operator::divide:
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case Operator::floor_divide:
      if (b == -1) return whole_compute(Operator::subtract, 0, a);
      return Value::integer(floor_divide(a, b));
    case Operator::modulo:
      if (b == -1) return Value::integer(0);
      result = a % b;
      return Value::integer(result != 0 && (result < 0) != (b < 0) ? result + b : result);
    case Operator::power:
      break;
  }
  if (b < 0) return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
  return whole_power(a, b);
}

Value compute(Operator op, const Value &left, const Value &right) {
  const double a = left.number(), b = right.number();
  if (b == 0 && (op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo))
    throw Refusal("a division by zero");
  if (op == Operator::power && a == 0 && b < 0) throw Refusal("0 to a negative power");
  if (left.is_whole() && right.is_whole()) return whole_compute(op, left.whole(), right.whole());
  switch (op) {
    case Operator::add:
      return Value::real(a + b);
    case Operator::subtract:
      return Value::real(a - b);
    case Operator::multiply:
      return Value::real(a * b);
    case Operator::divide:
      return Value::real(a / b);
    case Operator::floor_divide:
      return Value::real(real_floor_divide(a, b));
    case Operator::modulo:
      return Value::real(real_modulo(a, b));
    case Operator::power:
      break;
  }
  const double result = std::pow(a, b);
  if (std::isnan(result) && !std::isnan(a) && !std::isnan(b))
    throw Refusal("a power of a negative number that is not real");
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) throw Refusal("the result of ** is too large");
  return Value::real(result);
}

Value negative(const Value &value) {
  if (value.is(Value::Kind::real)) return Value::real(-value.number());
  return whole_compute(Operator::subtract, 0, value.whole());
}

double round_to(double number, int64_t digits) {
  if (!std::isfinite(number) || digits > 330) return number;
  if (digits < -330) return std::copysign(0.0, number);
  // printf rounds the exact binary value, half to even, as Python does.
  if (digits >= 0) {
    char buffer[800];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), number);
    return std::strtod(buffer, nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return std::isinf(unit) ? std::copysign(0.0, number) : std::nearbyint(number / unit) * unit;
}

int64_t whole_of(double number, const char *what) {
  if (!(number > -9.3e18 && number < 9.3e18) || number >= 9223372036854775808.0 || number < -9223372036854775808.0)
    throw Refusal(std::string(what) + ": " + real_text(number) + " is not a whole number of 64 bits");
  return static_cast<int64_t>(number);
}

}  // namespace hone::jinja
