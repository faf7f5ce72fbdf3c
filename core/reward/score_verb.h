// score_verb.h -- `hone score REWARD --input rows.jsonl [--set key=value ...]`: tries a reward on rows without training.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/reward/scorer.h"

namespace hone {

struct ScoreVerb {
  std::string reward;                                    // its name in Lua
  // prompt, response, answer, ids, truncated, any more columns; each with its place, such as "rows.jsonl:3", for messages
  std::vector<std::pair<std::string, nlohmann::json>> rows;
  std::vector<std::pair<std::string, std::string>> set;  // settings, as text; lists and tables as JSON; a model as its directory
  ScorerSettings scorer;
};

// One line {"score": number or null, "error": why not or null} per row, in order. Returns the exit status. UsageError for
// settings and Failure for rows that are wrong, before anything is written.
int score_verb(const Registry &, const ScoreVerb &, std::ostream &out);

}  // namespace hone
