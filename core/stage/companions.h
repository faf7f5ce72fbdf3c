// companions.h -- the models beside the one that a stage trains on policy, and what they must have in common with it.
#pragma once

#include <string>

#include "core/text/tokenizer.h"

namespace hone {

// Whether an objective on policy that reads these columns can do without rewards: a teacher's log-probs are enough.
bool needs_no_rewards(uint64_t columns);

// UsageError, which begins with `who` ("...: its teacher"), where a token of the model is another one of its companion's.
void check_same_vocabulary(const Tokenizer &model, const Tokenizer &companion, const std::string &who);

}  // namespace hone
