// train_rows.h -- the rows that a loop stage gives to train_step() and logprobs() (draft/stage.h), as token sequences.
#pragma once

#include "core/stage/model_training.h"
#include "core/stage/table.h"

namespace hone {

// version: of the weights as they are (Trainers::version); rows of other versions are off policy. Failure, naming row and column, for what does not
// fit the model, and when the objective reads a column that is not there.
std::vector<TrainRow> train_rows(const TableReader &, const ModelTraining &, uint64_t version, const std::string &where);

// A prompt's text and its response's ids as one sequence, which begins to respond at `begin`. Failure when it does not fit the model.
std::vector<int32_t> response_sequence(const Tokenizer &, const Weights &, const std::string &prompt, const std::vector<int32_t> &ids,
                                       const std::string &where, uint32_t &begin);

}  // namespace hone
