// decode_stream.cpp -- see decode_stream.h.
#include "core/text/decode_stream.h"

#include "core/base/text.h"
#include "core/text/utf8.h"

namespace hone {
namespace {

constexpr size_t kMostHeld = 64;  // tokens
const std::string kReplacement = "\xEF\xBF\xBD";

std::string replacements(size_t count) {
  std::string text;
  for (; count > 0; --count) text += kReplacement;
  return text;
}

// Bytes at the end that may still become a character: of a tokenizer that gives bytes as they are, or the U+FFFD that
// stands for them. Of several U+FFFD only the last can be of an incomplete character.
size_t open_end(const std::string &text) {
  return text.ends_with(kReplacement) ? kReplacement.size() : incomplete_end(text);
}

}  // namespace

std::string DecodeStream::push(int32_t id) {
  if (id < 0 || static_cast<uint32_t>(id) >= tokenizer_.size() || (skip_special_ && tokenizer_.is_special(id)))
    return "";  // decoding passes over it
  const int byte = tokenizer_.fallback_byte(id);
  if (byte < 0) {
    std::string text = in_run_ ? end_run() : "";
    ids_.push_back(id);
    return text + take(false);
  }
  std::string text;
  if (!in_run_) {
    text = take(true);  // a byte changes nothing before its run
    in_run_ = true;
  }
  return text + push_byte(id, static_cast<char>(byte));
}

std::string DecodeStream::finish() {
  std::string text = in_run_ ? end_run() : take(true);
  ids_.clear();
  settled_ = 0;
  shown_.clear();
  last_.clear();
  return text;
}

std::string DecodeStream::decoded(size_t begin, size_t end) const {
  return tokenizer_.decode({ids_.begin() + static_cast<ptrdiff_t>(begin), ids_.begin() + static_cast<ptrdiff_t>(end)},
                           skip_special_);
}

// All of the text has been shown: the tokens from `begin` on remain, for the space before the next one.
void DecodeStream::keep_from(size_t begin) {
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(begin));
  settled_ = ids_.size();
  shown_ = last_ = decoded(0, ids_.size());
}

std::string DecodeStream::take(bool all) {
  if (settled_ == ids_.size()) return "";
  const std::string now = decoded(0, ids_.size());
  const bool continues = now.starts_with(shown_);
  const size_t open = all ? 0 : open_end(now);
  if (!all && now == last_ && tokenizer_.token_of(ids_.back()).empty() &&
      decoded(ids_.size() - 1, ids_.size()).empty()) {
    ids_.pop_back();  // an id without a token: the last one that has text stays in place
    return "";
  }
  last_ = now;
  if (open > 0) {
    if (!continues || now.size() - open <= shown_.size()) return "";
    std::string text = with_replaced_invalid_utf8(now.substr(shown_.size(), now.size() - open - shown_.size()));
    shown_ = now.substr(0, now.size() - open);
    if (ids_.size() % kMostHeld == 0) shorten(now, open);
    return text;
  }
  // A decoder that changes what came before has nothing better than the new tokens by themselves.
  std::string text = continues ? now.substr(shown_.size()) : decoded(settled_, ids_.size());
  if (!text.empty()) keep_from(settled_);
  return with_replaced_invalid_utf8(text);
}

// A stream of bad bytes never has all of its text shown. Its first tokens can go when the text is cut between two
// characters there.
void DecodeStream::shorten(const std::string &now, size_t open) {
  for (size_t kept = 4; kept <= 16 && kept < ids_.size(); ++kept) {
    const size_t cut = ids_.size() - kept;
    const std::string after = decoded(cut, ids_.size());
    if (after.size() <= open || decoded(0, cut) + after != now) continue;
    ids_.erase(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(cut));
    settled_ = 0;
    last_ = after;
    shown_ = after.substr(0, after.size() - open);
    return;
  }
}

std::string DecodeStream::push_byte(int32_t id, char byte) {
  if (bad_run_) return kReplacement;  // a token of the run stands in ids_ already
  run_ += byte;
  ids_.push_back(id);
  const size_t tail = incomplete_end(run_), whole = run_.size() - tail;
  if (invalid_utf8(std::string_view(run_).substr(0, whole)) != std::string::npos) {
    bad_run_ = true;
    std::string text = replacements(run_.size());
    run_.clear();
    keep_from(ids_.size() - 1);
    return text;
  }
  if (run_.size() < kMostHeld) return "";
  // Its whole characters are shown; the last of them stays in place before those that come.
  const size_t end = ids_.size() - tail;
  std::string text = decoded(0, end).substr(shown_.size());
  size_t last = whole - 1;
  while (last > 0 && (static_cast<unsigned char>(run_[last]) & 0xC0) == 0x80) --last;
  const std::vector<int32_t> waiting(ids_.begin() + static_cast<ptrdiff_t>(end), ids_.end());
  ids_.resize(end);
  keep_from(end - (whole - last));
  ids_.insert(ids_.end(), waiting.begin(), waiting.end());
  run_.erase(0, whole);
  return text;
}

std::string DecodeStream::end_run() {
  std::string text;
  if (!bad_run_ && !run_.empty()) {
    const bool whole = invalid_utf8(run_) == std::string::npos;
    text = whole ? decoded(0, ids_.size()).substr(shown_.size()) : replacements(run_.size());
    keep_from(whole ? ids_.size() - run_.size() : ids_.size() - 1);
  }
  run_.clear();
  in_run_ = bad_run_ = false;
  return text;
}

}  // namespace hone
