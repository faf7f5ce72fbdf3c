// access.cpp -- see access.h. jinja2's Environment.getattr and getitem; Python's sequences.
#include "core/template/access.h"

#include <algorithm>
#include <array>

#include "core/template/evaluator.h"
#include "core/template/format.h"
#include "core/template/number.h"
#include "core/template/search.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

std::string type_words(const Value &value) {
  return value.is_none() ? "'None'" : "'" + std::string(value.type_name()) + " object'";
}

Value missing(Store &store, const Value &of, const std::string &name) {
  return store.undefined(type_words(of) + " has no attribute '" + shortened(name, 100) + "'");
}

// Methods that change what they belong to; the sandbox withholds them.
bool changes(const Value &value, const std::string &name) {
  static constexpr std::array of_list = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
  static constexpr std::array of_dict = {"clear", "pop", "popitem", "setdefault", "update"};
  const auto among = [&](const auto &names) {
    return std::any_of(names.begin(), names.end(), [&](const char *one) { return name == one; });
  };
  if (value.is(Value::Kind::mapping)) return among(of_dict);
  return value.is(Value::Kind::sequence) && value.sequence().flavour == Sequence::Flavour::list && among(of_list);
}

// What Python's getattr() finds: a method, a namespace's attribute, a part of `loop`.
Value own_attribute(Evaluator &evaluator, const Value &value, const std::string &name, bool &found) {
  found = true;
  if (const auto *space = value.as<Namespace>()) {
    if (const Value *attribute = space->find(evaluator.store(), name)) return *attribute;
  } else if (const auto *loop = value.as<Loop>()) {
    return evaluator.loop_attribute(*loop, name, found);
  } else if (const auto *cycler = value.as<Cycler>(); cycler && name == "current") {
    return cycler->items[cycler->at];
  } else {
    return method_of(evaluator, value, name, found);
  }
  found = false;
  return {};
}

Value withheld(Store &store, const Value &value, const std::string &name) {
  return store.undefined("'" + shortened(name, 100) + "' of a " + value.type_name() +
                         " is not for templates, which cannot change values");
}

// x[key] as Python has it.
Value own_item(Evaluator &evaluator, const Value &value, const Value &key, bool &found) {
  found = false;
  if (value.is(Value::Kind::mapping)) {
    if (const Value *item = value.mapping().find(evaluator.store(), key)) {
      found = true;
      return *item;
    }
    return {};
  }
  if (!key.is_whole()) return {};
  const auto place = [&](size_t size) -> size_t {
    const int64_t at = key.whole() < 0 ? key.whole() + static_cast<int64_t>(size) : key.whole();
    found = at >= 0 && at < static_cast<int64_t>(size);
    return static_cast<size_t>(at);
  };
  if (value.is(Value::Kind::sequence) && value.sequence().can_be_indexed()) {
    const size_t at = place(value.sequence().items.size());
    return found ? value.sequence().items[at] : Value();
  }
  if (value.is_text()) {
    evaluator.store().read_slowly(value.text().size());
    const size_t at = place(character_count(value.text()));
    if (!found) return {};
    const size_t byte = place_of(value.text(), at);
    return evaluator.store().text(value.text().substr(byte, character_bytes(value.text(), byte)));
  }
  return {};
}

}  // namespace

Value attribute_of(Evaluator &evaluator, const Value &value, const std::string &name) {
  if (value.is_undefined()) throw Refusal(value.text());
  evaluator.store().read(name.size());
  if (changes(value, name)) return withheld(evaluator.store(), value, name);
  bool found = false;
  Value attribute = own_attribute(evaluator, value, name, found);
  if (found) return attribute;
  if (value.is(Value::Kind::mapping))
    if (const Value *item = value.mapping().find(evaluator.store(), name)) return *item;
  if (name.starts_with("__")) return withheld(evaluator.store(), value, name);
  return missing(evaluator.store(), value, name);
}

Value item_of(Evaluator &evaluator, const Value &value, const Value &key) {
  if (value.is_undefined()) throw Refusal(value.text());
  Store &store = evaluator.store();
  store.step();
  bool found = false;
  Value item = own_item(evaluator, value, key, found);
  if (found) return item;
  if (key.is_text()) {
    store.read(key.text().size());
    if (changes(value, key.text())) return withheld(store, value, key.text());
    item = own_attribute(evaluator, value, key.text(), found);
    if (found) return item;
    return missing(store, value, key.text());
  }
  return store.undefined(type_words(value) + " has no element " +
                         (key.is_whole() ? std::to_string(key.whole()) : std::string("of this key")));
}

