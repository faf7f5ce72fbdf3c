// loop_handles.h -- how a stage that drives its own loop names what its settings hold: by their place in a list.
#pragma once

#include "core/plugin/registry.h"
#include "core/script/pipeline.h"
#include "core/stage/table.h"

namespace hone {

// The component's own settings, with {"$handle": k} for data, rewards and functions: they are appended to `values`, as its k-th.
nlohmann::json with_numbered_handles(const ComponentInfo &, const nlohmann::json &settings, std::vector<nlohmann::json> &values);

// What hone_stage_host::labels gives for a setting that is rewards: "label" and "domain" of each.
OwnedTable reward_labels(const Pipeline &, const nlohmann::json &rewards);

}  // namespace hone
