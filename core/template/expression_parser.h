// expression_parser.h -- the expressions of a template, from tokens to trees. Precedence as jinja2 has it: if-else, or,
// and, not, comparisons, + -, ~, * / // %, ** (from left to right), unary, then what stands behind a value: .name
// [item] (call) |filter `is test`.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/template/syntax.h"
#include "core/template/token_reader.h"

namespace hone::jinja {

class ExpressionParser : protected TokenReader {
 protected:
  explicit ExpressionParser(std::string_view source) : TokenReader(source) {}

  Expression expression(bool with_choice = true);
  // One expression, or several with commas between them. bracketed: "()" is the empty tuple.
  Expression tuple(bool bracketed, bool with_choice, std::string_view end_word = "");
  bool tuple_ends(std::string_view end_word) const;
  Expression primary();
  Expression filter(Expression value);  // from its "|" on; a null value: of a block
  Expression filter_named(Expression value, uint32_t line);
  Expression filter_chain(Expression value);

  static Expression make(Node::Kind kind, uint32_t line);
  static void add(Expression &node, Expression part);  // refused when the node gets too deep

  uint32_t id_of(const std::string &name);
  // Names that a macro's body uses decide what it may be called with.
  void used(const std::string &name);

  std::vector<std::string> names_;  // by id
  std::vector<Macro *> macros_;     // whose bodies are being read, the innermost last

 private:
  template <class... Parts>
  static Expression node(Node::Kind kind, uint32_t line, Parts... parts) {
    Expression made = make(kind, line);
    (add(made, std::move(parts)), ...);
    return made;
  }
  static Expression constant(Value value, uint32_t line);
  static void deepen(Expression &node, const Expression &part);  // it is one deeper than its deepest part
  static Expression arithmetic(uint32_t line, const std::string &op, Expression left, Expression right);
  static Expression with_call(Expression made, std::unique_ptr<Call> call);

  // From the loosest to the tightest.
  Expression choice();
  Expression either();
  Expression both();
  Expression inverted();
  Expression comparison();
  Expression sum();
  Expression concatenation();
  Expression product();
  Expression power();
  Expression unary(bool with_filter);
  Expression list();
  Expression mapping();

  // What may stand behind any value, and what only behind a whole one.
  Expression behind(Expression value);
  Expression filters(Expression value);
  Expression subscript(Expression value);
  Expression try_slice(Expression &value, uint32_t line);
  Expression slice_from(Expression value, Expression begin, uint32_t line);
  std::unique_ptr<Call> arguments();
  Expression call(Expression value);
  std::string dotted_name(const char *what);
  Expression test(Expression value);

  std::unordered_map<std::string, uint32_t> ids_;
  uint32_t depth_ = 0;
};

}  // namespace hone::jinja
