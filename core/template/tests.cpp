// tests.cpp -- `value is test`. jinja2's documentation, "List of Builtin Tests".
#include <cmath>

#include "core/template/access.h"
#include "core/template/arguments.h"
#include "core/template/evaluator.h"
#include "core/template/filters.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

using Test = bool (*)(Evaluator &, const Value &, const Arguments &);
using Kind = Value::Kind;

void alone(const Arguments &a) { Bound("this test", {}, a); }
Value other(const Arguments &a) { return Bound("this test", {"other"}, a, 1).at(0); }

template <Kind kind>
bool is_kind(Evaluator &, const Value &v, const Arguments &a) {
  return alone(a), v.is(kind);
}

bool compare(Evaluator &e, const Value &a, const Value &b, const char *op) {
  const std::string name = op;
  if (name == "==") return equal(e.store(), a, b);
  if (name == "!=") return !equal(e.store(), a, b);
  if (name == "<") return less(e.store(), a, b);
  if (name == ">") return less(e.store(), b, a);
  return name == "<=" ? less(e.store(), a, b) || equal(e.store(), a, b)
                      : less(e.store(), b, a) || equal(e.store(), a, b);
}

bool test_eq(Evaluator &e, const Value &v, const Arguments &a) { return compare(e, v, other(a), "=="); }
bool test_ne(Evaluator &e, const Value &v, const Arguments &a) { return compare(e, v, other(a), "!="); }
bool test_lt(Evaluator &e, const Value &v, const Arguments &a) { return compare(e, v, other(a), "<"); }
bool test_le(Evaluator &e, const Value &v, const Arguments &a) { return compare(e, v, other(a), "<="); }
bool test_gt(Evaluator &e, const Value &v, const Arguments &a) { return compare(e, v, other(a), ">"); }
bool test_ge(Evaluator &e, const Value &v, const Arguments &a) { return compare(e, v, other(a), ">="); }
bool test_in(Evaluator &e, const Value &v, const Arguments &a) { return contains(e.store(), other(a), v); }
bool test_sameas(Evaluator &e, const Value &v, const Arguments &a) { return identical(e.store(), v, other(a)); }
bool test_defined(Evaluator &, const Value &v, const Arguments &a) { return alone(a), !v.is_undefined(); }

bool test_number(Evaluator &, const Value &v, const Arguments &a) { return alone(a), v.is_number(); }
bool test_true(Evaluator &, const Value &v, const Arguments &a) { return alone(a), v.is(Kind::boolean) && v.whole(); }
bool test_false(Evaluator &, const Value &v, const Arguments &a) { return alone(a), v.is(Kind::boolean) && !v.whole(); }
bool test_iterable(Evaluator &, const Value &v, const Arguments &a) { return alone(a), can_be_iterated(v); }
// Python's protocol: a length and items by key, so dicts, texts and Undefined are sequences.
bool test_sequence(Evaluator &, const Value &v, const Arguments &a) {
  alone(a);
  return v.is(Kind::sequence) ? v.sequence().can_be_indexed() : has_length(v) && !v.is(Kind::object);
}
bool test_callable(Evaluator &, const Value &v, const Arguments &a) {
  return alone(a), v.is_undefined() || v.as<Function>() || v.as<MacroObject>() || v.as<Joiner>() || v.as<Loop>();
}
bool test_escaped(Evaluator &, const Value &, const Arguments &a) { return alone(a), false; }
bool test_filter(Evaluator &e, const Value &v, const Arguments &a) {
  return alone(a), v.is_text() && is_filter(text_of(e.store(), v));
}
bool test_test(Evaluator &e, const Value &v, const Arguments &a) {
  return alone(a), v.is_text() && is_test(text_of(e.store(), v));
}

Value remainder(Evaluator &e, const Value &v, const Value &by) {
  if (v.is_text()) throw Refusal("this test needs a number, not a str");
  return arithmetic(e.store(), "%", v, by);
}
bool test_even(Evaluator &e, const Value &v, const Arguments &a) {
  return alone(a), !truth(remainder(e, v, Value::integer(2)));
}
bool test_odd(Evaluator &e, const Value &v, const Arguments &a) {
  return alone(a), equal(e.store(), remainder(e, v, Value::integer(2)), Value::integer(1));
}
bool test_divisibleby(Evaluator &e, const Value &v, const Arguments &a) {
  return !truth(remainder(e, v, Bound("test divisibleby", {"num"}, a, 1).at(0)));
}

// At least one character with a case, and all of those of this one.
bool cased(Store &store, const Value &value, bool upper) {
  const std::string text = text_of(store, value);
  store.read_slowly(text.size());
  bool any = false;
  for (const std::string_view one : Characters(text)) {
    const uint32_t c = code_point(one);
    if (is_title(c) || (upper ? is_lower(c) : is_upper(c))) return false;
    any = any || (upper ? is_upper(c) : is_lower(c));
  }
  return any;
}
bool test_lower(Evaluator &e, const Value &v, const Arguments &a) { return alone(a), cased(e.store(), v, false); }
bool test_upper(Evaluator &e, const Value &v, const Arguments &a) { return alone(a), cased(e.store(), v, true); }

const std::unordered_map<std::string_view, Test> &table() {
  static const std::unordered_map<std::string_view, Test> tests = {
      {"defined", test_defined},
      {"undefined", is_kind<Kind::undefined>},
      {"none", is_kind<Kind::none>},
      {"boolean", is_kind<Kind::boolean>},
      {"integer", is_kind<Kind::integer>},
      {"float", is_kind<Kind::real>},
      {"string", is_kind<Kind::text>},
      {"mapping", is_kind<Kind::mapping>},
      {"number", test_number},
      {"true", test_true},
      {"false", test_false},
      {"iterable", test_iterable},
      {"sequence", test_sequence},
      {"callable", test_callable},
      {"escaped", test_escaped},
      {"filter", test_filter},
      {"test", test_test},
      {"even", test_even},
      {"odd", test_odd},
      {"divisibleby", test_divisibleby},
      {"lower", test_lower},
      {"upper", test_upper},
      {"sameas", test_sameas},
      {"in", test_in},
      {"==", test_eq},
      {"eq", test_eq},
      {"equalto", test_eq},
      {"!=", test_ne},
      {"ne", test_ne},
      {"<", test_lt},
      {"lt", test_lt},
      {"lessthan", test_lt},
      {"<=", test_le},
      {"le", test_le},
      {">", test_gt},
      {"gt", test_gt},
      {"greaterthan", test_gt},
      {">=", test_ge},
      {"ge", test_ge},
  };
  return tests;
}

}  // namespace

bool is_test(const std::string &name) { return table().contains(name); }

bool Evaluator::test(const std::string &name, const Value &value, const Arguments &given) {
  store_.read(name.size());
  const auto found = table().find(name);
  if (found == table().end()) throw Refusal("there is no test \"" + shortened(name, 60) + "\"");
  return found->second(*this, value, given);
}

}  // namespace hone::jinja
