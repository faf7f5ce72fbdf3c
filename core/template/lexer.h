// lexer.h -- a template's text as tokens, with jinja2's white space control: "-" and "+" at a tag, trim_blocks and
// lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/template/value.h"

namespace hone::jinja {

struct Token {
  enum class Type { data, variable_begin, variable_end, block_begin, block_end, name, text, number, mark, end };
  Type type;
  std::string text;  // of data, a name, a string (its content) or a mark such as "=="
  uint32_t line = 1;
  Value number;
};

// A mistake in the template's text.
struct SyntaxTrouble {
  uint32_t line;
  std::string what;
};

std::vector<Token> tokens_of(std::string_view source);  // ends with an `end`; throws SyntaxTrouble

}  // namespace hone::jinja
