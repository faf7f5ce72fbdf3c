// brace_format.cpp -- "{} and {name:.2f}".format(...). Python's library reference, "Format String Syntax".
#include <algorithm>
#include <optional>

#include "core/template/access.h"
#include "core/template/evaluator.h"
#include "core/template/format.h"
#include "core/template/format_field.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

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
      const size_t place = first.empty() ? next_++ : static_cast<size_t>(read_field_number(first, end));
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
      return read_field_number(digits, at);
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
      return padded_field(field, "", cut_text(value.text(), field.precision), '<');
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

std::string brace_format(Evaluator &evaluator, const std::string &pattern, const Arguments &given) {
  return Brace(evaluator, given).all(pattern, 0);
}

}  // namespace hone::jinja
