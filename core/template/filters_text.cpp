// filters_text.cpp -- filters of texts and numbers. jinja2's documentation, "List of Builtin Filters"; tojson is
// transformers' own.
#include <algorithm>
#include <cmath>

#include "core/template/access.h"
#include "core/template/arguments.h"
#include "core/template/evaluator.h"
#include "core/template/filters.h"
#include "core/template/format.h"
#include "core/template/number.h"
#include "core/template/text_editing.h"
#include "core/template/to_json.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

std::string text(Evaluator &e, const Value &value) { return text_of(e.store(), value); }
// A text whose cases change: ICU works for each character in the worst case.
std::string cased_text(Evaluator &e, const Value &value) {
  std::string from = text(e, value);
  e.store().step(1 + from.size());
  return from;
}
Value made(Evaluator &e, std::string text) { return e.store().text(std::move(text)); }

void no_arguments(const char *what, const Arguments &a) { Bound(what, {}, a); }

Value filter_upper(Evaluator &e, const Value &v, const Arguments &a) {
  return no_arguments("filter upper", a), made(e, upper(cased_text(e, v)));
}
Value filter_lower(Evaluator &e, const Value &v, const Arguments &a) {
  return no_arguments("filter lower", a), made(e, lower(cased_text(e, v)));
}
Value filter_capitalize(Evaluator &e, const Value &v, const Arguments &a) {
  return no_arguments("filter capitalize", a), made(e, capitalize(cased_text(e, v)));
}
Value filter_string(Evaluator &e, const Value &v, const Arguments &a) {
  return no_arguments("filter string", a), made(e, text(e, v));
}

// Words begin behind white space and -([{<, unlike those of str.title().
Value filter_title(Evaluator &e, const Value &v, const Arguments &a) {
  no_arguments("filter title", a);
  std::string out, word;
  const auto finish = [&] {
    if (word.empty()) return;
    const size_t first = character_bytes(word, 0);
    out += upper(word.substr(0, first)) + lower(word.substr(first));
    word.clear();
  };
  const std::string from = cased_text(e, v);
  for (const std::string_view one : Characters(from)) {
    if (is_space(code_point(one)) || one.find_first_of("-({[<") != std::string_view::npos) {
      finish();
      out += one;
    } else {
      word += one;
    }
  }
  finish();
  return made(e, out);
}

Value filter_trim(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter trim", {"chars"}, a);
  const std::string from = text(e, v);
  e.store().read_slowly(from.size());
  if (!bound.has_value(0)) return made(e, std::string(strip_right(strip_left(from))));
  const std::string_view set = bound.text(0, "");
  e.store().read_slowly(set.size());
  return made(e, std::string(strip_right(strip_left(from, set), set)));
}

Value filter_replace(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter replace", {"old", "new", "count"}, a, 2);
  return made(e, replaced(e.store(), text(e, v), text(e, bound.at(0)), text(e, bound.at(1)),
                          bound.has_value(2) ? bound.whole(2, -1) : -1));
}

Value filter_default(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter default", {"default_value", "boolean"}, a);
  const bool wanted = v.is_undefined() || (bound.flag(1, false) && !truth(v));
  if (!wanted) return v;
  return bound.has(0) ? bound.at(0) : made(e, "");
}

Value filter_length(Evaluator &e, const Value &v, const Arguments &a) {
  return no_arguments("filter length", a), Value::integer(static_cast<int64_t>(length_of(e.store(), v)));
}

Value filter_tojson(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, a);
  const Value indent = bound.has(1) ? bound.at(1) : Value();
  std::string between = indent.is_none() ? ", " : ",", after_key = ": ";
  if (bound.has_value(2)) {
    const std::vector<Value> pair = items_of(e.store(), bound.at(2));
    if (pair.size() != 2 || !pair[0].is_text() || !pair[1].is_text())
      throw Refusal("tojson: separators must be two texts");
    between = pair[0].text();
    after_key = pair[1].text();
  }
  return made(e, to_json(e.store(), v, bound.flag(0, false), indent, between, after_key, bound.flag(3, false)));
}

Value filter_safe(Evaluator &e, const Value &v, const Arguments &a) {
  return no_arguments("filter safe", a), made(e, text(e, v));
}

