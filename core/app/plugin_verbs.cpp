// plugin_verbs.cpp -- `hone plugins`, `hone describe`, `hone check` and `hone new-plugin`.
#include <iostream>

#include "core/app/verbs.h"
#include "core/plugin/verbs.h"
#include "core/stage/host_settings.h"

namespace hone {

int list_plugins_verb(const Arguments &a) { return list_plugins(Registry::scan(plugin_folders(a.plugins)), a.json, std::cout); }

int describe_component_verb(const Arguments &a) {
  return describe_component(Registry::scan(plugin_folders(a.plugins)), a.component, host_settings(), a.json, std::cout);
}

int check_plugin_verb(const Arguments &a) { return check_plugin(a.file, std::cout); }

int new_plugin_verb(const Arguments &a) {
  return new_plugin(a.kind, a.name, a.out.empty() ? std::filesystem::current_path() : a.out, std::cout);
}

}  // namespace hone
