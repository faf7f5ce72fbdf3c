// host_settings.h -- the settings that the host itself gives every stage and optimizer, declared once and merged with a
// component's own: those of the loop that drives objectives, of schedules and of clipping. Names are TRL's.
#pragma once

#include "core/script/script.h"

namespace hone {

const HostSettings &host_settings();

// Those of "hone.objective/1" that the loop looks at when the objective's rows come from `source` (HONE_ROWS, ...) and it
// needs these columns; the others mean nothing to such a stage.
std::vector<Setting> objective_settings(uint32_t source, uint64_t needs);

// A setting such as `stop`; UsageError for anything but a list of texts.
std::vector<std::string> texts_of(const nlohmann::json &settings, const char *name, const std::string &where);

}  // namespace hone
