// decode_stream.h -- tokens in, text out as they come: whole characters only, and together the same text as decoding
// all at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace hone {

// The tokenizer must outlive it. Each push() decodes a few of the last tokens, however long the stream is.
// A run of byte-fallback tokens, which a bad byte would turn into U+FFFD as a whole, is held until it ends, but no more
// than 64 of them: only what follows these is told apart from decoding all at once, and only when it has a bad byte.
class DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer &tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  std::string push(int32_t id);  // what can be shown now; "" while a character is incomplete
  std::string finish();          // what is still held back; a character that never became whole is U+FFFD

 private:
  std::string take(bool all);
  std::string push_byte(int32_t id, char byte);
  std::string end_run();
  std::string decoded(size_t begin, size_t end) const;
  void keep_from(size_t begin);
  void shorten(const std::string &now, size_t open);

  const Tokenizer &tokenizer_;
  bool skip_special_;
  std::vector<int32_t> ids_;  // from the start of the last part that was shown, which decides on spaces between tokens
  size_t settled_ = 0;        // how many of ids_ were there when all of their text had been shown
  std::string shown_;         // what has been shown of the text of ids_
  std::string last_;          // the text of ids_ after the last push
  std::string run_;           // the bytes of the byte-fallback tokens at the end that have not been shown
  bool in_run_ = false, bad_run_ = false;  // bad: it is shown as U+FFFD, byte by byte
};

}  // namespace hone
