// type_defaults.cpp -- see type_defaults.h.
#include "core/model/type_defaults.h"

#include <algorithm>

namespace hone {

nlohmann::json with_type_defaults(const ComponentInfo &component, nlohmann::json config) {
  for (const Setting &setting : component.settings) {
    const auto &nulls = component.null_settings;
    const auto key = config.find(setting.name);
    if (key == config.end() || !key->is_null() || std::find(nulls.begin(), nulls.end(), setting.name) == nulls.end())
      continue;
    switch (setting.type) {
      case HONE_INT:
        *key = 0;
        break;
      case HONE_FLOAT:
        *key = 0.0;
        break;
      case HONE_STRING:
        *key = "";
        break;
      case HONE_LIST:
        *key = nlohmann::json::array();
        break;
      case HONE_TABLE:
        *key = nlohmann::json::object();
        break;
      default:
        break;
    }
  }
  const std::string type = config.value("model_type", "");
  for (size_t i = 0; i < component.type_defaults.size(); ++i) {
    if (component.model_types[i] != type) continue;
    nlohmann::json whole = nlohmann::json::parse(component.type_defaults[i]);
    for (const auto &[key, value] : config.items())  // a null that means no "none" means "as usual"
      if (!value.is_null() || !whole.contains(key)) whole[key] = value;
    return whole;
  }
  return config;
}

}  // namespace hone
