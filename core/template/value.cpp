// value.cpp -- see value.h. Python's data model: truth, ==, <, str() and repr() of the built-in types.
#include "core/template/value.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/template/number.h"
#include "core/template/objects.h"
#include "core/template/store.h"
#include "core/template/unicode.h"

namespace hone::jinja {

Object::~Object() {
  if (owner) owner->release(bytes);
}

Value Value::constant(std::string text) {
  auto made = std::make_shared<Text>();
  made->bytes_of_text = std::move(text);
  return of(Kind::text, std::move(made));
}

const std::string &Value::text() const { return static_cast<const Text *>(object_.get())->bytes_of_text; }
const Sequence &Value::sequence() const { return *static_cast<const Sequence *>(object_.get()); }
const Mapping &Value::mapping() const { return *static_cast<const Mapping *>(object_.get()); }

const char *Value::type_name() const {
  switch (kind_) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    default:
      return object_->type_name();
  }
}

const char *Sequence::type_name() const {
  switch (flavour) {
    case Flavour::list:
      return "list";
    case Flavour::tuple:
      return "tuple";
    case Flavour::range:
      return "range";
    case Flavour::keys:
      return "dict_keys";
    case Flavour::values:
      return "dict_values";
    case Flavour::items:
      return "dict_items";
    case Flavour::generator:
      return "generator";
  }
  return "list";
}

const Value *Mapping::find(Store &store, const Value &key) const {
  if (key.is(Value::Kind::mapping) ||
      (key.is(Value::Kind::sequence) && key.sequence().flavour != Sequence::Flavour::tuple &&
       key.sequence().flavour != Sequence::Flavour::range))
    return nullptr;
  const auto found = place.find(hash_key(store, key));
  return found == place.end() ? nullptr : &items[found->second].second;
}

const Value *Mapping::find(Store &store, std::string_view key) const {
  store.read(key.size());
  const auto found = place.find("s" + std::string(key));
  return found == place.end() ? nullptr : &items[found->second].second;
}

size_t Mapping::set(Store &store, const Value &key, Value value) {
  const auto [at, fresh] = place.emplace(hash_key(store, key), items.size());
  if (fresh)
    items.emplace_back(key, std::move(value));
  else
    items[at->second].second = std::move(value);
  return at->first.size();
}

std::string hash_key(Store &store, const Value &value) {
  store.step();
  switch (value.kind()) {
    case Value::Kind::undefined:
      return "U";
    case Value::Kind::none:
      return "N";
    case Value::Kind::boolean:
    case Value::Kind::integer:
      return "n" + std::to_string(value.whole());
    case Value::Kind::real: {
      const double number = value.number();
      if (number == std::floor(number) && std::abs(number) < 9e18)
        return "n" + std::to_string(static_cast<int64_t>(number));
      return "f" + real_text(number);
    }
    case Value::Kind::text:
      store.read(value.text().size());
      return "s" + value.text();
    case Value::Kind::sequence:
      if (value.sequence().flavour == Sequence::Flavour::tuple) {
        std::string key = "(";
        for (const Value &item : value.sequence().items) {
          const std::string part = hash_key(store, item);
          key += std::to_string(part.size()) + ":" + part;
          if (key.size() > 1'000'000) throw Refusal("a tuple is too large to be the key of a dict");
        }
        return key;
      }
      if (value.sequence().flavour == Sequence::Flavour::range) {
        const auto &items = value.sequence().items;
        return "r" + std::to_string(items.size()) +
               (items.empty()
                    ? ""
                    : ":" + std::to_string(items.front().whole()) + ":" + std::to_string(items.back().whole()));
      }
      break;
    case Value::Kind::object: {
      char text[32];
      std::snprintf(text, sizeof text, "o%p", static_cast<const void *>(value.object().get()));
      return text;
    }
    case Value::Kind::mapping:
      break;
  }
  throw Refusal(std::string("a ") + value.type_name() + " cannot be the key of a dict");
}

