// options.cpp -- see options.h.
#include "core/script/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

const char *type_of(const json &value) {
  switch (value.type()) {
    case json::value_t::boolean: return "true or false";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: return "an int";
    case json::value_t::number_float: return "a number";
    case json::value_t::string: return "a text";
    case json::value_t::array: return "a list";
    default: return "a table";
  }
}

std::string shown(const json &value) {
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

// `value` in the type of `like`, or UsageError.
json in_type_of(const json &like, const json &value, const std::string &what) {
  const auto wrong = [&]() -> UsageError { return UsageError(what + " must be " + type_of(like) + ", got " + shown(value)); };
  switch (like.type()) {
    case json::value_t::boolean:
      if (!value.is_boolean()) throw wrong();
      return value;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      if (!value.is_number_integer()) throw wrong();
      return value;
    case json::value_t::number_float:
      if (!value.is_number()) throw wrong();
      return value.get<double>();
    case json::value_t::string:
      if (!value.is_string()) throw wrong();
      return value;
    case json::value_t::array: {
      if (!value.is_array()) throw wrong();
      json out = json::array();
      for (size_t i = 0; i < value.size(); ++i)
        out.push_back(like.empty() ? value[i] : in_type_of(like[0], value[i], what + "[" + std::to_string(i + 1) + "]"));
      return out;
    }
    default: {
      if (!value.is_object()) throw wrong();
      json out = like;
      for (const auto &[name, item] : value.items()) {
        if (!like.contains(name)) throw UsageError(what + " has no value \"" + name + "\"");
        out[name] = in_type_of(like[name], item, what + "." + name);
      }
      return out;
    }
  }
}

// What --set gives is text; it is read in the type of `like`.
json read_text(const json &like, const std::string &text, const std::string &what) {
  const auto wrong = [&]() -> UsageError { return UsageError(what + " must be " + type_of(like) + ", got \"" + text + "\""); };
  const char *begin = text.data(), *end = begin + text.size();
  switch (like.type()) {
    case json::value_t::boolean:
      if (text == "true") return true;
      if (text == "false") return false;
      throw wrong();
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: {
      int64_t number;
      const auto [stop, error] = std::from_chars(begin, end, number);
      if (error != std::errc() || stop != end) throw wrong();
      return number;
    }
    case json::value_t::number_float: {
      double number;
      const auto [stop, error] = std::from_chars(begin, end, number);
      if (error != std::errc() || stop != end || !std::isfinite(number)) throw wrong();
      return number;
    }
    case json::value_t::string:
      if (invalid_utf8(text) != std::string::npos) throw UsageError(what + " is not valid UTF-8");
      return text;
    default: {
      const json value = json::parse(text, nullptr, false);
      if (value.is_discarded()) throw UsageError(what + " must be " + type_of(like) + " as JSON, got \"" + text + "\"");
      return in_type_of(like, value, what);
    }
  }
}

// The option and the place inside its value that a dotted key names.
struct Target {
  OptionRule *rule;
  std::string pointer;  // JSON pointer within the value
};

Target find_target(std::vector<OptionRule> &rules, const std::string &key, const std::string &where) {
  std::vector<std::string> names;
  for (OptionRule &rule : rules) {
    const std::string &name = rule.option.name;
    names.push_back(name);
    if (key == name) return {&rule, ""};
    if (rule.option.fallback.is_object() && key.size() > name.size() && key.compare(0, name.size(), name) == 0 && key[name.size()] == '.') {
      std::string pointer;
      for (size_t begin = name.size(); begin < key.size();) {
        const size_t end = std::min(key.find('.', begin + 1), key.size());
        pointer += '/';
        for (char c : key.substr(begin + 1, end - begin - 1)) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
        begin = end;
      }
      if (rule.option.fallback.contains(json::json_pointer(pointer))) return {&rule, pointer};
      std::vector<std::string> inner;
      for (const auto &[inner_name, value] : rule.option.fallback.items()) inner.push_back(name + "." + inner_name);
      const std::string near = nearest_name(key, inner);
      throw UsageError(where + ": the script's option \"" + name + "\" has no value \"" + key.substr(name.size() + 1) + "\"" +
                       (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
    }
  }
  const std::string near = nearest_name(key, names);
  throw UsageError(where + ": the script has no option \"" + key + "\"" +
                   (near.empty() ? (names.empty() ? "" : "; it has: " + join(names, ", ")) : "; did you mean \"" + near + "\"?"));
}

void check_rule(const OptionRule &rule, const std::string &where) {
  const json &value = rule.option.value;
  if (rule.has_range && value.is_number()) {
    const double number = value.get<double>();
    if (number < rule.min || number > rule.max)
      throw UsageError(where + ": option \"" + rule.option.name + "\" must lie between " + number_text(rule.min) + " and " +
                       number_text(rule.max) + ", got " + shown(value));
  }
  if (!rule.choices.empty() && value.is_string()) {
    const std::string text = value.get<std::string>();
    if (std::find(rule.choices.begin(), rule.choices.end(), text) == rule.choices.end()) {
      const std::string near = nearest_name(text, rule.choices);
      throw UsageError(where + ": option \"" + rule.option.name + "\" must be one of " + join(rule.choices, ", ") + ", got \"" + text +
                       "\"" + (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
    }
  }
}

}  // namespace

OptionValues read_option_values(const fs::path &script, const ScriptArguments &arguments) {
  OptionValues out;
  fs::path file = arguments.config;
  std::error_code ignored;
  if (file.empty()) {
    file = fs::path(script).replace_extension(".toml");
    if (!fs::exists(file, ignored)) file.clear();
  } else if (!fs::is_regular_file(file, ignored)) {
    throw UsageError("config " + file.string() + (std::filesystem::is_directory(file) ? " is a folder; name a TOML file" : ": no such file"));
  }
  if (!file.empty()) {
    out.toml_file = file.string();
    out.toml = read_toml(file);
  }
  out.set = arguments.set;
  return out;
}

std::vector<Option> resolve_options(std::vector<OptionRule> rules, const OptionValues &given) {
  for (const TomlValue &value : given.toml) {
    const std::string where = given.toml_file + ":" + std::to_string(value.line);
    const Target target = find_target(rules, value.key, where);
    Option &option = target.rule->option;
    const json::json_pointer at(target.pointer);
    option.value[at] = in_type_of(option.fallback[at], value.value, where + ": option \"" + value.key + "\"");
    option.from = where;
    check_rule(*target.rule, where);
  }
  for (const auto &[key, text] : given.set) {
    const std::string where = "--set " + key;
    const Target target = find_target(rules, key, where);
    Option &option = target.rule->option;
    const json::json_pointer at(target.pointer);
    option.value[at] = read_text(option.fallback[at], text, where + ": option \"" + key + "\"");
    option.from = "--set";
    check_rule(*target.rule, where);
  }
  std::vector<Option> options;
  for (OptionRule &rule : rules) options.push_back(std::move(rule.option));
  return options;
}

void refuse_values_without_options(const OptionValues &given, const std::string &script) {
  if (!given.toml.empty())
    throw UsageError(given.toml_file + ":" + std::to_string(given.toml[0].line) + ": " + script + " declares no options, so \"" +
                     given.toml[0].key + "\" means nothing to it; declare it with hone.options");
  if (!given.set.empty())
    throw UsageError("--set " + given.set[0].first + ": " + script + " declares no options; declare it with hone.options");
}

}  // namespace hone
