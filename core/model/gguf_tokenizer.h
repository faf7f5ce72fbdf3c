// gguf_tokenizer.h -- the tokenizer.ggml.* metadata of a GGUF file, in and out.
#pragma once

#include "core/model/gguf.h"
#include "core/model/gguf_writer.h"
#include "core/text/gguf_vocabulary.h"

namespace hone {

// Failure naming the key when the lists disagree in length or an id names no token.
GgufVocabulary vocabulary_from_gguf(const Gguf &);
// `vocab_size`: of the model; missing tokens are filled in as unused ones, as llama.cpp wants one for each row of the
// embedding.
void vocabulary_to_gguf(const GgufVocabulary &, uint64_t vocab_size, GgufWriter &);

}  // namespace hone
