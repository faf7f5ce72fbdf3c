// step_rows.h -- rows with labelled steps, as a process reward model learns them, and steps as it reads them: {prompt, steps, labels}, or
// a line of PRM800K (Lightman et al., arXiv 2305.20050).
#pragma once

#include <span>

#include "core/stage/data.h"

namespace hone {

struct LabelledSteps {
  std::string prompt;  // of a line of PRM800K; else the row's own column
  std::vector<std::string> text;
  std::vector<float> label;  // 0 to 1; NaN: none
};

// `steps` is a list of texts and `labels` one of as many numbers from 0 to 1 (or true, false, or null: none). Of PRM800K: the steps along
// the path that the labelling took, each but the last a line; rating 1, or a step that a person wrote, is 1, and -1 is 0. Where
// no completion was chosen the path ends with the first that was rated. neutral is what a rating of 0 counts for: "right", "wrong", or
// "skip" (no label). Failure naming row, column and what was found.
LabelledSteps labelled_steps(const DataRow &, const std::string &neutral);

// A prompt and the steps of a response to it. Each step is encoded by itself and nothing ends the response, so that what comes later
// changes no token of a step.
struct StepTokens {
  std::vector<int32_t> ids;
  uint32_t begin = 0;         // of the first step
  std::vector<uint32_t> end;  // of each step; that of the one before where it has no token
};
StepTokens step_tokens(const Tokenizer &, const DataRow &prompt, std::span<const std::string> steps, uint32_t max_positions);

// A row's labels become the step_reward of the token that ends each step. Failure as above, and for a step without a token.
TrainRow steps_to_train(const Tokenizer &, const DataRow &, const std::string &neutral, uint32_t max_positions);

// Of each of a response's tokens the value of the step that it ends; NaN where it ends none. start: where the steps begin.
std::vector<float> at_ends(std::span<const uint32_t> start, std::span<const float> values, size_t tokens);

}  // namespace hone
