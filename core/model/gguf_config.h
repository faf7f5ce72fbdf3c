// gguf_config.h -- a model's shape as GGUF metadata and as a Hugging Face config.json.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/model/gguf.h"
#include "core/model/gguf_writer.h"

namespace hone {

// config.json's keys for the architectures llama, qwen2, qwen3, qwen3moe and deepseek2. Failure naming the key when
// something is lacking, or is there that hone's models cannot do.
nlohmann::json config_from_gguf(const Gguf &);

// The other way: `general.architecture` and the metadata under it, as llama.cpp's converter writes them. Returns the
// architecture. Failure when a setting has no place in GGUF. `rope_frequency_factors` is what the tensor
// rope_freqs.weight must hold; empty: none.
std::string config_to_gguf(const nlohmann::json &config, GgufWriter &, std::vector<float> &rope_frequency_factors);

}  // namespace hone
