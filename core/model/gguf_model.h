// gguf_model.h -- a whole model as one GGUF file: its tokenizer in, and everything out.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/model/gguf.h"
#include "core/model/model.h"
#include "core/text/gguf_vocabulary.h"

namespace hone {

std::unique_ptr<Tokenizer> tokenizer_from_gguf(const Gguf &);

// Writes the file at `path`, which is there only when whole. dtype: "F32", "F16" or "BF16" for the matrices; vectors
// and routers stay F32, as llama.cpp wants them. Failure when GGUF has no place for something that the model needs.
void save_gguf(const std::filesystem::path &path, const Weights &, const GgufVocabulary &, const std::string &dtype,
               const EachTensor & = {});

}  // namespace hone