// The text with what `replacement` gives for the bytes that are not `plain`.
template <class Plain, class Replacement>
Value with_replaced(Evaluator &e, const Value &v, Plain plain, Replacement replacement) {
  const std::string from = text(e, v);
  Output out(e.store());
  for (auto at = from.begin(); at != from.end();) {
    const auto end = std::find_if_not(at, from.end(), plain);
    out.append(std::string_view(at, end));
    at = end;
    if (at != from.end()) out.append(replacement(*at++));
  }
  return made(e, out.text());
}

Value filter_escape(Evaluator &e, const Value &v, const Arguments &a) {
  no_arguments("filter escape", a);
  constexpr std::string_view special = "&<>'\"";
  static constexpr const char *written[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  return with_replaced(
      e, v, [&](char c) { return special.find(c) == std::string_view::npos; },
      [&](char c) { return std::string(written[special.find(c)]); });
}

Value filter_indent(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter indent", {"width", "first", "blank"}, a);
  std::string indention(4, ' ');
  if (bound.has(0) && bound.at(0).is_text())
    indention = bound.at(0).text();
  else if (const int64_t width = bound.whole(0, 4); width <= 10'000)
    indention = std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
  else
    throw Refusal("filter indent: a width of " + std::to_string(width) + " is too wide");
  const std::string from = text(e, v) + "\n";
  e.store().read_slowly(from.size());
  e.store().read(indention.size());
  Output out(e.store());
  if (bound.flag(1, false)) out.append(indention);
  bool first = true;
  for (std::string_view rest = from, line; next_line(rest, line); first = false) {
    if (!first) out.append("\n");
    if (!first && (!line.empty() || bound.flag(2, false))) out.append(indention);
    out.append(line);
  }
  return made(e, out.text());
}

Value filter_center(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter center", {"width"}, a);
  return made(e, aligned(e.store(), text(e, v), bound.whole(0, 80), " ", '^'));
}

Value filter_format(Evaluator &e, const Value &v, const Arguments &a) {
  if (!a.positional.empty() && !a.named.empty())
    throw Refusal("filter format takes values by place or by name, not both");
  if (a.named.empty()) return made(e, percent_format(e.store(), text(e, v), e.store().tuple(a.positional)));
  std::vector<std::pair<Value, Value>> named;
  for (const auto &[name, value] : a.named) named.emplace_back(made(e, name), value);
  return made(e, percent_format(e.store(), text(e, v), e.store().mapping(named)));
}

Value filter_truncate(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter truncate", {"length", "killwords", "end", "leeway"}, a);
  const std::string from = text(e, v), end(bound.text(2, "..."));
  const int64_t length = bound.whole(0, 255), leeway = bound.has_value(3) ? bound.whole(3, 5) : 5,
                of_end = static_cast<int64_t>(character_count(end));
  if (length < of_end) throw Refusal("filter truncate: length is shorter than the end");
  if (leeway < 0) throw Refusal("filter truncate: leeway is below 0");
  e.store().read_slowly(from.size() + end.size());
  const auto size = static_cast<int64_t>(character_count(from));
  if (size <= length || size - leeway <= length) return made(e, from);
  std::string kept = shortened(from, static_cast<size_t>(length - of_end));
  if (!bound.flag(1, false))
    if (const size_t space = kept.rfind(' '); space != std::string::npos) kept.resize(space);
  return made(e, kept + end);
}

Value filter_wordcount(Evaluator &e, const Value &v, const Arguments &a) {
  no_arguments("filter wordcount", a);
  int64_t words = 0;
  bool inside = false;
  const std::string from = text(e, v);
  e.store().read_slowly(from.size());
  for (const std::string_view one : Characters(from)) {
    const uint32_t c = code_point(one);
    const bool word = c == '_' || is_letter(c) || is_numeric(c);
    words += word && !inside;
    inside = word;
  }
  return Value::integer(words);
}

Value filter_urlencode(Evaluator &e, const Value &v, const Arguments &a) {
  no_arguments("filter urlencode", a);
  if (!v.is_text() && !v.is_undefined() && can_be_iterated(v))
    throw Refusal(std::string("filter urlencode: needs a text, not a ") + v.type_name());
  return with_replaced(
      e, v,
      [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) ||
               std::string_view("_.-~/").find(c) != std::string_view::npos;
      },
      [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return std::string{'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
      });
}

Value filter_int(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter int", {"default", "base"}, a);
  const Value fallback = bound.has(0) ? bound.at(0) : Value::integer(0);
  if (v.is_undefined()) throw Refusal(v.text());
  if (v.is_whole()) return Value::integer(v.whole());
  if (v.is(Value::Kind::real))
    return std::isnan(v.number()) ? fallback : Value::integer(whole_of(v.number(), "filter int"));
  if (!v.is_text()) return fallback;
  e.store().read_slowly(v.text().size());
  const int64_t base = bound.whole(1, 10);
  if (base == 0 || (base >= 2 && base <= 36))
    if (const auto whole = read_whole(v.text(), static_cast<int>(base))) return Value::integer(*whole);
  const auto real = read_real(v.text());
  return real && std::isfinite(*real) ? Value::integer(whole_of(*real, "filter int")) : fallback;
}

Value filter_float(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter float", {"default"}, a);
  if (v.is_undefined()) throw Refusal(v.text());
  if (v.is_number()) return Value::real(v.number());
  if (v.is_text()) {
    e.store().read_slowly(v.text().size());
    if (const auto real = read_real(v.text())) return Value::real(*real);
  }
  return bound.has(0) ? bound.at(0) : Value::real(0);
}

void need_number(const char *what, const Value &v) {
  if (v.is_undefined()) throw Refusal(v.text());
  if (!v.is_number()) throw Refusal(std::string(what) + ": needs a number, not a " + v.type_name());
}

Value filter_abs(Evaluator &, const Value &v, const Arguments &a) {
  no_arguments("filter abs", a);
  need_number("filter abs", v);
  if (v.is(Value::Kind::real)) return Value::real(std::abs(v.number()));
  return v.whole() < 0 ? negative(v) : Value::integer(v.whole());
}

Value filter_round(Evaluator &, const Value &v, const Arguments &a) {
  const Bound bound("filter round", {"precision", "method"}, a);
  need_number("filter round", v);
  const int64_t precision = bound.whole(0, 0);
  const std::string_view method = bound.text(1, "common");
  if (method == "common") {
    if (v.is(Value::Kind::real)) return Value::real(round_to(v.number(), precision));
    if (precision >= 0) return Value::integer(v.whole());
    if (precision < -18) return Value::integer(0);
    int64_t unit = 1;
    for (int64_t i = 0; i < -precision; ++i) unit *= 10;
    int64_t rest = v.whole() % unit;
    __int128 rounded = static_cast<__int128>(v.whole()) - rest;  // down to a multiple of the unit
    if (rest < 0) rest += unit, rounded -= unit;
    if (rest > unit / 2 || (rest == unit / 2 && (rounded / unit) % 2 != 0)) rounded += unit;
    if (rounded < INT64_MIN || rounded > INT64_MAX) throw Refusal("filter round: the result does not fit in 64 bits");
    return Value::integer(static_cast<int64_t>(rounded));
  }
  if (method != "ceil" && method != "floor")
    throw Refusal("filter round: method must be common, ceil or floor, not \"" + shortened(method, 40) + "\"");
  const Value unit = compute(Operator::power, Value::integer(10), Value::integer(precision));
  const Value scaled = compute(Operator::multiply, v, unit);
  const double edge = method == "ceil" ? std::ceil(scaled.number()) : std::floor(scaled.number());
  return compute(Operator::divide, Value::integer(whole_of(edge, "filter round")), unit);
}

}  // namespace

const FilterTable &text_filters() {
  static const FilterTable table = {
      {"upper", filter_upper},       {"lower", filter_lower},         {"capitalize", filter_capitalize},
      {"string", filter_string},     {"title", filter_title},         {"trim", filter_trim},
      {"replace", filter_replace},   {"default", filter_default},     {"d", filter_default},
      {"length", filter_length},     {"count", filter_length},        {"tojson", filter_tojson},
      {"safe", filter_safe},         {"escape", filter_escape},       {"e", filter_escape},
      {"indent", filter_indent},     {"center", filter_center},       {"format", filter_format},
      {"truncate", filter_truncate}, {"wordcount", filter_wordcount}, {"urlencode", filter_urlencode},
      {"int", filter_int},           {"float", filter_float},         {"abs", filter_abs},
      {"round", filter_round},
  };
  return table;
}

}  // namespace hone::jinja
