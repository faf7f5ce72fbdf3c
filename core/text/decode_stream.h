// decode_stream.h -- tokens in, text out as they come: whole characters only, and together the same text as decoding
// all at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace hone {

// The tokenizer must outlive it. Each push() decodes a few of the last tokens, however long the stream is.
class DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer &tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  std::string push(int32_t id);  // what can be shown now; "" while a character is incomplete
  std::string finish();          // what is still held back; a character that never became whole is U+FFFD

 private:
  std::string take(bool all);

  const Tokenizer &tokenizer_;
  bool skip_special_;
  std::vector<int32_t> ids_;  // from the start of the last part that was shown, which decides on spaces between tokens
  size_t shown_ = 0;          // how many of ids_ have been shown
};

}  // namespace hone
