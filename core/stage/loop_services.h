// loop_services.h -- the functions behind hone.host.stage/1.
#pragma once

#include "core/stage/loop_stage.h"

namespace hone {

// Fills the table of services; ctx is the stage.
hone_stage_host loop_services(LoopStage &);

}  // namespace hone
