// model_description.h -- what a path that names a model says the model is: which component, and with which settings.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/plugin/registry.h"

namespace hone {

struct ModelDescription {
  const ComponentInfo *component;  // the registry's
  nlohmann::json settings;         // checked
  nlohmann::json config;           // config.json, or what GGUF metadata says in its keys, in the older spelling
};

// Of a Hugging Face directory, one with an adapter, or a GGUF file. Failure naming file, key and value. tell_unused:
// whether a warning names the keys that the component does not use.
ModelDescription describe_model(const std::filesystem::path &, const Registry &, bool tell_unused);

}  // namespace hone
