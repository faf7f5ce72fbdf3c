// models.h -- turns a script's model handles into weights: fresh, from a directory, or what an earlier stage trained.
#pragma once

#include "core/stage/context.h"

namespace hone {

struct StageModel {
  std::unique_ptr<Weights> weights;
  std::shared_ptr<const Tokenizer> tokenizer;
};

// Loads model node `index`. Failure naming the script's line when the stage it comes from has not run.
StageModel load_stage_model(const RunContext &, int index);

// The directory of a model that is on disk (a directory node, or a finished stage's last checkpoint); a fresh model has none.
std::filesystem::path model_directory(const RunContext &, int index);

// What tables call it: the script's name for it, else the label of the stage that made it, else its component or folder.
std::string model_name(const Pipeline &, int index);

// The tokenizer of a model node, without loading weights.
std::shared_ptr<const Tokenizer> tokenizer_of(const Pipeline &, int model);

int handle_index(const nlohmann::json &value, const char *key);  // {"$model": 3} -> 3; -1 when it is null

}  // namespace hone
