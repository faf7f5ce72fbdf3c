// format_field.cpp -- see format_field.h. Python's library reference, "Format Specification Mini-Language".
#include "core/template/format_field.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/template/limits.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

// Digits in groups, with zeros before them until they take `width`; a group's separator never stands first.
std::string grouped(std::string digits, char separator, size_t group, int64_t width) {
  for (;;) {
    std::string out;
    for (size_t i = 0; i < digits.size(); ++i) {
      if (i > 0 && (digits.size() - i) % group == 0) out += separator;
      out += digits[i];
    }
    if (static_cast<int64_t>(out.size()) >= width) return out;
    const size_t room = static_cast<size_t>(width) - out.size();
    digits.insert(0, std::max<size_t>(1, room * group / (group + 1)), '0');
  }
}

// Digits without a sign. alternate: of "#".
std::string magnitude_of(double number, char type, int64_t precision, bool alternate) {
  if (std::isnan(number)) return type >= 'A' && type <= 'Z' ? "NAN" : "nan";
  if (std::isinf(number)) return type >= 'A' && type <= 'Z' ? "INF" : "inf";
  const std::string format = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  const int digits = static_cast<int>(precision < 0 ? 6 : precision);
  const int size = std::snprintf(nullptr, 0, format.c_str(), digits, number);
  std::string out(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(out.data(), out.size(), format.c_str(), digits, number);
  out.pop_back();
  return out;
}

std::string digits_of(uint64_t number, unsigned base) {
  std::string out;
  do {
    out += "0123456789abcdef"[number % base];
    number /= base;
  } while (number > 0);
  std::reverse(out.begin(), out.end());
  return out;
}

uint64_t magnitude(int64_t number) {
  return number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
}

std::string sign_of(bool minus, char sign) { return minus ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : ""; }

// What digits must take when the zeros before them are in groups as well.
int64_t zeros_until(const Field &field, size_t others) {
  return field.align == '=' && field.fill == "0" ? field.width - static_cast<int64_t>(others) : 0;
}

}  // namespace

int64_t read_field_number(std::string_view text, size_t &at) {
  int64_t number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > widest_field)
      throw Refusal("a format's width or precision is more than " + std::to_string(widest_field));
  }
  return number;
}

std::string padded_field(const Field &field, const std::string &sign, const std::string &body, char own_align) {
  const auto length = static_cast<int64_t>(character_count(sign) + character_count(body));
  const int64_t room = std::max<int64_t>(0, field.width - length);
  const char align = field.align ? field.align : field.zero ? '=' : own_align;
  const std::string fill = field.zero && !field.align ? "0" : field.fill;
  const auto filled = [&](int64_t times) {
    std::string out;
    for (int64_t i = 0; i < times; ++i) out += fill;
    return out;
  };
  if (align == '<') return sign + body + filled(room);
  if (align == '^') return filled(room / 2) + sign + body + filled(room - room / 2);
  if (align == '=') return sign + filled(room) + body;
  return filled(room) + sign + body;
}

std::string whole_field(const Field &field, int64_t number) {
  std::string body, sign = sign_of(number < 0, field.sign);
  const char type = field.type ? field.type : 'd';
  if (type == 'c') {
    if (number < 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF))
      throw Refusal(std::to_string(number) + " is no character");
    return padded_field(field, "", utf8(static_cast<uint32_t>(number)), '<');
  }
  const unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  body = digits_of(magnitude(number), base);
  if (type == 'X') body = upper(body);
  if (field.alternate && base != 10) sign += std::string("0") + type;
  if (field.grouping) body = grouped(body, field.grouping, base == 10 ? 3 : 4, zeros_until(field, sign.size()));
  return padded_field(field, sign, body, '>');
}

std::string real_field(const Field &field, double number, bool percent_style) {
  const bool minus = std::signbit(number) && !std::isnan(number);
  const double size = std::abs(number);
  const std::string sign = sign_of(minus, field.sign);
  std::string body;
  char type = field.type;
  if (type == 0) {  // like repr, or like g with a digit behind the point
    if (field.precision < 0) {
      body = real_text(size);
    } else {
      body = magnitude_of(size, 'g', std::max<int64_t>(field.precision, 1), field.alternate);
      if (std::isfinite(size) && body.find_first_of(".e") == std::string::npos) {
        body += ".0";
        if (static_cast<int64_t>(body.size()) - 2 >=
            std::max<int64_t>(field.precision, 1)) {  // no digit is left for the point
          char exponent[64];
          std::snprintf(exponent, sizeof exponent, "%.*e",
                        static_cast<int>(std::min<int64_t>(std::max<int64_t>(field.precision, 1) - 1, 40)), size);
          body = exponent;
          if (const size_t zeros = body.find_last_not_of('0', body.find('e') - 1);
              body.find('.') != std::string::npos && zeros != std::string::npos) {
            const size_t e = body.find('e');
            body.erase(zeros + (body[zeros] == '.' ? 0 : 1), e - zeros - (body[zeros] == '.' ? 0 : 1));
          }
        }
      }
    }
  } else if (type == '%') {
    body = magnitude_of(size * 100, 'f', field.precision, field.alternate) + "%";
  } else {
    if (type == 'n') type = 'g';
    if (percent_style && type == 'F') type = 'f';
    body = magnitude_of(size, type, (type == 'g' || type == 'G') && field.precision == 0 ? 1 : field.precision,
                        field.alternate);
  }
  if (field.grouping) {
    const size_t whole = std::min(body.find_first_not_of("0123456789"), body.size());
    body = grouped(body.substr(0, whole), field.grouping, 3, zeros_until(field, sign.size() + body.size() - whole)) +
           body.substr(whole);
  }
  return padded_field(field, sign, body, '>');
}

std::string cut_text(const std::string &text, int64_t most) {
  return most < 0 ? text : shortened(text, static_cast<size_t>(most));
}

}  // namespace hone::jinja