// Characters begin, begin + step... up to `end`, without it.
static std::string characters_taken(const std::string &text, int64_t begin, int64_t end, int64_t step) {
  if (step > 0 ? begin >= end : begin <= end) return "";
  size_t byte = place_of(text, static_cast<size_t>(begin));
  if (step == 1)
    return text.substr(byte, place_of(std::string_view(text).substr(byte), static_cast<size_t>(end - begin)));
  std::string taken;
  for (int64_t at = begin; step > 0 ? at < end : at > end;) {
    taken.append(text, byte, character_bytes(text, byte));
    const int64_t before = at;
    if (__builtin_add_overflow(at, step, &at) || (step > 0 ? at >= end : at <= end)) break;
    for (int64_t i = before; i < at; ++i) byte += character_bytes(text, byte);
    for (int64_t i = before; i > at; --i) do
        --byte;
      while ((text[byte] & 0xC0) == 0x80);
  }
  return taken;
}

Value slice_of(Store &store, const Value &value, const Value &from, const Value &to, const Value &by) {
  if (value.is_undefined()) throw Refusal(value.text());
  const bool text = value.is_text();
  if (!text && !(value.is(Value::Kind::sequence) && value.sequence().can_be_indexed()))
    throw Refusal(std::string("a ") + value.type_name() + " cannot be sliced");
  for (const Value *bound : {&from, &to, &by})
    if (!bound->is_none() && !bound->is_whole())
      throw Refusal(std::string("a slice's bounds must be whole numbers, not a ") + bound->type_name());
  if (text) store.read_slowly(value.text().size());
  const auto size = static_cast<int64_t>(text ? character_count(value.text()) : value.sequence().items.size());
  const int64_t step = by.is_none() ? 1 : by.whole();
  if (step == 0) throw Refusal("a slice's step is 0");
  const int64_t least = step < 0 ? -1 : 0, most = step < 0 ? size - 1 : size;
  const auto bound = [&](const Value &given, int64_t fallback) {
    if (given.is_none()) return fallback;
    const int64_t at = given.whole();
    return std::clamp(at < 0 ? at + size : at, least, most);
  };
  const int64_t begin = bound(from, step < 0 ? most : least), end = bound(to, step < 0 ? least : most);
  if (!text && value.sequence().flavour == Sequence::Flavour::range) {
    // Numbers of a range are evenly spaced, so a slice of one is a range, too.
    const int64_t unit = value.sequence().range_step, first = value.sequence().range_start;
    const auto fitting = [](__int128 number) {
      return static_cast<int64_t>(std::clamp<__int128>(number, INT64_MIN, INT64_MAX));
    };
    return store.range(fitting(first + static_cast<__int128>(begin) * unit),
                       fitting(first + static_cast<__int128>(end) * unit), fitting(static_cast<__int128>(unit) * step));
  }
  if (text) return store.text(characters_taken(value.text(), begin, end, step));
  std::vector<Value> items;
  for (int64_t at = begin; step > 0 ? at < end : at > end;) {
    items.push_back(value.sequence().items[static_cast<size_t>(at)]);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  const bool tuple = value.sequence().flavour == Sequence::Flavour::tuple;
  return tuple ? store.tuple(std::move(items)) : store.list(std::move(items));
}

bool can_be_iterated(const Value &value) {
  return value.is_undefined() || value.is_text() || value.is(Value::Kind::sequence) || value.is(Value::Kind::mapping) ||
         value.as<Loop>() != nullptr;
}

std::vector<Value> items_of(Store &store, const Value &value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Value::Kind::undefined:
      return items;
    case Value::Kind::text:
      store.read(value.text().size());
      store.foresee(character_count(value.text()) * (sizeof(Text) + sizeof(Value)));
      for (const std::string_view one : Characters(value.text())) items.push_back(store.text(std::string(one)));
      return items;
    case Value::Kind::mapping:
      store.step(value.mapping().items.size());
      for (const auto &[key, item] : value.mapping().items) items.push_back(key);
      return items;
    case Value::Kind::sequence: {
      const Sequence &sequence = value.sequence();
      if (sequence.flavour == Sequence::Flavour::generator) {
        if (sequence.consumed) return items;
        sequence.consumed = true;
      }
      store.step(sequence.items.size());
      return sequence.items;
    }
    default:
      throw Refusal(std::string("a ") + value.type_name() + " cannot be looped over");
  }
}

bool has_length(const Value &value) {
  if (value.is(Value::Kind::sequence)) return value.sequence().flavour != Sequence::Flavour::generator;
  return value.is_undefined() || value.is_text() || value.is(Value::Kind::mapping) || value.as<Loop>() != nullptr;
}

