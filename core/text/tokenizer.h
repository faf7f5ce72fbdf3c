// tokenizer.h -- text to token ids and back, from a Hugging Face tokenizer.json or a GGUF file's metadata.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/chat_format.h"
#include "core/text/gguf_vocabulary.h"

namespace hone {

// Thread-safe after construction.
class Tokenizer {
 public:
  // tokenizer.json, and what of tokenizer_config.json, generation_config.json, special_tokens_map.json and the chat
  // templates lies beside it. Failure with file and key.
  static std::unique_ptr<Tokenizer> from_file(const std::filesystem::path &tokenizer_json);
  static std::unique_ptr<Tokenizer> from_directory(const std::filesystem::path &directory);
  // A word-level vocabulary: words in id order, split at white space, joined by one space. special: never produced from
  // ordinary text unless written in it, and skipped when decoding for people.
  static std::unique_ptr<Tokenizer> from_words(const std::vector<std::string> &words,
                                               const std::vector<std::string> &special, const std::string &unknown);
  // where: the GGUF file, which begins every Failure and warning.
  static std::unique_ptr<Tokenizer> from_gguf(const GgufVocabulary &vocabulary, const std::string &where);
  virtual ~Tokenizer() = default;

  // Text that is not valid UTF-8 is encoded as Python's errors="replace" would read it: U+FFFD for each maximal
  // subpart.
  virtual std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false) const = 0;
  virtual std::string decode(const std::vector<int32_t> &ids, bool skip_special = false) const = 0;
  // What add_special_tokens puts before a text: the post-processor's alone, whatever bos() is. None for a tokenizer
  // whose encode() puts nothing there.
  virtual std::vector<int32_t> prefix_ids() const { return {}; }
  virtual int32_t id_of(std::string_view token) const = 0;  // -1: none
  virtual std::string token_of(int32_t id) const = 0;       // as the vocabulary spells it; "" when out of range
  // The byte of a byte-fallback token, -1 for any other. Decoding joins such tokens that stand side by side, and gives
  // U+FFFD for each of them when together they are not valid UTF-8.
  virtual int fallback_byte(int32_t) const { return -1; }
  virtual const char *type() const = 0;  // as tokenizer.json's model.type names it: "BPE", "WordLevel"
  virtual uint32_t size() const = 0;     // the largest id and one
  virtual int32_t bos() const = 0;    // -1: none
  virtual int32_t eos() const = 0;
  virtual bool is_special(int32_t id) const = 0;
  // What ends a response: eos, then generation_config.json's eos_token_id, each once.
  virtual std::vector<int32_t> stop_ids() const = 0;
  // What to write beside a checkpoint, by file name: tokenizer.json, tokenizer_config.json, and the others as read.
  virtual std::map<std::string, std::string> files() const = 0;
  // The same vocabulary as GGUF's metadata; Failure when GGUF or llama.cpp's pre-tokenizers cannot express it.
  virtual GgufVocabulary gguf_vocabulary() const = 0;

  const ChatFormat &chat() const { return chat_; }
  void set_chat(ChatFormat);  // before the tokenizer is shared; names its bos and eos tokens to the template where they
                              // have no name

 private:
  ChatFormat chat_;
};

// tokenizer.encode(), whose Failure begins with `where`: the row, and the column that the text is from.
std::vector<int32_t> encode_of_row(const Tokenizer &, std::string_view text, const std::string &where, bool add_special_tokens = false);

}  // namespace hone
