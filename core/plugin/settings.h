// settings.h -- settings on their way from a script's JSON to a plugin's hone_value array.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

// "a number from 0 to 1", "one of "group", "none"": what check_settings accepts, for sentences and tables.
std::string allowed_values(const Setting &);

// Whether a stage has a trained model: an objective, or a loop that takes an optimizer.
bool trains(const ComponentInfo &);

// The settings that the host gives a component beside its own (which come first where names are equal): those of its kind
// ("hone.stage/1"), and when it trains those of "hone.stage/1 that trains" too.
inline constexpr const char *kThatTrains = " that trains";
std::vector<Setting> common_settings(const std::map<std::string, std::vector<Setting>> &common, const ComponentInfo &);

// The part of checked settings that is the component's own.
nlohmann::json own_settings(const ComponentInfo &, const nlohmann::json &settings);

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