size_t length_of(Store &store, const Value &value) {
  if (!has_length(value)) throw Refusal(std::string("a ") + value.type_name() + " has no length");
  switch (value.kind()) {
    case Value::Kind::undefined:
      return 0;
    case Value::Kind::text:
      store.read(value.text().size());
      return character_count(value.text());
    case Value::Kind::mapping:
      return value.mapping().items.size();
    case Value::Kind::sequence:
      return value.sequence().items.size();
    default:
      return value.as<Loop>()->items ? value.as<Loop>()->items->size() : 0;
  }
}

bool contains(Store &store, const Value &container, const Value &item) {
  if (container.is_text()) {
    if (item.is_undefined()) throw Refusal(item.text());
    if (!item.is_text()) throw Refusal(std::string("\"in\" a text needs a text, not a ") + item.type_name());
    return find_text(store, container.text(), item.text()) != std::string::npos;
  }
  if (container.is(Value::Kind::mapping)) {
    hash_key(store, item);  // Refusal when it cannot be a key
    return container.mapping().find(store, item) != nullptr;
  }
  if (container.is(Value::Kind::sequence) && container.sequence().flavour != Sequence::Flavour::generator) {
    const auto &items = container.sequence().items;
    return std::any_of(items.begin(), items.end(),
                       [&](const Value &one) { return identical(store, one, item) || equal(store, one, item); });
  }
  const std::vector<Value> items = items_of(store, container);
  return std::any_of(items.begin(), items.end(),
                     [&](const Value &one) { return identical(store, one, item) || equal(store, one, item); });
}

static Value repeated(Store &store, const Value &value, int64_t times) {
  const auto count = static_cast<uint64_t>(std::max<int64_t>(times, 0));
  if (value.is_text()) {
    const std::string &text = value.text();
    if (count > 0 && text.size() > store.limits().text / count) store.check_text(UINT64_MAX);
    std::string all;
    all.reserve(text.size() * count);
    for (uint64_t i = 0; i < count && !text.empty(); ++i) all += text;
    return store.text(std::move(all));
  }
  const Sequence &sequence = value.sequence();
  if (count > 0 && sequence.items.size() > store.limits().memory / sizeof(Value) / count)
    store.charge(store.limits().memory);
  store.foresee(sequence.items.size() * count * sizeof(Value));
  std::vector<Value> items;
  items.reserve(sequence.items.size() * count);
  for (uint64_t i = 0; i < count && !sequence.items.empty(); ++i)
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  return store.sequence(std::move(items), sequence.flavour);
}

static bool can_be_joined(const Value &value) {
  return value.is(Value::Kind::sequence) &&
         (value.sequence().flavour == Sequence::Flavour::list || value.sequence().flavour == Sequence::Flavour::tuple);
}

Value arithmetic(Store &store, const std::string &op, const Value &left, const Value &right) {
  if (left.is_text() && op == "%") return store.text(percent_format(store, left.text(), right));
  for (const Value *one : {&left, &right})
    if (one->is_undefined()) throw Refusal(one->text());
  if (left.is_number() && right.is_number()) {
    static const std::pair<const char *, Operator> operators[] = {
        {"+", Operator::add},           {"-", Operator::subtract}, {"*", Operator::multiply}, {"/", Operator::divide},
        {"//", Operator::floor_divide}, {"%", Operator::modulo},   {"**", Operator::power}};
    for (const auto &[name, known] : operators)
      if (op == name) return compute(known, left, right);
  }
  if (op == "+" && left.is_text() && right.is_text()) {
    store.check_text(left.text().size() + right.text().size());
    return store.text(left.text() + right.text());
  }
  if (op == "+" && can_be_joined(left) && can_be_joined(right) && left.sequence().flavour == right.sequence().flavour) {
    const size_t size = left.sequence().items.size() + right.sequence().items.size();
    store.foresee(size * sizeof(Value));
    std::vector<Value> items;
    items.reserve(size);
    items = left.sequence().items;
    items.insert(items.end(), right.sequence().items.begin(), right.sequence().items.end());
    return store.sequence(std::move(items), left.sequence().flavour);
  }
  if (op == "*" && (left.is_text() || can_be_joined(left)) && right.is_whole())
    return repeated(store, left, right.whole());
  if (op == "*" && (right.is_text() || can_be_joined(right)) && left.is_whole())
    return repeated(store, right, left.whole());
  throw Refusal("\"" + op + "\" does not work for a " + left.type_name() + " and a " + right.type_name());
}

}  // namespace hone::jinja
