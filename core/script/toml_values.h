// toml_values.h -- option values in TOML: read with their lines, and written as resolved.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/script/pipeline.h"

namespace hone {

struct TomlValue {
  std::string key;       // "steps", or dotted inside a table: "moe.layers"
  nlohmann::json value;  // bool, integer, float, text, list of those; an empty table is an object
  int line = 0;
};

// In the order of the file's lines. UsageError as 'FILE:3: ...' for what is not TOML, and for dates and numbers that are not finite.
std::vector<TomlValue> read_toml(const std::filesystem::path &);

// The options as a TOML document that gives the same values back.
std::string write_toml(const std::vector<Option> &);

}  // namespace hone
