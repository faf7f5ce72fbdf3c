// tokenizer.h -- text to token ids and back, from a Hugging Face tokenizer.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/chat_format.h"

namespace hone {

// Thread-safe after construction.
class Tokenizer {
 public:
  // Failure with file and key. The chat template is that of the file's folder.
  static std::unique_ptr<Tokenizer> from_file(const std::filesystem::path &tokenizer_json);
  // A word-level vocabulary: words in id order, split at white space, joined by one space. special: never produced from
  // ordinary text unless written in it, and skipped when decoding for people.
  static std::unique_ptr<Tokenizer> from_words(const std::vector<std::string> &words,
                                               const std::vector<std::string> &special, const std::string &unknown);
  virtual ~Tokenizer() = default;

  virtual std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false) const = 0;
  virtual std::string decode(const std::vector<int32_t> &ids, bool skip_special = false) const = 0;
  virtual int32_t id_of(std::string_view token) const = 0;  // -1: none
  virtual std::string token_of(int32_t id) const = 0;       // "" when out of range
  virtual uint32_t size() const = 0;
  virtual int32_t bos() const = 0;  // -1: none
  virtual int32_t eos() const = 0;
  virtual bool is_special(int32_t id) const = 0;
  virtual std::string json() const = 0;         // the text of tokenizer.json, to write beside a checkpoint
  virtual std::string config_json() const = 0;  // tokenizer_config.json

  const ChatFormat &chat() const { return chat_; }
  void set_chat(ChatFormat);  // before the tokenizer is shared; names its bos and eos tokens to the template where they have no name

 private:
  ChatFormat chat_;
};

}  // namespace hone
