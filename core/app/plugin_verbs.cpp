// plugin_verbs.cpp -- `hone plugins`, `hone describe`, `hone check` and `hone new-plugin`.
#include <iostream>

#include <nlohmann/json.hpp>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/plugin/host.h"
#include "core/plugin/verbs.h"
#include "core/stage/host_settings.h"
#include "hone/ext/objective.h"

namespace hone {

int list_plugins_verb(const Arguments &a) { return list_plugins(Registry::scan(plugin_folders(a.plugins)), a.json, std::cout); }

// The host's settings, of an objective only those that it has a use for; of one that cannot be made without settings, all.
static HostSettings settings_for(const Registry &registry, const std::string &what) {
  HostSettings settings = host_settings();
  const size_t slash = what.find('/');
  const ComponentInfo *component = registry.find("stage", slash == std::string::npos ? what : what.substr(slash + 1));
  if (!component || component->kind != HONE_OBJECTIVE || (slash != std::string::npos && what.substr(0, slash) != "stage" && what.substr(0, slash) != "objective")) return settings;
  try {
    Pool pool(1);
    const Host host(pool, 0);
    const Instance instance(*component, host.abi(), check_settings(component->settings, nlohmann::json::object(), ""));
    const hone_objective methods = known_methods<hone_objective>(instance.component());
    if (methods.source && methods.needs)
      settings[HONE_OBJECTIVE] = objective_settings(methods.source(instance.self()), methods.needs(instance.self()));
  } catch (const Failure &) {
  }
  return settings;
}

int describe_component_verb(const Arguments &a) {
  const Registry registry = Registry::scan(plugin_folders(a.plugins));
  return describe_component(registry, a.component, settings_for(registry, a.component), a.json, std::cout);
}

int check_plugin_verb(const Arguments &a) { return check_plugin(a.file, std::cout); }

int new_plugin_verb(const Arguments &a) {
  return new_plugin(a.kind, a.name, a.out.empty() ? std::filesystem::current_path() : a.out, std::cout);
}

}  // namespace hone
