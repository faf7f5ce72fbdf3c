// added_tokens.h -- tokens found in a text as they are written, before anything is split: tokenizer.json's
// "added_tokens".
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

struct AddedToken {
  std::string content;
  int32_t id;
  bool single_word, lstrip, rstrip;  // not within a word; takes the white space before it; after it
};

// A set of added tokens, searched together: the leftmost match, of those the longest, and on from its end. Thread-safe
// after construction. A match that `single_word` forbids is passed over whole, as the tokenizers library does.
class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // The parts of `text` in order, none of them empty: what lies between tokens (id -1) and the tokens, with the white
  // space that they take.
  void split(std::string_view text, const std::function<void(std::string_view part, int32_t id)> &part) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, int32_t>> next;  // by byte, ascending
    int32_t token = -1;                                   // index into tokens_
  };
  int32_t child(int32_t node, unsigned char byte) const;
  int32_t longest(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<bool, 256> begins_{};
};

}  // namespace hone
