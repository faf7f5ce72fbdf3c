// type_defaults.h -- what a config.json means by the keys that it leaves out, or sets to null.
#pragma once

#include <nlohmann/json.hpp>

#include "core/plugin/registry.h"

namespace hone {

// config with what the component says of its "model_type": keys that are left out get that type's defaults; null
// becomes the 0, "" or {} that means "none" to a setting, and where it means nothing, that type's default, if it has
// one.
nlohmann::json with_type_defaults(const ComponentInfo &, nlohmann::json config);

}  // namespace hone
