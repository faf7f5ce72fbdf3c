// built_component.h -- components of the plugins that this build made, for tests.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/base/pool.h"
#include "core/plugin/host.h"
#include "core/plugin/library.h"
#include "core/plugin/registry.h"

namespace hone {

// room: "stage", "optimizer", "model", "reward".
inline const ComponentInfo &built_component(const std::string &room, const std::string &name) {
  const auto file = std::filesystem::path(HONE_BUILD_DIR) / "lib/hone" / (room + "s") / (name + ".so");
  for (const OpenedComponent &component : open_library(file).components)
    if (component.info.name == name) return component.info;
  throw std::runtime_error(file.string() + " has no component " + name);
}

// An instance with some settings given and the rest at their defaults.
struct BuiltInstance {
  BuiltInstance(const Host &host, const std::string &room, const std::string &name,
                const nlohmann::json &settings = nlohmann::json::object())
      : info(built_component(room, name)), instance(info, host.abi(), check_settings(info.settings, settings, name)) {}
  template <class T>
  T methods() const {
    return known_methods<T>(instance.component());
  }
  void *self() const { return instance.self(); }

  const ComponentInfo &info;
  Instance instance;
};

}  // namespace hone
