// format.cpp -- see format.h. Python's library reference: "printf-style String Formatting" and "Format Specification
// Mini-Language".
#include "core/template/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "core/template/access.h"
#include "core/template/evaluator.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

constexpr int64_t widest = 10'000;  // of one field, and its most digits

struct Field {
  std::string fill = " ";
  char align = 0;  // '<', '>', '^', '='; 0: the type's own
  char sign = '-';
  bool alternate = false, zero = false;
  int64_t width = 0, precision = -1;
  char grouping = 0;
  char type = 0;
};

int64_t read_number(std::string_view text, size_t &at) {
  int64_t number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > widest) throw Refusal("a format's width or precision is more than " + std::to_string(widest));
  }
  return number;
}

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

std::string padded(const Field &field, const std::string &sign, const std::string &body, char own_align) {
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

std::string sign_of(bool minus, char sign) { return minus ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : ""; }

// What digits must take when the zeros before them are in groups as well.
int64_t zeros_until(const Field &field, size_t others) {
  return field.align == '=' && field.fill == "0" ? field.width - static_cast<int64_t>(others) : 0;
}

std::string whole_field(const Field &field, int64_t number) {
  std::string body, sign = sign_of(number < 0, field.sign);
  const char type = field.type ? field.type : 'd';
  if (type == 'c') {
    if (number < 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF))
      throw Refusal(std::to_string(number) + " is no character");
    return padded(field, "", utf8(static_cast<uint32_t>(number)), '<');
  }
  const unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  body = digits_of(magnitude(number), base);
  if (type == 'X') body = upper(body);
  if (field.alternate && base != 10) sign += std::string("0") + type;
  if (field.grouping) body = grouped(body, field.grouping, base == 10 ? 3 : 4, zeros_until(field, sign.size()));
  return padded(field, sign, body, '>');
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
  return padded(field, sign, body, '>');
}

std::string cut(const std::string &text, int64_t most) {
  return most < 0 ? text : shortened(text, static_cast<size_t>(most));
}

// ---- "%s" ----

class Percent {
 public:
  Percent(Store &store, const std::string &pattern, const Value &values)
      : store_(store), pattern_(pattern), values_(values), out_(store) {
    tuple_ = values.is(Value::Kind::sequence) && values.sequence().flavour == Sequence::Flavour::tuple;
  }

  std::string all() {
    store_.read_slowly(pattern_.size());
    for (size_t at = 0; at < pattern_.size();) {
      if (pattern_[at] != '%') {
        const size_t next = std::min(pattern_.find('%', at), pattern_.size());
        out_.append(std::string_view(pattern_).substr(at, next - at));
        at = next;
        continue;
      }
      ++at;
      field(at);
    }
    if (tuple_ ? next_ < values_.sequence().items.size()
               : !used_ && !values_.is(Value::Kind::mapping) && !values_.is(Value::Kind::sequence))
      throw Refusal("a format has fewer places than there are values");
    return out_.text();
  }

 private:
  const Value &take() {
    used_ = true;
    if (tuple_) {
      if (next_ >= values_.sequence().items.size()) throw Refusal("a format has more places than there are values");
      return values_.sequence().items[next_++];
    }
    if (next_++ > 0) throw Refusal("a format has more places than there are values");
    return values_;
  }
  int64_t number(size_t &at) {
    if (at < pattern_.size() && pattern_[at] == '*') {
      ++at;
      const Value &given = take();
      if (!given.is_whole() || given.whole() > widest || given.whole() < -widest)
        throw Refusal("\"*\" in a format needs a whole number");
      return given.whole();
    }
    return read_number(pattern_, at);
  }

