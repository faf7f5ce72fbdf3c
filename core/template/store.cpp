// store.cpp -- see store.h.
#include "core/template/store.h"

#include <algorithm>
#include <cinttypes>
#include <nlohmann/json.hpp>

#include "core/base/text.h"

namespace hone::jinja {

void Store::refuse_steps() const {
  throw Refusal("the template takes more than " + std::to_string(limits_.steps) +
                " steps; does one of its loops or macros ever end?");
}

void Store::refuse_memory(uint64_t bytes) {
  memory_ -= bytes;
  throw Refusal("the template needs more than " + human_bytes(limits_.memory) + " of memory");
}

void Store::check_text(uint64_t bytes) const {
  if (bytes > limits_.text) throw Refusal("the template makes a text of more than " + human_bytes(limits_.text));
}

Value Store::text(std::string text) {
  check_text(text.size());
  step(1 + text.size() / 16);
  auto made = std::make_shared<Text>();
  const uint64_t bytes = sizeof(Text) + text.size();
  charge(bytes);
  made->bytes_of_text = std::move(text);
  made->owner = this;
  made->bytes = bytes;
  return Value::of(Value::Kind::text, std::move(made));
}

Value Store::undefined(const std::string &reason) {
  Value made = text(reason);
  return Value::of(Value::Kind::undefined, made.object());
}

static uint32_t depth_of(const Value &value) {
  return value.object() && !value.is_undefined() ? value.object()->depth : 0;
}

uint32_t Store::depth_with(const std::vector<Value> &parts) {
  uint32_t depth = 0;
  for (const Value &part : parts) depth = std::max(depth, depth_of(part));
  return depth + 1;
}

void Store::count(Object &object, uint64_t bytes, uint32_t depth) {
  if (depth > deepest_value)
    throw Refusal("a value is nested more than " + std::to_string(deepest_value) + " levels deep");
  step();
  charge(bytes);
  object.owner = this;
  object.bytes = bytes;
  object.depth = depth;
}

Value Store::sequence(std::vector<Value> items, Sequence::Flavour flavour) {
  step(1 + items.size());
  auto made = std::make_shared<Sequence>();
  count(*made, sizeof(Sequence) + items.size() * sizeof(Value), depth_with(items));
  made->flavour = flavour;
  made->items = std::move(items);
  return Value::of(Value::Kind::sequence, std::move(made));
}

Value Store::range(int64_t from, int64_t to, int64_t by) {
  if (by == 0) throw Refusal("range() has a step of 0");
  const auto distance = by > 0 ? static_cast<__int128>(to) - from : static_cast<__int128>(from) - to;
  const auto each = by > 0 ? static_cast<__int128>(by) : -static_cast<__int128>(by);
  const auto length = distance <= 0 ? static_cast<__int128>(0) : (distance + each - 1) / each;
  if (length > longest_range)
    throw Refusal("range() has more than " + std::to_string(longest_range) +
                  " numbers, the most that a template may ask for");
  std::vector<Value> numbers;
  numbers.reserve(static_cast<size_t>(length));
  for (int64_t i = 0; i < static_cast<int64_t>(length); ++i)
    numbers.push_back(Value::integer(static_cast<int64_t>(from + static_cast<__int128>(i) * by)));
  Value made = sequence(std::move(numbers), Sequence::Flavour::range);
  auto &written = const_cast<Sequence &>(made.sequence());
  written.range_start = from;
  written.range_stop = to;
  written.range_step = by;
  return made;
}

Value Store::mapping(const std::vector<std::pair<Value, Value>> &items) {
  step(1 + 2 * items.size());
  auto made = std::make_shared<Mapping>();
  uint64_t bytes = sizeof(Mapping);
  uint32_t depth = 0;
  for (const auto &[key, value] : items) {
    const uint64_t taken = 2 * sizeof(Value) + 64 + made->set(*this, key, value);
    charge(taken);
    bytes += taken;
    depth = std::max({depth, depth_of(value), depth_of(key)});
  }
  release(bytes - sizeof(Mapping));  // count() takes it all at once
  count(*made, bytes, depth + 1);
  return Value::of(Value::Kind::mapping, std::move(made));
}

Value Store::of_json(const nlohmann::ordered_json &json) {
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned: {
      const auto number = json.get<uint64_t>();
      if (number > INT64_MAX)
        throw Refusal("the whole number " + std::to_string(number) + " does not fit in 64 bits with a sign");
      return Value::integer(static_cast<int64_t>(number));
    }
    case nlohmann::ordered_json::value_t::number_float:
      return Value::real(json.get<double>());
    case nlohmann::ordered_json::value_t::string:
      return text(json.get<std::string>());
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto &item : json) items.push_back(of_json(item));
      return list(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      std::vector<std::pair<Value, Value>> items;
      items.reserve(json.size());
      for (const auto &[key, value] : json.items()) items.emplace_back(text(key), of_json(value));
      return mapping(items);
    }
    default:
      return {};
  }
}

}  // namespace hone::jinja