bool truth(const Value &value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
    case Value::Kind::none:
      return false;
    case Value::Kind::boolean:
    case Value::Kind::integer:
      return value.whole() != 0;
    case Value::Kind::real:
      return value.number() != 0;
    case Value::Kind::text:
      return !value.text().empty();
    case Value::Kind::sequence:
      return value.sequence().flavour == Sequence::Flavour::generator || !value.sequence().items.empty();
    case Value::Kind::mapping:
      return !value.mapping().items.empty();
    case Value::Kind::object:
      return true;
  }
  return true;
}

// An int and a float are compared exactly, not after rounding the int.
static int order(const Value &a, const Value &b) {
  if (a.is_whole() && b.is_whole()) return a.whole() < b.whole() ? -1 : a.whole() > b.whole();
  if (!a.is_whole() && !b.is_whole()) {
    if (std::isnan(a.number()) || std::isnan(b.number())) return 2;
    return a.number() < b.number() ? -1 : a.number() > b.number();
  }
  if (!a.is_whole()) {
    const int other = order(b, a);
    return other == 2 ? 2 : -other;
  }
  const double real = b.number();
  if (std::isnan(real)) return 2;
  if (real >= 9223372036854775808.0) return -1;
  if (real < -9223372036854775808.0) return 1;
  const auto floor = static_cast<int64_t>(std::floor(real));
  if (a.whole() != floor) return a.whole() < floor ? -1 : 1;
  return real > std::floor(real) ? -1 : 0;
}

bool identical(Store &store, const Value &a, const Value &b) {
  store.step();
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::none:
      return true;
    case Value::Kind::boolean:
    case Value::Kind::integer:
      return a.whole() == b.whole();
    case Value::Kind::real:
      return a.number() == b.number();
    case Value::Kind::text:
      store.read(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Value::Kind::sequence:  // Python keeps one empty tuple
      if (a.sequence().flavour == Sequence::Flavour::tuple && b.sequence().flavour == Sequence::Flavour::tuple &&
          a.sequence().items.empty() && b.sequence().items.empty())
        return true;
      return a.object() == b.object();
    default:
      return a.object() == b.object();
  }
}

// Views of keys and of items are compared as sets.
static bool is_set(const Sequence &s) {
  return s.flavour == Sequence::Flavour::keys || s.flavour == Sequence::Flavour::items;
}

static bool equal_sequences(Store &store, const Sequence &a, const Sequence &b) {
  if (is_set(a) && is_set(b)) {
    if (a.items.size() != b.items.size()) return false;
    return std::all_of(a.items.begin(), a.items.end(), [&](const Value &one) {
      return std::any_of(b.items.begin(), b.items.end(), [&](const Value &other) { return equal(store, one, other); });
    });
  }
  const bool same_flavour = a.flavour == b.flavour;
  if (!same_flavour || !a.can_be_indexed()) return &a == &b;
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!identical(store, a.items[i], b.items[i]) && !equal(store, a.items[i], b.items[i])) return false;
  return true;
}

