// percent_format.cpp -- "%s and %.2f" % values. Python's library reference, "printf-style String Formatting".
#include <algorithm>
#include <optional>

#include "core/template/access.h"
#include "core/template/format.h"
#include "core/template/format_field.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

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
      if (!given.is_whole() || given.whole() > widest_field || given.whole() < -widest_field)
        throw Refusal("\"*\" in a format needs a whole number");
      return given.whole();
    }
    return read_field_number(pattern_, at);
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
      return out_.append(padded_field(
          field, "", cut_text(type == 's' ? text_of(store_, value) : repr_of(store_, value), field.precision), '>'));
    }
    if (type == 'c' && value.is_text() && character_count(value.text()) == 1)
      return out_.append(padded_field(field, "", value.text(), '>'));
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
      text = padded_field(field, text.substr(0, sign), text.substr(sign), '>');
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

}  // namespace

std::string percent_format(Store &store, const std::string &pattern, const Value &values) {
  return Percent(store, pattern, values).all();
}

}  // namespace hone::jinja
