// host_settings.h -- the settings that the host itself gives every stage and optimizer, declared once and merged with a
// component's own: those of the loop that drives objectives, of schedules and of clipping. Names are TRL's.
#pragma once

#include "core/script/script.h"

namespace hone {

const HostSettings &host_settings();

}  // namespace hone