  void field(size_t &at) {
    Field field;
    std::optional<Value> named;
    if (at < pattern_.size() && pattern_[at] == '(') {
      const size_t end = pattern_.find(')', at);
      if (end == std::string::npos) throw Refusal("a format has a \"(\" without its end");
      if (!values_.is(Value::Kind::mapping)) throw Refusal("a format with names needs a dict");
      const std::string_view name = std::string_view(pattern_).substr(at + 1, end - at - 1);
      const Value *found = values_.mapping().find(store_, name);
      if (!found) throw Refusal("a format names \"" + shortened(name, 60) + "\", which the dict does not have");
      named = *found;
      at = end + 1;
    }
    for (; at < pattern_.size() && std::string_view("#0- +").find(pattern_[at]) != std::string_view::npos; ++at) {
      if (pattern_[at] == '#') field.alternate = true;
      if (pattern_[at] == '0') field.zero = true;
      if (pattern_[at] == '-') field.align = '<';
      if (pattern_[at] == '+') field.sign = '+';
      if (pattern_[at] == ' ' && field.sign != '+') field.sign = ' ';
    }
    field.width = number(at);
    if (field.width < 0) field.align = '<', field.width = -field.width;
    if (at < pattern_.size() && pattern_[at] == '.') field.precision = std::max<int64_t>(0, number(++at));
    while (at < pattern_.size() && (pattern_[at] == 'l' || pattern_[at] == 'h' || pattern_[at] == 'L')) ++at;
    if (at >= pattern_.size()) throw Refusal("a format ends with an unfinished \"%\"");
    if (static_cast<unsigned char>(pattern_[at]) >= 0x80)
      throw Refusal("a format has no type \"%" + pattern_.substr(at, character_bytes(pattern_, at)) + "\"");
    const char type = pattern_[at++];
    if (type == '%') return out_.append("%");
    const Value value = named ? *named : take();
    put(field, type, value);
  }

  void put(Field &field, char type, const Value &value) {
    if (type == 's' || type == 'r' || type == 'a') {
      field.zero = false;
      return out_.append(
          padded(field, "", cut(type == 's' ? text_of(store_, value) : repr_of(store_, value), field.precision), '>'));
    }
    if (type == 'c' && value.is_text() && character_count(value.text()) == 1)
      return out_.append(padded(field, "", value.text(), '>'));
    if (std::string_view("diouxXeEfFgGc").find(type) == std::string_view::npos)
      throw Refusal(std::string("a format has no type \"%") + type + "\"");
    if (!value.is_number())
      throw Refusal(std::string("the format \"%") + type + "\" needs a number, not a " + value.type_name());
    if (std::string_view("eEfFgG").find(type) != std::string_view::npos) {
      field.type = type;
      return out_.append(real_field(field, value.number(), true));
    }
    if (!value.is_whole() && type != 'd' && type != 'i' && type != 'u')
      throw Refusal(std::string("the format \"%") + type + "\" needs a whole number");
    field.type = type == 'i' || type == 'u' ? 'd' : type;
    const int64_t whole = value.is_whole() ? value.whole() : whole_of(value.number(), "a format");
    std::string text = whole_field(field, whole);
    if (field.precision > 0 && field.type != 'c') {  // least digits
      Field plain = field;
      plain.width = 0;
      plain.zero = false;
      text = whole_field(plain, whole);
      const size_t sign = text.find_first_of("0123456789abcdefABCDEF");
      if (static_cast<int64_t>(text.size() - sign) < field.precision)
        text.insert(sign, static_cast<size_t>(field.precision) - (text.size() - sign), '0');
      text = padded(field, text.substr(0, sign), text.substr(sign), '>');
    }
    out_.append(text);
  }

  Store &store_;
  const std::string &pattern_;
  const Value &values_;
  Output out_;
  bool tuple_ = false, used_ = false;
  size_t next_ = 0;
};

// ---- "{}" ----

class Brace {
 public:
  Brace(Evaluator &evaluator, const Arguments &given) : evaluator_(evaluator), given_(given) {}

