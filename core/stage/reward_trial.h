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

// Responses that a model might give to a row, likely ones first: the row's own, its answer in the usual tags, its answer
// alone, and nothing.
std::vector<std::string> made_up_responses(const nlohmann::json &columns);

// Opens all plugins among `used`, rewards of the pipeline, in one worker, but for those that need a model; Lua functions are
// called here. Then each reward has to judge the first row of each of its domains. It is asked about one made-up response
// after another until it gives a score; when it refuses all of them (it raises, it crashes, or says that the row is wrong for
// it), it is asked about the other rows, too. UsageError for a plugin that cannot be opened, and for a reward that refuses
// everything in a stage that would stop for it (max_unscored below 1). What is no error is told, by stage.
std::map<int, std::vector<std::string>> try_rewards(const Pipeline &, const Registry &, Script &, const std::set<int> &used,
                                                    const std::vector<RewardsToTry> &);

}  // namespace hone
