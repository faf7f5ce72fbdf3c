// expression_parser.cpp -- see expression_parser.h.
#include "core/template/expression_parser.h"

#include <algorithm>
#include <utility>

#include "core/template/limits.h"

namespace hone::jinja {

uint32_t ExpressionParser::id_of(const std::string &name) {
  const auto [at, fresh] = ids_.emplace(name, static_cast<uint32_t>(names_.size()));
  if (fresh) names_.push_back(name);
  return at->second;
}

void ExpressionParser::used(const std::string &name) {
  if (macros_.empty()) return;
  if (name == "varargs") macros_.back()->takes_rest = true;
  if (name == "kwargs") macros_.back()->takes_named = true;
  if (name == "caller") macros_.back()->takes_caller = true;
}

Expression ExpressionParser::make(Node::Kind kind, uint32_t line) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->line = line;
  return node;
}

void ExpressionParser::deepen(Expression &node, const Expression &part) {
  if (part) node->depth = std::max(node->depth, part->depth + 1);
  if (node->depth > longest_chain)
    throw SyntaxTrouble{node->line, "an expression has more than " + std::to_string(longest_chain) +
                                        " parts that depend on one another"};
}

void ExpressionParser::add(Expression &node, Expression part) {
  deepen(node, part);
  node->parts.push_back(std::move(part));
}

Expression ExpressionParser::constant(Value value, uint32_t line) {
  Expression made = make(Node::Kind::constant, line);
  made->value = std::move(value);
  return made;
}

Expression ExpressionParser::expression(bool with_choice) {
  const Deeper deeper(*this, depth_, deepest_expression, "expressions");
  return with_choice ? choice() : either();
}

Expression ExpressionParser::choice() {
  const uint32_t line = now().line;
  Expression value = either();
  while (skip_word("if")) {
    Expression condition = either(), otherwise;
    if (skip_word("else")) otherwise = expression();
    value = node(Node::Kind::choice, line, std::move(condition), std::move(value), std::move(otherwise));
  }
  return value;
}

Expression ExpressionParser::either() {
  const uint32_t line = now().line;
  Expression left = both();
  while (skip_word("or")) left = node(Node::Kind::either, line, std::move(left), both());
  return left;
}

Expression ExpressionParser::both() {
  const uint32_t line = now().line;
  Expression left = inverted();
  while (skip_word("and")) left = node(Node::Kind::both, line, std::move(left), inverted());
  return left;
}

Expression ExpressionParser::inverted() {
  if (!word("not")) return comparison();
  const Deeper deeper(*this, depth_, deepest_expression, "expressions");
  const uint32_t line = take().line;
  return node(Node::Kind::invert, line, inverted());
}

Expression ExpressionParser::comparison() {
  const uint32_t line = now().line;
  Expression left = sum();
  Expression compared;
  for (;;) {
    std::string op;
    if (now().type == Type::mark && (mark("==") || mark("!=") || mark("<") || mark("<=") || mark(">") || mark(">="))) {
      op = take().text;
    } else if (skip_word("in")) {
      op = "in";
    } else if (word("not") && ahead().type == Type::name && ahead().text == "in") {
      take();
      take();
      op = "not in";
    } else {
      break;
    }
    if (!compared) compared = node(Node::Kind::compare, line, std::move(left));
    compared->operators.push_back(op);
    add(compared, sum());
  }
  return compared ? std::move(compared) : std::move(left);
}

Expression ExpressionParser::arithmetic(uint32_t line, const std::string &op, Expression left, Expression right) {
  Expression made = node(Node::Kind::arithmetic, line, std::move(left), std::move(right));
  made->text = op;
  return made;
}

Expression ExpressionParser::sum() {
  const uint32_t line = now().line;
  Expression left = concatenation();
  while (mark("+") || mark("-")) {
    const std::string op = take().text;
    left = arithmetic(line, op, std::move(left), concatenation());
  }
  return left;
}

Expression ExpressionParser::concatenation() {
  const uint32_t line = now().line;
  Expression first = product();
  if (!mark("~")) return first;
  Expression all = node(Node::Kind::concat, line, std::move(first));
  while (skip_mark("~")) add(all, product());
  return all;
}

Expression ExpressionParser::product() {
  const uint32_t line = now().line;
  Expression left = power();
  while (mark("*") || mark("/") || mark("//") || mark("%")) {
    const std::string op = take().text;
    left = arithmetic(line, op, std::move(left), power());
  }
  return left;
}