  std::string all(std::string_view pattern, int depth) {
    if (depth > 2) throw Refusal("a format's fields are nested too deeply");
    evaluator_.store().read_slowly(pattern.size());
    Output out(evaluator_.store());
    for (size_t at = 0; at < pattern.size();) {
      const char c = pattern[at];
      if (c != '{' && c != '}') {
        const size_t next = std::min(pattern.find_first_of("{}", at), pattern.size());
        out.append(pattern.substr(at, next - at));
        at = next;
      } else if (at + 1 < pattern.size() && pattern[at + 1] == c) {
        out.append(pattern.substr(at, 1));
        at += 2;
      } else if (c == '}') {
        throw Refusal("a format has a \"}\" without its beginning");
      } else {
        size_t end = at + 1;
        for (int level = 1; end < pattern.size(); ++end) {
          level += pattern[end] == '{' ? 1 : pattern[end] == '}' ? -1 : 0;
          if (level == 0) break;
        }
        if (end >= pattern.size()) throw Refusal("a format has a \"{\" without its end");
        out.append(field(pattern.substr(at + 1, end - at - 1), depth));
        at = end + 1;
      }
    }
    return out.text();
  }

 private:
  std::string field(std::string_view text, int depth) {
    const size_t name_end = std::min(text.find_first_of("!:"), text.size());
    Value value = lookup(text.substr(0, name_end));
    size_t at = name_end;
    if (at < text.size() && text[at] == '!') {
      const char conversion = at + 1 < text.size() ? text[at + 1] : ' ';
      if (conversion != 's' && conversion != 'r')
        throw Refusal("a format has no conversion of that name; \"!s\" and \"!r\" are known");
      value = evaluator_.store().text(conversion == 's' ? text_of(evaluator_.store(), value)
                                                        : repr_of(evaluator_.store(), value));
      at += 2;
    }
    std::string spec;
    if (at < text.size()) {
      if (text[at] != ':') throw Refusal("a format's field is not of the form {name!r:spec}");
      spec = all(text.substr(at + 1), depth + 1);
    }
    return formatted(value, spec);
  }

  Value lookup(std::string_view text) {
    size_t at = std::min(text.find_first_of(".["), text.size());
    const std::string first(text.substr(0, at));
    Value value;
    if (first.empty() || first.find_first_not_of("0123456789") == std::string::npos) {
      size_t end = 0;
      const size_t place = first.empty() ? next_++ : static_cast<size_t>(read_number(first, end));
      if (place >= given_.positional.size()) throw Refusal("a format has more places than there are values");
      value = given_.positional[place];
    } else {
      evaluator_.store().walk(given_.named.size());
      const auto found =
          std::find_if(given_.named.begin(), given_.named.end(), [&](const auto &one) { return one.first == first; });
      if (found == given_.named.end())
        throw Refusal("a format names \"" + shortened(first, 60) + "\", which is not given");
      value = found->second;
    }
    while (at < text.size()) {
      if (text[at] == '.') {
        const size_t end = std::min(text.find_first_of(".[", at + 1), text.size());
        if (end == at + 1) throw Refusal("a format's field names an empty attribute");
        value = attribute_of(evaluator_, value, std::string(text.substr(at + 1, end - at - 1)));
        at = end;
        continue;
      }
      const size_t end = text.find(']', at);
      if (text[at] != '[' || end == std::string_view::npos)
        throw Refusal("a format's field is not of the form {name[key]}");
      const std::string key(text.substr(at + 1, end - at - 1));
      if (key.empty()) throw Refusal("a format's field names an empty key");
      // A key is a number when it is digits; "-1" is a text.
      const auto whole = key.find_first_not_of("0123456789") == std::string::npos ? read_whole(key) : std::nullopt;
      value = item_of(evaluator_, value, whole ? Value::integer(*whole) : evaluator_.store().text(key));
      at = end + 1;
    }
    return value;
  }

