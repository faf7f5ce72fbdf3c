// regex.h -- a regular expression of tokenizer.json: Oniguruma's meaning, matched by PCRE2 with Unicode properties and
// JIT.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

struct Span {
  size_t begin, end;  // bytes
};

// What searches of one text may cost together, however many words it was cut into: a fixed amount, enough for a match
// as long as any, and a share for each byte.
struct SearchBudget {
  explicit SearchBudget(size_t text_bytes);
  uint64_t steps;
};

// Thread-safe after construction.
class Regex {
 public:
  Regex(const std::string &oniguruma_pattern, const std::string &where);  // Failure naming the pattern
  static std::string escaped(std::string_view text);                      // a pattern that matches just this text

  // All matches from left to right, none overlapping, as Oniguruma's iterator finds them: an empty match right after
  // another match is passed over. `text` is valid UTF-8 and is all that look-ahead and look-behind see. Failure when a
  // match or the search takes more steps or memory than any sound expression needs of such a text: nothing hangs.
  void find_all(std::string_view text, std::vector<Span> &matches) const;
  void find_all(std::string_view text, std::vector<Span> &matches, SearchBudget &budget) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace hone
