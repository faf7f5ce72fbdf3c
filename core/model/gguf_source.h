// gguf_source.h -- a GGUF file's tensors under their Hugging Face names and in Hugging Face's layout.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "core/model/gguf.h"
#include "core/model/tensor_source.h"

namespace hone {

// `config`: what config_from_gguf() made of the same file. The file must outlive the source.
std::unique_ptr<TensorSource> open_gguf_tensors(const Gguf &, const nlohmann::json &config);

// llama.cpp turns the pairs of rotary positions that Hugging Face has in the halves of a head into neighbours, in
// models of the architecture llama: the row of a Hugging Face matrix that stands in row `row` of a GGUF one, and the
// other way.
uint64_t hugging_face_row(uint64_t gguf_row, uint64_t head_size);
uint64_t gguf_row(uint64_t hugging_face_row, uint64_t head_size);

}  // namespace hone
