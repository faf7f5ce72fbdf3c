// model_description.cpp -- see model_description.h.
#include "core/model/model_description.h"

#include "core/base/failure.h"
#include "core/model/config_json.h"
#include "core/model/model_files.h"
#include "core/model/type_defaults.h"
#include "core/plugin/settings.h"

namespace hone {

ModelDescription describe_model(const std::filesystem::path &path, const Registry &registry, bool tell_unused) {
  nlohmann::json config = read_model_config(path);
  const std::string where = model_config_path(path).string();
  const std::string type = config["model_type"].get<std::string>();
  const ComponentInfo *component = registry.model_for_type(type);
  if (!component)
    throw Failure(where + ": no model plugin serves model_type \"" + type + "\"; see `hone plugins`");
  config = with_older_spelling(*component, std::move(config), where);
  nlohmann::json of_model = with_type_defaults(*component, config);
  of_model.erase("quantization_config");  // how numbers are stored: the reader's matter, not the model's
  nlohmann::json settings = check_settings(
      component->settings, known_settings(*component, of_model, where, tell_unused), where + ": model " + component->name);
  return {component, std::move(settings), std::move(config)};
}

}  // namespace hone
