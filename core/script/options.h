// options.h -- hone.options: what a script declares, given other values by a TOML file, then by --set.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/script/script.h"
#include "core/script/toml_values.h"

namespace hone {

struct OptionRule {
  Option option;  // value = fallback
  bool has_range = false;
  double min = 0, max = 0;
  std::vector<std::string> choices;
};

// Where other values come from; each one must name an option of its type.
struct OptionValues {
  std::string toml_file;  // as shown in sentences; "": none
  std::vector<TomlValue> toml;
  std::vector<std::pair<std::string, std::string>> set;
};

// SCRIPT.toml beside the script, or the named config; UsageError when a named one is not there.
OptionValues read_option_values(const std::filesystem::path &script, const ScriptArguments &);

// The options with their final values. UsageError naming the TOML's line or the --set, the wrong value, and the nearest name.
std::vector<Option> resolve_options(std::vector<OptionRule>, const OptionValues &);

// For a script that declares no options: any value given is a mistake.
void refuse_values_without_options(const OptionValues &, const std::string &script);

}  // namespace hone
