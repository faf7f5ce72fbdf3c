// special_names.h -- which token begins a text and which ends it: named in tokenizer_config.json, else told by its
// spelling.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace hone {

// "<s>", "<|begin_of_text|>" and the like; "</s>", "<|endoftext|>" and the like.
bool usual_begin(const std::string &token);
bool usual_end(const std::string &token);

// The id of config's `key` ("bos_token"; a text or an object with "content"): Failure when the vocabulary lacks it, -1
// when it is null. When config has no such key, the first of `special` that `usual` knows by its spelling, else -1.
int32_t named_token(const nlohmann::json &config, const char *key, bool (*usual)(const std::string &),
                    const std::vector<std::pair<int32_t, std::string>> &special,
                    const std::function<int32_t(const std::string &)> &id_of, const std::string &where);

}  // namespace hone
