// small_gguf.h -- what tests need to write a GGUF file of a small model, and to change a number of its metadata.
#pragma once

#include <cstring>
#include <fstream>
#include <stdexcept>

#include "core/base/file.h"
#include "core/model/gguf_tokenizer.h"
#include "tests/core/model/golden.h"

namespace hone::test {

// Of 20 tokens that make a tokenizer.
inline GgufVocabulary small_vocabulary() {
  GgufVocabulary vocabulary = vocabulary_from_gguf(Gguf(golden("deepseek2") / "model.gguf"));
  vocabulary.tokens[7] = "ab";
  vocabulary.merges = {"a b"};
  return vocabulary;
}

// The bytes of a file whose metadata `key` has another value, of the type that it has there.
template <class Value>
std::string with_metadata(std::string bytes, const std::string &key, Value value) {
  const size_t at = bytes.find(key);
  if (at == std::string::npos) throw std::runtime_error("no metadata " + key);
  std::memcpy(bytes.data() + at + key.size() + 4, &value, sizeof value);  // after the type's four bytes
  return bytes;
}

}  // namespace hone::test
