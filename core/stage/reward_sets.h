// reward_sets.h -- the rewards of one stage: a weighted set, or one set per domain of prompts; journalled.
#pragma once

#include "core/reward/scorer.h"
#include "core/stage/context.h"

namespace hone {

struct RowToScore {
  ScoreRow row;
  std::string domain;
};

struct ScoredRows {
  std::vector<float> reward;                        // the weighted sum; NaN when any part has no score
  std::map<std::string, std::vector<float>> parts;  // by label, NaN where a row was not scored or is of another domain
  std::map<std::string, uint32_t> unscored;         // rows without a score, by label
  std::vector<std::vector<float>> steps;            // per row, of each of its steps: the weighted sum of those parts that score it; NaN: none does
  std::map<std::string, uint64_t> steps_scored;     // by label, of parts that scored any
  uint32_t rows_unscored = 0;
  std::string first_reason;                         // why the first of them has none
};

class RewardSets {
 public:
  // rewards: {"$reward": i}, a list of those, or {domain: list}. stage: the stage's checked settings (isolation, deadlines).
  RewardSets(const RunContext &, const nlohmann::json &rewards, const nlohmann::json &stage, const std::string &where);
  ~RewardSets();
  bool empty() const;
  // Scores journalled under `key` are taken from the journal; new ones are journalled before they are returned.
  // Failure when more than max_unscored of the rows have no score, when a row's domain has no rewards, or when the journal's
  // scores are of other rows or other rewards. Interrupted when the run is asked to end: nothing is journalled then.
  ScoredRows score(ScoreJournal &, const std::string &key, const std::vector<RowToScore> &);

 private:
  struct Set {
    std::string domain;
    std::unique_ptr<Scorer> scorer;
  };
  const RunContext &context_;
  std::vector<Set> sets_;
  double max_unscored_;
  std::string where_;
};

}  // namespace hone
