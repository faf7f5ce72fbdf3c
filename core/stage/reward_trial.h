// reward_trial.h -- tries a pipeline's rewards before anything trains, on responses that are made up for the first rows.
#pragma once

#include <set>

#include "core/stage/plan_rows.h"

namespace hone {

// The rewards of one stage, and rows that it will judge responses to.
struct RewardsToTry {
  int stage = -1;
  nlohmann::json rewards;                            // the setting: {"$reward": i}, a list of those, or {domain: list}
  std::map<std::string, std::vector<SomeRow>> rows;  // by domain, as SeenRows::some
  double deadline = 10, max_unscored = 0.5;
};

// Responses that a model might give to a row: the row's own, its answer in the usual tags, boxed and after hashes, alone, and
// nothing.
std::vector<std::string> made_up_responses(const nlohmann::json &columns);

// Opens all plugins among `used`, rewards of the pipeline, in one worker, but for those that need a model; Lua functions are
// called here. Then each reward judges the first row of each of its domains: one made-up response after another until it gives
// a score, which most give for the first. UsageError for a plugin that cannot be opened, and where a stage would stop for the
// want of scores (max_unscored below 1): when a reward refuses all responses to all rows (a function raises; a plugin's call
// fails, or takes its worker along), or has no score for any row, all without an answer, but has one for the same row with an
// answer. Anything else may be as it should be, for a model says other things than these: it is told, by stage.
std::map<int, std::vector<std::string>> try_rewards(const Pipeline &, const Registry &, Script &, const std::set<int> &used,
                                                    const std::vector<RewardsToTry> &);

}  // namespace hone
