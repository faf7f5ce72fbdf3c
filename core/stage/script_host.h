// script_host.h -- what this program tells a script about itself: the host's settings, and what lies in a model's files.
#pragma once

#include "core/script/script.h"

namespace hone {

const ScriptHost &script_host();

}  // namespace hone
