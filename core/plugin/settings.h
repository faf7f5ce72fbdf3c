// settings.h -- settings on their way from a script's JSON to a plugin's hone_value array.
#pragma once

#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

// "a number from 0 to 1", "one of "group", "none"": what check_settings accepts, for sentences and tables.
std::string allowed_values(const Setting &);

// Checked settings in the order of the table; owns the texts that the array points to.
class Values {
 public:
  Values(const std::vector<Setting> &, const nlohmann::json &checked);
  Values(const Values &) = delete;
  const hone_value *data() const { return values_.data(); }

 private:
  std::vector<hone_value> values_;
  std::deque<std::string> texts_;
};

}  // namespace hone
