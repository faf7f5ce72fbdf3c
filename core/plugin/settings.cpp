// settings.cpp -- checks what a script gives against a component's own table.
#include "core/plugin/settings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "hone/ext/objective.h"

namespace hone {

using nlohmann::json;

namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

bool limited(const Setting &s) { return !(s.min == 0 && s.max == 0); }  // a table in C that gives no limits has zeroes
double least(const Setting &s) { return limited(s) ? s.min : -kUnlimited; }
double most(const Setting &s) { return limited(s) ? s.max : kUnlimited; }

// A bound as people write it: integer types' own limits say nothing.
bool worth_telling(const Setting &s, double bound) {
  return std::isfinite(bound) && (s.type != HONE_INT || std::fabs(bound) < 2147483647.0);
}

std::string bound_text(double bound) {
  return std::fabs(bound) < 1e15 && bound == std::floor(bound) ? std::to_string(static_cast<long long>(bound)) : number_text(bound);
}

// Handles may come alone, in lists and by domain.
bool made_of_handles(const json &value, int depth = 0) {
  if (value.is_array()) {
    for (const json &element : value)
      if (depth > 8 || !made_of_handles(element, depth + 1)) return false;
    return true;
  }
  if (!value.is_object() || value.empty()) return false;
  if (value.begin().key().starts_with("$")) return true;
  for (const auto &[key, element] : value.items())
    if (depth > 8 || !made_of_handles(element, depth + 1)) return false;
  return true;
}

std::string shown(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 80) text = with_replaced_invalid_utf8(text.substr(0, 77)) + "...";
  return text;
}

// The value as it is passed on, or nothing when it does not fit.
bool fits(const Setting &s, const json &given, json &out) {
  out = given;
  switch (s.type) {
    case HONE_BOOL: return given.is_boolean();
    case HONE_INT: {
      if (given.is_number_unsigned() && given.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
      if (given.is_number_float()) {  // 1e6 in a script, 2.0 in a TOML
        const double number = given.get<double>();
        if (!(std::fabs(number) <= 9007199254740992.0) || number != std::floor(number)) return false;
        out = static_cast<int64_t>(number);
      } else if (!given.is_number_integer()) {
        return false;
      }
      const auto number = static_cast<double>(out.get<int64_t>());
      return number >= least(s) && number <= most(s);
    }
    case HONE_FLOAT: {
      if (!given.is_number()) return false;
      const double number = given.get<double>();
      out = number;
      return std::isfinite(number) && number >= least(s) && number <= most(s);
    }
    case HONE_STRING: {
      if (!given.is_string()) return false;
      const auto &text = given.get_ref<const std::string &>();
      if (invalid_utf8(text) != std::string::npos || text.find('\0') != std::string::npos) return false;
      return s.choices.empty() || std::find(s.choices.begin(), s.choices.end(), text) != s.choices.end();
    }
    case HONE_LIST:
      if (given.is_object() && given.empty()) out = json::array();  // an empty Lua table is either
      return out.is_array();
    case HONE_TABLE:
      if (given.is_array() && given.empty()) out = json::object();
      return out.is_object();
    default: return made_of_handles(given);
  }
}

}  // namespace

const char *type_name(int32_t type) {
  switch (type) {
    case HONE_BOOL: return "bool";
    case HONE_INT: return "int";
    case HONE_FLOAT: return "float";
    case HONE_STRING: return "string";
    case HONE_LIST: return "list";
    case HONE_TABLE: return "table";
    case HONE_MODEL_HANDLE: return "model";
    case HONE_REWARD_HANDLE: return "reward";
    case HONE_DATA_HANDLE: return "data";
    case HONE_FUNCTION_HANDLE: return "function";
    case HONE_OPTIMIZER_HANDLE: return "optimizer";
    default: return "handle";
  }
}

std::string allowed_values(const Setting &s) {
  if (!s.choices.empty()) {
    std::vector<std::string> quoted;
    for (const std::string &choice : s.choices) quoted.push_back('"' + choice + '"');
    return "one of " + join(quoted, ", ");
  }
  if (s.type == HONE_BOOL) return "true or false";
  if (s.type == HONE_INT || s.type == HONE_FLOAT) {
    const std::string noun = s.type == HONE_INT ? "an integer" : "a number";
    const bool low = worth_telling(s, least(s)), high = worth_telling(s, most(s));
    if (low && high) return noun + " from " + bound_text(s.min) + " to " + bound_text(s.max);
    if (low) return noun + " of at least " + bound_text(s.min);
    if (high) return noun + " of at most " + bound_text(s.max);
    return noun;
  }
  if (s.type == HONE_STRING) return "a string (UTF-8)";
  if (s.type == HONE_LIST) return "a list";
  if (s.type == HONE_TABLE) return "a table";
  if (s.type == HONE_DATA_HANDLE) return "data";
  if (s.type == HONE_OPTIMIZER_HANDLE) return "an optimizer";
  return std::string("a ") + type_name(s.type);
}

