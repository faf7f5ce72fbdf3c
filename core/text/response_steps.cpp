// response_steps.cpp -- see response_steps.h.
#include "core/text/response_steps.h"

#include <algorithm>

#include "core/text/decode_stream.h"

namespace hone {
namespace {

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

// A step under way.
struct Step {
  std::string text;
  size_t begun = 0;  // bytes after which it may end: separators before had nothing in front

  // Takes more text; whether that completes a separator.
  bool take(const std::string &more, const std::vector<std::string> &separators) {
    const size_t seen = text.size();
    text += more;
    for (;;) {
      size_t at = std::string::npos, end = std::string::npos;  // of the separator that ends first
      for (const std::string &separator : separators) {
        const size_t from = std::max(begun, seen + 1 > separator.size() ? seen + 1 - separator.size() : 0);
        const size_t found = text.find(separator, from);
        if (found != std::string::npos && found + separator.size() < end) at = found, end = found + separator.size();
      }
      if (end == std::string::npos) return false;
      if (!blank(std::string_view(text).substr(begun, at - begun))) return true;
      begun = end;
    }
  }
};

// A line break may be a byte-fallback token, whose text comes only once its run of bytes is over: so what the stream still holds is
// looked at, too, and, where a separator is complete in it, counted to that step before it comes.
class Cutter {
 public:
  Cutter(const Tokenizer &tokenizer, const std::vector<std::string> &separators, ResponseSteps &out)
      : stream_(tokenizer), separators_(separators), out_(out) {}

  void push(uint32_t t, int32_t id) {
    if (take(stream_.push(id))) return end(t, "");
    const std::string held = DecodeStream(stream_).finish();
    if (held.size() <= counted_.size() || !held.starts_with(counted_)) return;
    if (Step(step_).take(held.substr(counted_.size()), separators_)) end(t, held);
  }
  // Whether what follows the last step is none by itself.
  bool ends_blank() {
    take(stream_.finish());
    return blank(std::string_view(step_.text).substr(step_.begun));
  }

 private:
  void end(uint32_t t, const std::string &held) {
    out_.start.push_back(t + 1), out_.text.push_back(shown_ + static_cast<uint32_t>(held.size()));
    step_ = {};
    counted_ = held;
  }
  // Whether the text completes the step under way.
  bool take(std::string more) {
    const uint32_t before = shown_;
    shown_ += static_cast<uint32_t>(more.size());
    if (more.empty()) return false;
    const size_t known = std::min(more.size(), counted_.size());
    if (more.compare(0, known, counted_, 0, known) == 0) {
      more.erase(0, known), counted_.erase(0, known);
    } else {  // the run was no text after all
      for (uint32_t &begin : out_.text) begin = std::min(begin, before);
      counted_.clear();
    }
    return step_.take(more, separators_);
  }

  DecodeStream stream_;
  const std::vector<std::string> &separators_;
  ResponseSteps &out_;
  Step step_;
  std::string counted_;  // of what the stream holds, what belongs to steps before
  uint32_t shown_ = 0;   // bytes
};

}  // namespace

ResponseSteps response_steps(const Tokenizer &tokenizer, const std::vector<int32_t> &ids, const std::vector<std::string> &separators) {
  ResponseSteps out;
  if (ids.empty()) return out;
  out.start.push_back(0), out.text.push_back(0);
  const std::vector<int32_t> stops = tokenizer.stop_ids();
  const bool ended = std::ranges::find(stops, ids.back()) != stops.end();
  const auto n = static_cast<uint32_t>(ids.size() - ended);  // of tokens with text
  Cutter cutter(tokenizer, separators, out);
  for (uint32_t t = 0; t < n; ++t) cutter.push(t, ids[t]);
  if (cutter.ends_blank() && out.start.size() > 1) out.start.pop_back(), out.text.pop_back();
  return out;
}

}  // namespace hone
