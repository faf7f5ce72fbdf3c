// token_reader.h -- a template's tokens, read from left to right: what stands here, what stands next, what must stand
// here.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/template/lexer.h"

namespace hone::jinja {

// Every refusal is a SyntaxTrouble with the line that is being read.
class TokenReader {
 protected:
  using Type = Token::Type;

  explicit TokenReader(std::string_view source) : tokens_(tokens_of(source)) {}

  // Counts how deep the text is nested while it lives.
  struct Deeper {
    Deeper(const TokenReader &reader, uint32_t &depth, uint32_t most, const char *what);
    ~Deeper() { --depth_; }
    uint32_t &depth_;
  };

  const Token &now() const { return tokens_[at_]; }
  const Token &ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token &take() {
    const Token &token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool mark(std::string_view text) const { return now().type == Type::mark && now().text == text; }
  bool word(std::string_view text) const { return now().type == Type::name && now().text == text; }
  bool skip_mark(std::string_view text) { return mark(text) && (take(), true); }
  bool skip_word(std::string_view text) { return word(text) && (take(), true); }
  [[noreturn]] void trouble(const std::string &what) const { throw SyntaxTrouble{now().line, what}; }
  [[noreturn]] void expected(const std::string &what) const;  // "WHAT is expected, but there is ..."
  void want_mark(std::string_view text);
  void want_word(std::string_view text);
  void want_block_end();
  std::string want_name(const char *what);

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace hone::jinja