Expression ExpressionParser::power() {
  const uint32_t line = now().line;
  Expression left = unary(true);
  while (skip_mark("**")) left = arithmetic(line, "**", std::move(left), unary(true));
  return left;
}

Expression ExpressionParser::unary(bool with_filter) {
  const uint32_t line = now().line;
  Expression value;
  if (mark("-") || mark("+")) {
    const Deeper deeper(*this, depth_, deepest_expression, "expressions");
    const bool minus = take().text == "-";
    value = node(minus ? Node::Kind::negate : Node::Kind::plus, line, unary(false));
  } else {
    value = primary();
  }
  value = behind(std::move(value));
  return with_filter ? filters(std::move(value)) : std::move(value);
}

Expression ExpressionParser::primary() {
  const Token token = now();
  const uint32_t line = token.line;
  switch (token.type) {
    case Type::name: {
      take();
      const std::string &name = token.text;
      if (name == "true" || name == "True") return constant(Value::boolean(true), line);
      if (name == "false" || name == "False") return constant(Value::boolean(false), line);
      if (name == "none" || name == "None") return constant(Value(), line);
      used(name);
      Expression made = make(Node::Kind::name, line);
      made->id = id_of(name);
      made->text = name;
      return made;
    }
    case Type::text: {
      std::string text;
      while (now().type == Type::text) text += take().text;
      return constant(Value::constant(std::move(text)), line);
    }
    case Type::number:
      return constant(take().number, line);
    default:
      break;
  }
  if (skip_mark("(")) {
    const Deeper deeper(*this, depth_, deepest_expression, "brackets");
    Expression inside = tuple(true, true);
    want_mark(")");
    return inside;
  }
  if (mark("[")) return list();
  if (mark("{")) return mapping();
  expected("a value");
}

Expression ExpressionParser::list() {
  const Deeper deeper(*this, depth_, deepest_expression, "brackets");
  Expression made = make(Node::Kind::list, take().line);
  while (!mark("]")) {
    if (!made->parts.empty()) want_mark(",");
    if (mark("]")) break;
    add(made, expression());
  }
  want_mark("]");
  return made;
}

Expression ExpressionParser::mapping() {
  const Deeper deeper(*this, depth_, deepest_expression, "brackets");
  Expression made = make(Node::Kind::mapping, take().line);
  while (!mark("}")) {
    if (!made->parts.empty()) want_mark(",");
    if (mark("}")) break;
    add(made, expression());
    want_mark(":");
    add(made, expression());
  }
  want_mark("}");
  return made;
}

bool ExpressionParser::tuple_ends(std::string_view end_word) const {
  return now().type == Type::variable_end || now().type == Type::block_end || mark(")") ||
         (!end_word.empty() && word(end_word));
}

Expression ExpressionParser::tuple(bool bracketed, bool with_choice, std::string_view end_word) {
  const uint32_t line = now().line;
  std::vector<Expression> parts;
  bool several = false;
  for (;;) {
    if (!parts.empty()) want_mark(",");
    if (tuple_ends(end_word)) break;
    parts.push_back(expression(with_choice));
    if (!mark(",")) break;
    several = true;
  }
  if (!several) {
    if (!parts.empty()) return std::move(parts[0]);
    if (!bracketed) expected("an expression");
  }
  Expression made = make(Node::Kind::tuple, line);
  for (Expression &part : parts) add(made, std::move(part));
  return made;
}

Expression ExpressionParser::behind(Expression value) {
  for (;;) {
    if (mark(".") || mark("["))
      value = subscript(std::move(value));
    else if (mark("("))
      value = call(std::move(value));
    else
      return value;
  }
}

Expression ExpressionParser::filters(Expression value) {
  for (;;) {
    if (mark("|"))
      value = filter(std::move(value));
    else if (word("is"))
      value = test(std::move(value));
    else if (mark("("))
      value = call(std::move(value));
    else
      return value;
  }
}

