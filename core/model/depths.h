// depths.h -- the architecture of a checkpoint, which may lack the layers of multi-token prediction that its
// config.json tells of: transformers drops them when it saves a model.
#pragma once

#include <functional>
#include <memory>

#include "core/model/model.h"

namespace hone {

// As `settings` say; but when none of what only multi-token prediction uses is there, the model without it. tell:
// whether the log says so (at -v: only a stage that asks for the extra loss would miss it, and it says so itself); where:
// the checkpoint, for that message.
std::shared_ptr<const Architecture> architecture_of_tensors(
    const ComponentInfo &, const Host &, nlohmann::json settings, const std::string &where, bool tell,
    const std::function<bool(const std::string &tensor)> &is_there);

}  // namespace hone
