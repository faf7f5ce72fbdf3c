// toml_values.cpp -- see toml_values.h. The only file that knows toml++.
#include "core/script/toml_values.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace hone {
using nlohmann::json;
namespace {

[[noreturn]] void refuse(const std::string &file, const toml::source_region &where, const std::string &what) {
  throw UsageError(file + ":" + std::to_string(where.begin.line) + ": " + what);
}

json value_of(const toml::node &node, const std::string &file, const std::string &key) {
  if (const auto *list = node.as_array()) {
    json out = json::array();
    for (const toml::node &item : *list) out.push_back(value_of(item, file, key));
    return out;
  }
  if (const auto *table = node.as_table()) {
    json out = json::object();
    for (const auto &[name, item] : *table) out[std::string(name.str())] = value_of(item, file, key);
    return out;
  }
  if (const auto *flag = node.as_boolean()) return flag->get();
  if (const auto *number = node.as_integer()) return number->get();
  if (const auto *number = node.as_floating_point()) {
    if (!std::isfinite(number->get())) refuse(file, node.source(), key + " is not finite");
    return number->get();
  }
  if (const auto *text = node.as_string()) return text->get();
  refuse(file, node.source(), key + " is a date or time; options are booleans, numbers, texts, lists or tables");
}

void collect(const toml::table &table, const std::string &prefix, const std::string &file, std::vector<TomlValue> &out) {
  for (const auto &[name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    const toml::table *inner = node.as_table();
    if (inner && !inner->empty()) {
      collect(*inner, key + ".", file, out);
    } else {
      out.push_back({key, value_of(node, file, key), static_cast<int>(name.source().begin.line)});
    }
  }
}

toml::array array_of(const json &list);
toml::table table_of(const json &object);

template <class Container>
void put(Container &container, const json &value, auto insert) {
  switch (value.type()) {
    case json::value_t::boolean: insert(container, value.get<bool>()); break;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: insert(container, value.get<int64_t>()); break;
    case json::value_t::number_float: insert(container, value.get<double>()); break;
    case json::value_t::string: insert(container, value.get<std::string>()); break;
    case json::value_t::array: insert(container, array_of(value)); break;
    case json::value_t::object: insert(container, table_of(value)); break;
    default: throw Failure("an option without a value cannot be written as TOML");
  }
}

toml::array array_of(const json &list) {
  toml::array out;
  for (const json &item : list) put(out, item, [](toml::array &to, auto &&value) { to.push_back(std::forward<decltype(value)>(value)); });
  return out;
}

toml::table table_of(const json &object) {
  toml::table out;
  for (const auto &[name, item] : object.items())
    put(out, item, [&key = name](toml::table &to, auto &&value) { to.insert_or_assign(key, std::forward<decltype(value)>(value)); });
  return out;
}

}  // namespace

std::vector<TomlValue> read_toml(const std::filesystem::path &path) {
  const std::string file = path.string(), text = read_file(path);
  std::vector<TomlValue> out;
  try {
    collect(toml::parse(text, file), "", file, out);
  } catch (const toml::parse_error &error) {
    refuse(file, error.source(), "is not TOML: " + with_replaced_invalid_utf8(error.description()));
  }
  std::stable_sort(out.begin(), out.end(), [](const TomlValue &a, const TomlValue &b) { return a.line < b.line; });
  return out;
}

std::string write_toml(const std::vector<Option> &options) {
  json object = json::object();
  for (const Option &option : options) object[option.name] = option.value;
  std::ostringstream out;
  out << table_of(object) << '\n';
  return out.str();
}

}  // namespace hone
