// config_json.h -- a model's config.json: read, brought to one spelling, and matched with a model plugin's settings.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/plugin/registry.h"

namespace hone {

// The object as it stands in the file. Failure when it is none, or has no "model_type".
nlohmann::json read_config(const std::filesystem::path &);

// transformers has had two spellings: "torch_dtype", "rope_theta" and "rope_scaling" (to 4.x, which 5.x still reads),
// and "dtype" and "rope_parameters". The result has the older one, whichever came in: rope_scaling is null or a table
// with "rope_type"; keys that are named otherwise in some files ("num_local_experts") have the name that the component
// knows. Failure for what contradicts itself or cannot be meant. `where` begins sentences. Harmless when done twice.
nlohmann::json with_older_spelling(const ComponentInfo &, nlohmann::json config, const std::string &where);

// What the component's settings know of it; null means "not given", and a number may stand in quotes. Other keys are
// told if asked to, unless harmless. Failure when sizes that make the shapes of all tensors are not given.
nlohmann::json known_settings(const ComponentInfo &, const nlohmann::json &config, const std::filesystem::path &,
                              bool tell_unused);

// "torch_dtype" and "dtype", for readers of either spelling.
void set_dtype(nlohmann::json &config, const std::string &name);

}  // namespace hone
