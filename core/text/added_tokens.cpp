// added_tokens.cpp -- a trie over bytes, walked from every place where some token may begin.
#include "core/text/added_tokens.h"

#include <algorithm>

#include "core/text/regex.h"
#include "core/text/utf8.h"
#include "core/text/white_space.h"

namespace hone {
namespace {

// The character of a word in the sense of Rust's \w: Oniguruma's within a set, and the joiners.
bool word_character(std::string_view character) {
  static const Regex word("[\\u200C\\u200D\\w]", "added_tokens");
  std::vector<Span> matches;
  word.find_all(character, matches);
  return !matches.empty();
}

std::string_view last_character(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return text.substr(begin);
}

std::string_view first_character(std::string_view text) {
  size_t end = 0;
  next_code_point(text, end);
  return text.substr(0, end);
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), nodes_(1) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    int32_t node = 0;
    for (char c : tokens_[i].content) {
      const auto byte = static_cast<unsigned char>(c);
      int32_t below = child(node, byte);
      if (below < 0) {
        below = static_cast<int32_t>(nodes_.size());
        auto &next = nodes_[node].next;
        next.insert(std::lower_bound(next.begin(), next.end(), std::pair<unsigned char, int32_t>(byte, -1)),
                    {byte, below});
        nodes_.emplace_back();
      }
      node = below;
    }
    if (node != 0 && nodes_[node].token < 0) nodes_[node].token = static_cast<int32_t>(i);
  }
  for (const auto &[byte, node] : nodes_[0].next) begins_[byte] = true;
}

int32_t AddedTokens::child(int32_t node, unsigned char byte) const {
  const auto &next = nodes_[node].next;
  const auto found = std::lower_bound(next.begin(), next.end(), std::pair<unsigned char, int32_t>(byte, -1));
  return found != next.end() && found->first == byte ? found->second : -1;
}

int32_t AddedTokens::longest(std::string_view text, size_t at) const {
  int32_t best = -1;
  for (int32_t node = 0; at < text.size(); ++at) {
    node = child(node, static_cast<unsigned char>(text[at]));
    if (node < 0) break;
    if (nodes_[node].token >= 0) best = nodes_[node].token;
  }
  return best;
}

void AddedTokens::split(std::string_view text, const std::function<void(std::string_view, int32_t)> &part) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const int32_t index = begins_[static_cast<unsigned char>(text[at])] ? longest(text, at) : -1;
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken &token = tokens_[index];
    size_t begin = at, end = at + token.content.size();
    at = end;
    if (token.single_word && ((begin > 0 && word_character(last_character(text.substr(0, begin)))) ||
                              (end < text.size() && word_character(first_character(text.substr(end))))))
      continue;
    if (token.lstrip) {
      while (begin > done) {
        const std::string_view before = last_character(text.substr(0, begin));
        if (!white_space(before, 0)) break;
        begin -= before.size();
      }
      begin = std::max(begin, done);
    }
    if (token.rstrip)
      while (const size_t bytes = white_space(text, end)) end += bytes;
    if (done < begin) part(text.substr(done, begin - done), -1);
    part(text.substr(begin, end - begin), token.id);
    done = end;
  }
  if (done < text.size()) part(text.substr(done), -1);
}

}  // namespace hone
