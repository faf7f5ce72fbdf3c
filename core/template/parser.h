// parser.h -- tokens to a tree, by jinja2's grammar.
#pragma once

#include <string_view>

#include "core/template/syntax.h"

namespace hone::jinja {

Syntax parse(std::string_view source);  // throws SyntaxTrouble

}  // namespace hone::jinja
