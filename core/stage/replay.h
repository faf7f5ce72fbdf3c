// replay.h -- regenerates a past rollout bit for bit from its run directory.
#pragma once

#include <iosfwd>

#include "core/stage/runner.h"

namespace hone {

// Goes back to the weights before `step` of the stage (its number, folder or label), samples row `row` again and compares it
// with what was recorded. Prints one JSON object: the row, and "identical". Returns 0 when ids and log-probs are the same
// bits, else 1.
int replay(const std::filesystem::path &run, const std::string &stage, uint32_t step, uint32_t row,
           const std::vector<std::filesystem::path> &plugins, uint32_t threads, std::ostream &out);

}  // namespace hone
