// companions.cpp -- see companions.h.
#include "core/stage/companions.h"

#include "core/base/failure.h"
#include "hone/ext/objective.h"

namespace hone {

bool needs_no_rewards(uint64_t columns) { return (columns & HONE_LOGP_TEACHER) && !(columns & (HONE_BASELINE | HONE_STEP_REWARD)); }

void check_same_vocabulary(const Tokenizer &model, const Tokenizer &companion, const std::string &who) {
  for (uint32_t id = 0; id < model.size(); ++id) {
    const std::string own = model.token_of(static_cast<int32_t>(id)), theirs = companion.token_of(static_cast<int32_t>(id));
    if (own == theirs) continue;
    throw UsageError(who + " reads the model's responses by their tokens, but has another vocabulary: token " + std::to_string(id) + " is \"" + own +
                     "\" to the model and " + (theirs.empty() ? "none" : "\"" + theirs + "\"") + " to it; use models with the same tokenizer");
  }
}

}  // namespace hone
