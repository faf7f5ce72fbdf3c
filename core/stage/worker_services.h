// worker_services.h -- what a reward can use beside its plugin: reward models to score with, and a script's functions.
#pragma once

#include "core/reward/scorer.h"

namespace hone {

WorkerServices worker_services();

}  // namespace hone
