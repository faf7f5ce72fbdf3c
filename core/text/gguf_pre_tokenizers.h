// gguf_pre_tokenizers.h -- the names of tokenizer.ggml.pre and the pre-tokenizers they stand for (llama.cpp's table,
// src/llama-vocab.cpp).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace hone {

struct GgufPreTokenizer {
  nlohmann::json pre_tokenizer, normalizer;  // as tokenizer.json has them
  bool ignore_merges;
};

// "" is llama.cpp's default. Failure with the names that hone knows.
GgufPreTokenizer gguf_pre_tokenizer(const std::string &pre, const std::string &where);

// Whether llama.cpp puts bos before a text where tokenizer.ggml.add_bos_token does not say.
bool gguf_pre_adds_bos(const std::string &pre);

// The name whose pre-tokenizer cuts words as this one of a tokenizer.json does. Failure naming its expressions when
// llama.cpp has no name for it. The normalizer is not part of the name: llama.cpp normalises nothing.
std::string gguf_pre_name(const nlohmann::json &pre_tokenizer, bool ignore_merges, const std::string &where);

}  // namespace hone
