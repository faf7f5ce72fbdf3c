// token_reader.cpp -- see token_reader.h.
#include "core/template/token_reader.h"

#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

std::string shown(const Token &token) {
  switch (token.type) {
    case Token::Type::data:
      return "text";
    case Token::Type::variable_begin:
      return "\"{{\"";
    case Token::Type::variable_end:
      return "\"}}\"";
    case Token::Type::block_begin:
      return "\"{%\"";
    case Token::Type::block_end:
      return "\"%}\"";
    case Token::Type::end:
      return "the end of the template";
    case Token::Type::text:
      return "the string '" + shortened(token.text, 40) + "'";
    default:
      return "\"" + shortened(token.text, 40) + "\"";
  }
}

}  // namespace

TokenReader::Deeper::Deeper(const TokenReader &reader, uint32_t &depth, uint32_t most, const char *what)
    : depth_(depth) {
  if (++depth_ > most) {
    --depth_;
    throw SyntaxTrouble{reader.now().line,
                        std::string(what) + " are nested more than " + std::to_string(most) + " levels deep"};
  }
}

void TokenReader::expected(const std::string &what) const {
  trouble(what + " is expected, but there is " + shown(now()));
}

void TokenReader::want_mark(std::string_view text) {
  if (!skip_mark(text)) expected("a \"" + std::string(text) + "\"");
}

void TokenReader::want_word(std::string_view text) {
  if (!skip_word(text)) expected("the word \"" + std::string(text) + "\"");
}

void TokenReader::want_block_end() {
  if (now().type != Type::block_end) expected("the block's end \"%}\"");
  take();
}

std::string TokenReader::want_name(const char *what) {
  if (now().type != Type::name) expected(what);
  return take().text;
}

}  // namespace hone::jinja
