// loop_handles.cpp -- see loop_handles.h.
#include "core/stage/loop_handles.h"

#include "core/stage/models.h"

namespace hone {
using nlohmann::json;

json with_numbered_handles(const ComponentInfo &component, const json &settings, std::vector<json> &values) {
  json own = json::object();
  for (const Setting &setting : component.settings) {
    json value = settings.at(setting.name);
    const bool by_number = setting.type == HONE_DATA_HANDLE || setting.type == HONE_REWARD_HANDLE || setting.type == HONE_FUNCTION_HANDLE;
    if (by_number && !value.is_null()) {
      values.push_back(value);
      value = {{"$handle", values.size() - 1}};
    }
    own[setting.name] = value;
  }
  return own;
}

OwnedTable reward_labels(const Pipeline &pipeline, const json &rewards) {
  std::vector<std::string> label, domain;
  const auto add = [&](const json &handle, const std::string &of) {
    label.push_back(pipeline.rewards.at(handle_index(handle, "$reward")).label);
    domain.push_back(of);
  };
  if (handle_index(rewards, "$reward") >= 0) {
    add(rewards, "");
  } else {
    for (const auto &[key, part] : rewards.items()) {
      if (rewards.is_array()) add(part, "");
      else if (!part.is_array()) add(part, key);
      else for (const json &one : part) add(one, key);
    }
  }
  OwnedTable table(label.size());
  table.texts("label", std::move(label));
  table.texts("domain", std::move(domain));
  return table;
}

}  // namespace hone
