// worker_services.h -- what a reward can use beside its plugin: reward models to score with, and a script's functions.
#pragma once

#include "core/reward/scorer.h"

namespace hone {

WorkerServices worker_services();

// The score that a script's function answered with; NaN for nil: no score. Failure for what is neither number nor boolean.
double lua_score(const nlohmann::json &answer);

}  // namespace hone
