// depths.cpp -- see depths.h.
#include "core/model/depths.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/model/weight_pieces.h"

namespace hone {

std::shared_ptr<const Architecture> architecture_of_tensors(
    const ComponentInfo &component, const Host &host, nlohmann::json settings, const std::string &where, bool tell,
    const std::function<bool(const std::string &tensor)> &is_there) {
  auto whole = std::make_shared<const Architecture>(component, host, settings);
  if (whole->info().depths == 0 || !whole->methods().depths_setting) return whole;
  const bool any =
      std::any_of(whole->parameters().begin(), whole->parameters().end(), [&](const ParameterInfo &parameter) {
        return (parameter.flags & HONE_PARAMETER_AHEAD) && is_there(expert_name(parameter.name, 0));
      });
  if (any) return whole;
  const std::string setting = whole->methods().depths_setting;
  if (tell)
    log_line(Level::debug, where + ": config.json's " + setting + " is " + settings[setting].dump() +
                ", but the files have no layer of multi-token prediction; the model is loaded without");
  settings[setting] = 0;
  return std::make_shared<const Architecture>(component, host, settings);
}

}  // namespace hone
