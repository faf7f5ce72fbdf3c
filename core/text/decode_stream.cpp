// decode_stream.cpp -- see decode_stream.h.
#include "core/text/decode_stream.h"

#include "core/base/text.h"

namespace hone {
namespace {

constexpr size_t most_held =
    16;  // tokens; a character has 4 bytes at most, so whatever is held longer never becomes one

// A character that may still become whole stands at the end: bytes that are no UTF-8, or the U+FFFD that stands for
// them.
bool incomplete(const std::string &text) {
  if (text.ends_with("\xEF\xBF\xBD")) return true;
  const size_t bad = invalid_utf8(text);
  return bad != std::string::npos && text.size() - bad < 4;
}

}  // namespace

std::string DecodeStream::push(int32_t id) {
  ids_.push_back(id);
  return take(false);
}

std::string DecodeStream::finish() {
  std::string text = take(true);
  ids_.clear();
  shown_ = 0;
  return text;
}

std::string DecodeStream::take(bool all) {
  if (shown_ == ids_.size()) return "";
  const std::string before =
      tokenizer_.decode({ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(shown_)}, skip_special_);
  const std::string now = tokenizer_.decode(ids_, skip_special_);
  if (!all && ids_.size() - shown_ < most_held && (now.size() <= before.size() || incomplete(now))) return "";
  if (now.size() <=
      before.size()) {  // special tokens that are not shown leave the last part in place: the next gets its space
    ids_.resize(shown_);
    return "";
  }
  std::string text = with_replaced_invalid_utf8(now.substr(before.size()));
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(shown_));
  shown_ = ids_.size();
  return text;
}

}  // namespace hone