Expression ExpressionParser::subscript(Expression value) {
  const uint32_t line = now().line;
  if (skip_mark(".")) {
    if (now().type == Type::number && now().number.is(Value::Kind::integer))
      return node(Node::Kind::item, line, std::move(value), constant(take().number, line));
    Expression made = node(Node::Kind::attribute, line, std::move(value));
    made->text = want_name("an attribute's name");
    return made;
  }
  const Deeper deeper(*this, depth_, deepest_expression, "brackets");
  take();  // "["
  if (Expression slice = try_slice(value, line)) return slice;
  Expression key = expression();
  if (mark(":")) return slice_from(std::move(value), std::move(key), line);
  if (mark(",")) {
    Expression keys = node(Node::Kind::tuple, line, std::move(key));
    while (skip_mark(",") && !mark("]")) add(keys, expression());
    key = std::move(keys);
  }
  want_mark("]");
  return node(Node::Kind::item, line, std::move(value), std::move(key));
}

Expression ExpressionParser::try_slice(Expression &value, uint32_t line) {
  return mark(":") ? slice_from(std::move(value), nullptr, line) : nullptr;
}

Expression ExpressionParser::slice_from(Expression value, Expression begin, uint32_t line) {
  want_mark(":");
  Expression end, step;
  const auto ends = [&] { return mark("]") || mark(":"); };
  if (!ends()) end = expression();
  if (skip_mark(":") && !mark("]")) step = expression();
  want_mark("]");
  return node(Node::Kind::slice, line, std::move(value), std::move(begin), std::move(end), std::move(step));
}

std::unique_ptr<Call> ExpressionParser::arguments() {
  const Deeper deeper(*this, depth_, deepest_expression, "brackets");
  auto call = std::make_unique<Call>();
  want_mark("(");
  bool first = true;
  while (!mark(")")) {
    if (!first) want_mark(",");
    first = false;
    if (mark(")")) break;
    if (skip_mark("*")) {
      if (call->all_positional || call->all_named) trouble("a call has \"*\" twice, or behind \"**\"");
      call->all_positional = expression();
    } else if (skip_mark("**")) {
      if (call->all_named) trouble("a call has \"**\" twice");
      call->all_named = expression();
    } else if (now().type == Type::name && ahead().type == Type::mark && ahead().text == "=") {
      if (call->all_named) trouble("an argument stands behind \"**\"");
      std::string name = take().text;
      take();
      call->named.emplace_back(std::move(name), expression());
    } else {
      if (call->all_positional || call->all_named || !call->named.empty())
        trouble("an argument without a name stands behind one with a name");
      call->positional.push_back(expression());
    }
  }
  want_mark(")");
  return call;
}

Expression ExpressionParser::with_call(Expression made, std::unique_ptr<Call> call) {
  for (const Expression &part : call->positional) deepen(made, part);
  for (const auto &[name, part] : call->named) deepen(made, part);
  deepen(made, call->all_positional);
  deepen(made, call->all_named);
  made->call = std::move(call);
  return made;
}

Expression ExpressionParser::call(Expression value) {
  Expression made = node(Node::Kind::call, now().line, std::move(value));
  return with_call(std::move(made), arguments());
}

std::string ExpressionParser::dotted_name(const char *what) {
  std::string name = want_name(what);
  while (skip_mark(".")) name += "." + want_name(what);
  return name;
}

Expression ExpressionParser::filter(Expression value) {
  const uint32_t line = take().line;  // "|"
  return filter_named(std::move(value), line);
}

Expression ExpressionParser::filter_named(Expression value, uint32_t line) {
  Expression made = node(Node::Kind::filter, line, std::move(value));
  made->text = dotted_name("a filter's name");
  return with_call(std::move(made), mark("(") ? arguments() : std::make_unique<Call>());
}

Expression ExpressionParser::test(Expression value) {
  const uint32_t line = take().line;  // "is"
  const bool inverted = skip_word("not");
  Expression made = node(Node::Kind::test, line, std::move(value));
  made->text = dotted_name("a test's name");
  auto call = std::make_unique<Call>();
  if (mark("(")) {
    call = arguments();
  } else if ((now().type == Type::name && !word("else") && !word("or") && !word("and")) || now().type == Type::text ||
             now().type == Type::number || mark("[") || mark("{")) {
    if (word("is")) trouble("tests cannot be chained with \"is\"");
    call->positional.push_back(behind(primary()));
  }
  made = with_call(std::move(made), std::move(call));
  return inverted ? node(Node::Kind::invert, line, std::move(made)) : std::move(made);
}

Expression ExpressionParser::filter_chain(Expression value) {
  while (mark("|")) value = filter(std::move(value));
  return value;
}

}  // namespace hone::jinja