bool trains(const ComponentInfo &component) {
  const auto is_optimizer = [](const Setting &s) { return s.type == HONE_OPTIMIZER_HANDLE; };
  return component.kind == HONE_OBJECTIVE || std::any_of(component.settings.begin(), component.settings.end(), is_optimizer);
}

std::vector<Setting> common_settings(const std::map<std::string, std::vector<Setting>> &common, const ComponentInfo &component) {
  std::vector<Setting> out;
  const auto add = [&](const std::string &kind) {
    const auto found = common.find(kind);
    if (found == common.end()) return;
    for (const Setting &setting : found->second) {
      const auto same = [&](const Setting &own) { return own.name == setting.name; };
      if (std::none_of(component.settings.begin(), component.settings.end(), same)) out.push_back(setting);
    }
  };
  add(component.kind);
  if (trains(component)) add(component.kind + kThatTrains);
  return out;
}

json own_settings(const ComponentInfo &component, const json &settings) {
  json own = json::object();
  for (const Setting &setting : component.settings) own[setting.name] = settings.at(setting.name);
  return own;
}

json check_settings(const std::vector<Setting> &settings, const json &given, const std::string &where) {
  const std::string start = where.empty() ? "" : where + ": ";
  if (!given.is_object() && !given.is_null() && !(given.is_array() && given.empty()))
    throw UsageError(start + "settings are given as a table { name = value }, got " + shown(given));
  if (given.is_object())
    for (const auto &[name, value] : given.items()) {
      const auto same = [&name = name](const Setting &s) { return s.name == name; };
      if (std::any_of(settings.begin(), settings.end(), same)) continue;
      std::vector<std::string> names;
      for (const Setting &s : settings) names.push_back(s.name);
      const std::string nearest = nearest_name(name, names);
      std::sort(names.begin(), names.end());
      throw UsageError(start + "no setting \"" + name + "\"" +
                       (!nearest.empty()  ? "; did you mean \"" + nearest + "\"?"
                        : names.empty() ? "; it has none"
                        : names.size() > 12
                            ? "; `hone describe` lists its " + std::to_string(names.size()) + " settings"
                            : "; it has " + join(names, ", ")));
    }
  json out = json::object();
  for (const Setting &s : settings) {
    const auto found = given.is_object() ? given.find(s.name) : given.end();
    if (!given.is_object() || found == given.end() || found->is_null()) {
      if (s.required) throw UsageError(start + "needs \"" + s.name + "\", " + allowed_values(s) + (s.help.empty() ? "" : ": " + s.help));
      out[s.name] = json::parse(s.fallback.empty() ? "null" : s.fallback);
      continue;
    }
    json value;
    if (!fits(s, *found, value)) {
      std::string hint;
      if (!s.choices.empty() && found->is_string())
        if (const std::string nearest = nearest_name(found->get<std::string>(), s.choices); !nearest.empty())
          hint = "; did you mean \"" + nearest + "\"?";
      throw UsageError(start + "\"" + s.name + "\" must be " + allowed_values(s) + ", got " + shown(*found) + hint);
    }
    out[s.name] = std::move(value);
  }
  return out;
}

Values::Values(const std::vector<Setting> &settings, const json &checked) {
  for (const Setting &s : settings) {
    const auto found = checked.is_object() ? checked.find(s.name) : checked.end();
    const bool given = checked.is_object() && found != checked.end() && !found->is_null();
    if (!given && s.required && s.type < HONE_MODEL_HANDLE) throw Failure("\"" + s.name + "\" is required and was not given");
    const json value = given ? *found : json::parse(s.fallback.empty() ? "null" : s.fallback);
    hone_value out{};
    out.type = s.type;
    switch (s.type) {
      case HONE_BOOL: out.as.i = value.get<bool>(); break;
      case HONE_INT: out.as.i = value.get<int64_t>(); break;
      case HONE_FLOAT: out.as.f = value.get<double>(); break;
      case HONE_STRING:
      case HONE_LIST:
      case HONE_TABLE: {
        const std::string &text = texts_.emplace_back(s.type == HONE_STRING ? value.get<std::string>() : value.dump());
        out.as.s = {text.data(), text.size()};
        break;
      }
      default:
        out.as.i = -1;
        if (value.is_object() && !value.empty() && value.begin()->is_number_integer()) out.as.i = value.begin()->get<int64_t>();
        else if (!value.is_null()) throw Failure("\"" + s.name + "\" is " + shown(value) + ", which is not one handle");
        break;
    }
    values_.push_back(out);
  }
}

}  // namespace hone
