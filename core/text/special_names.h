// special_names.h -- which token begins a text and which ends it: named in tokenizer_config.json or
// special_tokens_map.json, else told by its spelling.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/text/tokenizer_files.h"

namespace hone {

// "<s>", "<|begin_of_text|>" and the like; "</s>", "<|endoftext|>" and the like.
bool usual_begin(const std::string &token);
bool usual_end(const std::string &token);

// The value of `key` ("bos_token") in tokenizer_config.json, or in special_tokens_map.json when that lacks the key;
// null pointers when neither has it.
struct SpecialEntry {
  const nlohmann::json *value = nullptr;
  const char *file = nullptr;
};
SpecialEntry special_entry(const TokenizerFiles &files, const char *key);

// The id of that entry (a text or an object with "content"): Failure when the vocabulary lacks it, -1 when it is null.
// When there is none, the first of `special` that `usual` knows by its spelling, else -1.
int32_t named_token(const TokenizerFiles &files, const char *key, bool (*usual)(const std::string &),
                    const std::vector<std::pair<int32_t, std::string>> &special,
                    const std::function<int32_t(const std::string &)> &id_of);

}  // namespace hone