bool equal(Store &store, const Value &a, const Value &b) {
  store.step();
  if (a.is_number() && b.is_number()) return order(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::text:
      store.read(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Value::Kind::sequence:
      return equal_sequences(store, a.sequence(), b.sequence());
    case Value::Kind::mapping: {
      if (a.mapping().items.size() != b.mapping().items.size()) return false;
      for (const auto &[key, value] : a.mapping().items) {
        const Value *other = b.mapping().find(store, key);
        if (!other || !(identical(store, value, *other) || equal(store, value, *other))) return false;
      }
      return true;
    }
    case Value::Kind::object:
      return a.object() == b.object();
    default:
      return true;  // both undefined, or both None
  }
}

bool less(Store &store, const Value &a, const Value &b) {
  store.step();
  if (a.is_number() && b.is_number()) return order(a, b) == -1;
  if (a.is_text() && b.is_text()) {
    store.read(std::min(a.text().size(), b.text().size()));
    return a.text() < b.text();  // the order of UTF-8 is that of code points
  }
  if (a.is(Value::Kind::sequence) && b.is(Value::Kind::sequence) && a.sequence().flavour == b.sequence().flavour &&
      (a.sequence().flavour == Sequence::Flavour::list || a.sequence().flavour == Sequence::Flavour::tuple)) {
    const auto &left = a.sequence().items, &right = b.sequence().items;
    for (size_t i = 0; i < left.size() && i < right.size(); ++i)
      if (!identical(store, left[i], right[i]) && !equal(store, left[i], right[i]))
        return less(store, left[i], right[i]);
    return left.size() < right.size();
  }
  for (const Value *one : {&a, &b})
    if (one->is_undefined()) throw Refusal(one->text());
  throw Refusal(std::string("a ") + a.type_name() + " and a " + b.type_name() + " have no order");
}

namespace {

void write_text(Output &out, std::string_view text) {
  const bool doubled = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = doubled ? '"' : '\'';
  out.append(std::string_view(&quote, 1));
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = character_bytes(text, at);
    const std::string_view one = text.substr(at, bytes);
    const uint32_t c = code_point(one);
    at += bytes;
    char escaped[16];
    if (c == static_cast<uint32_t>(quote) || c == '\\') {
      std::snprintf(escaped, sizeof escaped, "\\%c", static_cast<char>(c));
    } else if (c == '\n' || c == '\r' || c == '\t') {
      std::snprintf(escaped, sizeof escaped, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    } else if (is_printable(c)) {
      out.append(one);
      continue;
    } else {
      std::snprintf(escaped, sizeof escaped, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    out.append(escaped);
  }
  out.append(std::string_view(&quote, 1));
}

void write(Store &store, Output &out, const Value &value, uint32_t depth) {
  if (depth > deepest_value + 50) throw Refusal("a value contains itself or is nested too deeply to be written");
  switch (value.kind()) {
    case Value::Kind::undefined:
      return out.append("Undefined");
    case Value::Kind::none:
      return out.append("None");
    case Value::Kind::boolean:
      return out.append(value.whole() ? "True" : "False");
    case Value::Kind::integer:
      return out.append(std::to_string(value.whole()));
    case Value::Kind::real:
      return out.append(real_text(value.number()));
    case Value::Kind::text:
      return write_text(out, value.text());
    case Value::Kind::mapping: {
      out.append("{");
      bool first = true;
      for (const auto &[key, item] : value.mapping().items) {
        if (!first) out.append(", ");
        first = false;
        write(store, out, key, depth + 1);
        out.append(": ");
        write(store, out, item, depth + 1);
      }
      return out.append("}");
    }
    case Value::Kind::sequence: {
      using Flavour = Sequence::Flavour;
      const Sequence &sequence = value.sequence();
      if (sequence.flavour == Flavour::range)
        return out.append("range(" + std::to_string(sequence.range_start) + ", " + std::to_string(sequence.range_stop) +
                          (sequence.range_step == 1 ? "" : ", " + std::to_string(sequence.range_step)) + ")");
      if (sequence.flavour == Flavour::generator)
        throw Refusal(
            "a filter that gives its items one by one is written as text; put \"| list\" or \"| join\" behind it");
      const bool view = sequence.flavour != Flavour::list && sequence.flavour != Flavour::tuple;
      if (view) out.append(std::string(sequence.type_name()) + "(");
      const bool tuple = sequence.flavour == Flavour::tuple;
      out.append(tuple ? "(" : "[");
      for (size_t i = 0; i < sequence.items.size(); ++i) {
        if (i > 0) out.append(", ");
        write(store, out, sequence.items[i], depth + 1);
      }
      if (tuple && sequence.items.size() == 1) out.append(",");
      out.append(tuple ? ")" : "]");
      if (view) out.append(")");
      return;
    }
    case Value::Kind::object:
      if (const auto *space = value.as<Namespace>()) {
        out.append("<Namespace {");
        bool first = true;
        for (const auto &[name, item] : space->attributes) {
          if (!first) out.append(", ");
          first = false;
          write_text(out, name);
          out.append(": ");
          write(store, out, item, depth + 1);
        }
        return out.append("}>");
      }
      return out.append("<" + static_cast<const Named *>(value.object().get())->description() + ">");
  }
}

}  // namespace

std::string repr_of(Store &store, const Value &value) {
  Output out(store);
  write(store, out, value, 0);
  return out.text();
}

std::string text_of(Store &store, const Value &value) {
  if (value.is_text()) {
    store.read(value.text().size());
    return value.text();
  }
  if (value.is_undefined()) return "";
  return repr_of(store, value);
}

}  // namespace hone::jinja
