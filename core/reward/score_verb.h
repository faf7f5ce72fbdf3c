// score_verb.h -- `hone score REWARD --input rows.jsonl [--set key=value ...]`: tries a reward on rows without training.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "core/reward/scorer.h"

namespace hone {

struct ScoreVerb {
  std::string reward;                                    // its name in Lua
  std::filesystem::path input;                           // JSON lines: prompt, response, answer, ids, truncated, any more columns; "-": stdin
  std::vector<std::pair<std::string, std::string>> set;  // settings, as text; lists and tables as JSON; a model as its directory
  ScorerSettings scorer;
};

// One line {"score": number or null, "error": why not or null} per row, in order. Returns the exit status. UsageError, before
// anything is written, for settings and rows that are wrong (with file and line).
int score_verb(const Registry &, const ScoreVerb &, std::ostream &out);

}  // namespace hone
