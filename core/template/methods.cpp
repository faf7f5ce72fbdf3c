// methods.cpp -- finds a value's method by its name, and those of dict, list, tuple and cycler. Python's library
// reference, "Built-in Types".
#include "core/template/methods.h"

#include "core/template/access.h"
#include "core/template/arguments.h"
#include "core/template/evaluator.h"

namespace hone::jinja {
namespace {

// ---- dict ----

Value dict_get(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("get()", {"key", "default"}, a, 1);
  hash_key(e.store(), bound.at(0));  // Refusal when it cannot be a key
  if (const Value *found = self.mapping().find(e.store(), bound.at(0))) return *found;
  return bound.has(1) ? bound.at(1) : Value();
}
Value dict_keys(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("keys()", {}, a);
  return e.store().sequence(items_of(e.store(), self), Sequence::Flavour::keys);
}
Value dict_values(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("values()", {}, a);
  std::vector<Value> values;
  for (const auto &[key, value] : self.mapping().items) values.push_back(value);
  return e.store().sequence(std::move(values), Sequence::Flavour::values);
}
Value dict_items(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("items()", {}, a);
  std::vector<Value> pairs;
  for (const auto &[key, value] : self.mapping().items) pairs.push_back(e.store().tuple({key, value}));
  return e.store().sequence(std::move(pairs), Sequence::Flavour::items);
}
Value dict_copy(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("copy()", {}, a);
  return e.store().mapping(self.mapping().items);
}
const MethodTable &dict_methods() {
  static const MethodTable table = {
      {"get", dict_get}, {"keys", dict_keys}, {"values", dict_values}, {"items", dict_items}, {"copy", dict_copy}};
  return table;
}

// ---- list, tuple, range ----

Value list_count(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("count()", {"value"}, a, 1);
  int64_t n = 0;
  for (const Value &item : self.sequence().items)
    n += identical(e.store(), item, bound.at(0)) || equal(e.store(), item, bound.at(0));
  return Value::integer(n);
}
Value list_index(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("index()", {"value"}, a, 1);
  const auto &items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i)
    if (identical(e.store(), items[i], bound.at(0)) || equal(e.store(), items[i], bound.at(0)))
      return Value::integer(static_cast<int64_t>(i));
  throw Refusal("index(): the list does not contain what is looked for");
}
Value list_copy(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("copy()", {}, a);
  return e.store().list(self.sequence().items);
}
const MethodTable &tuple_methods() {
  static const MethodTable table = {{"count", list_count}, {"index", list_index}};
  return table;
}
const MethodTable &list_methods() {
  static const MethodTable table = {{"count", list_count}, {"index", list_index}, {"copy", list_copy}};
  return table;
}

// ---- cycler ----

Value cycler_next(Evaluator &, const Value &self, const Arguments &a) {
  const Bound bound("next()", {}, a);
  auto *cycler = const_cast<Cycler *>(self.as<Cycler>());
  const Value now = cycler->items[cycler->at];
  cycler->at = (cycler->at + 1) % cycler->items.size();
  return now;
}
Value cycler_reset(Evaluator &, const Value &self, const Arguments &a) {
  const Bound bound("reset()", {}, a);
  const_cast<Cycler *>(self.as<Cycler>())->at = 0;
  return {};
}
const MethodTable &cycler_methods() {
  static const MethodTable table = {{"next", cycler_next}, {"reset", cycler_reset}};
  return table;
}

const MethodTable *methods_of(const Value &value) {
  if (value.is_text()) return &text_methods();
  if (value.is(Value::Kind::mapping)) return &dict_methods();
  if (value.as<Cycler>()) return &cycler_methods();
  if (!value.is(Value::Kind::sequence) || !value.sequence().can_be_indexed()) return nullptr;
  return value.sequence().flavour == Sequence::Flavour::list ? &list_methods() : &tuple_methods();
}

}  // namespace

Value method_of(Evaluator &evaluator, const Value &value, const std::string &name, bool &found) {
  found = false;
  const MethodTable *table = methods_of(value);
  if (!table) return {};
  const auto method = table->find(name);
  if (method == table->end()) return {};
  found = true;
  auto function = std::make_shared<Function>();
  function->name = name;
  function->call = [self = value, name, call = method->second](Evaluator &e, const Arguments &given) {
    const bool named = self.is_text() && (name == "split" || name == "rsplit" || name == "splitlines" ||
                                          name == "format" || name == "replace");
    if (!given.named.empty() && !named) throw Refusal(name + "() takes its arguments by place, not by name");
    return call(e, self, given);
  };
  return evaluator.store().object(std::move(function), {value});
}

}  // namespace hone::jinja
