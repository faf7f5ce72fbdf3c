// added_vocabulary.h -- tokenizer.json's "added_tokens": their ids, which are special, and how they are found.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/normalizer.h"
#include "core/text/vocabulary.h"

namespace hone {

struct AddedVocabulary {
  std::vector<bool> special;                // by id, for each id of the vocabulary
  AddedTokens written{{}}, normalized{{}};  // found before and after normalising
};

// `list`: the key's value, or null. The tokens go into `vocabulary`, which has the model's. Failure with the entry for
// what is damaged.
AddedVocabulary read_added_tokens(const nlohmann::json &list, const Normalizer &normalizer, Vocabulary &vocabulary,
                                  const std::string &where);

// An entry of such a list: a token that is found wherever it is written.
nlohmann::json added_token_entry(size_t id, const std::string &content, bool special);

}  // namespace hone