  std::string formatted(const Value &value, const std::string &spec) {
    if (spec.empty()) return text_of(evaluator_.store(), value);
    if (spec.size() > 400) throw Refusal("a format specification is longer than 400 bytes");
    std::vector<std::string_view> letters;
    for (const std::string_view one : Characters(spec)) letters.push_back(one);
    Field field;
    bool filled = false;
    size_t i = 0;
    const auto is_align = [&](size_t at) {
      return at < letters.size() && letters[at].size() == 1 &&
             std::string_view("<>^=").find(letters[at][0]) != std::string_view::npos;
    };
    const auto letter = [&] { return i < letters.size() && letters[i].size() == 1 ? letters[i][0] : '\0'; };
    if (is_align(1)) {
      field.fill = std::string(letters[0]);
      field.align = letters[1][0];
      filled = true;
      i = 2;
    } else if (is_align(0)) {
      field.align = letters[0][0];
      i = 1;
    }
    const bool signs = letter() == '+' || letter() == '-' || letter() == ' ';
    if (signs) field.sign = letters[i++][0];
    if (letter() == '#') field.alternate = true, ++i;
    if (letter() == '0' && !filled) {
      field.fill = "0";
      if (!field.align && !value.is_text()) field.align = '=';
      ++i;
    }
    const auto number = [&] {
      std::string digits;
      while (letter() >= '0' && letter() <= '9') digits += letters[i++];
      size_t at = 0;
      return read_number(digits, at);
    };
    field.width = number();
    if (letter() == ',' || letter() == '_') field.grouping = letters[i++][0];
    if (letter() == '.') ++i, field.precision = number();
    if (letter() != '\0') field.type = letters[i++][0];
    if (i < letters.size()) throw Refusal("the format specification \"" + shortened(spec, 60) + "\" is not understood");
    if (value.is_text()) {
      if (field.type && field.type != 's')
        throw Refusal(std::string("the format \"") + field.type + "\" needs a number, not a str");
      if (field.align == '=' || signs || field.alternate || field.grouping)
        throw Refusal("the format specification \"" + shortened(spec, 60) + "\" is for numbers, not for a str");
      return padded(field, "", cut(value.text(), field.precision), '<');
    }
    if (field.type == 'n') {  // a locale's own way; this one is C's
      if (field.grouping) throw Refusal(std::string("the format \"") + field.grouping + "\" does not fit \"n\"");
      if (value.is_whole()) field.type = 'd';
    }
    const bool real_type = field.type && std::string_view("eEfFgGn%").find(field.type) != std::string_view::npos;
    if (value.is_number() && (real_type || value.is(Value::Kind::real))) {
      if (field.type && !real_type)
        throw Refusal(std::string("the format \"") + field.type + "\" does not fit a float");
      return real_field(field, value.number(), false);
    }
    if (value.is_whole()) {
      if (field.type && std::string_view("bcdoxX").find(field.type) == std::string_view::npos)
        throw Refusal(std::string("the format \"") + field.type + "\" does not fit an int");
      if (field.grouping && field.type && field.type != 'd' && (field.grouping == ',' || field.type == 'c'))
        throw Refusal(std::string("the format \"") + field.grouping + "\" does not fit \"" + field.type + "\"");
      if (field.type == 'c' && (signs || field.alternate))
        throw Refusal("the format \"c\" takes neither a sign nor \"#\"");
      if (field.precision >= 0) throw Refusal("a precision does not fit an int");
      return whole_field(field, value.whole());
    }
    throw Refusal(std::string("a ") + value.type_name() + " takes no format specification");
  }

  Evaluator &evaluator_;
  const Arguments &given_;
  size_t next_ = 0;
};

}  // namespace

std::string percent_format(Store &store, const std::string &pattern, const Value &values) {
  return Percent(store, pattern, values).all();
}

std::string brace_format(Evaluator &evaluator, const std::string &pattern, const Arguments &given) {
  return Brace(evaluator, given).all(pattern, 0);
}

}  // namespace hone::jinja
