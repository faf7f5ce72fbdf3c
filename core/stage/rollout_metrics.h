// rollout_metrics.h -- what a step's responses report, in TRL's names: rewards, their spread within groups, and lengths.
#pragma once

#include <map>
#include <string>

#include "core/rollout/sampler.h"
#include "core/stage/reward_sets.h"

namespace hone {

void reward_metrics(const ScoredRows &, uint32_t group_size, std::map<std::string, double> &);
void length_metrics(const std::vector<SampledRow> &, std::map<std::string, double> &);

}  // namespace hone
