// gguf_vocabulary.h -- a GGUF file's tokenizer metadata as plain data
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// The tokenizer of a GGUF file, as its tokenizer.ggml.* metadata has it.
struct GgufVocabulary {
  std::string model;                // "gpt2": byte-level BPE; "llama": SentencePiece BPE
  std::string pre;                  // tokenizer.ggml.pre; "" when absent
  std::vector<std::string> tokens;  // in id order
  std::vector<int32_t> types;       // 1 normal 2 unknown 3 control 4 user defined 5 unused 6 byte; may be empty
  std::vector<float> scores;        // "llama" needs them; may be empty
  std::vector<std::string> merges;  // "a b"; "gpt2" needs them
  int64_t bos = -1, eos = -1, unknown = -1, padding = -1;
  std::vector<int64_t> ends;  // the tokens beside eos that end a response, rising
  bool add_bos = false, add_eos = false, add_space_prefix = true;
  std::string chat_template;                           // "" when absent
  std::map<std::string, std::string> named_templates;  // tokenizer.chat_template.NAME: "tool_use", ...
};

// Failure for a token longer than any that merges make: looking for the ways to cut it takes its length squared.
void check_merged_length(std::string_view token, size_t id, const std::string &where);

}  // namespace hone
