// gguf_ends.h -- which tokens end a response without a key of a GGUF file saying so (llama.cpp, src/llama-vocab.cpp, its
// list of tokens that cause the end of generation).
#pragma once

#include <string_view>

namespace hone {

// By the text of the token, whatever its type.
bool ends_by_text(std::string_view token);

}  // namespace hone
