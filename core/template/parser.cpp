// parser.cpp -- see parser.h. Precedence as jinja2 has it: if-else, or, and, not, comparisons, + -, ~, * / // %, **
// (from left to right), unary, then what stands behind a value: .name [item] (call) |filter `is test`.
#include "core/template/parser.h"

#include <algorithm>
#include <initializer_list>
#include <unordered_map>

#include "core/template/lexer.h"
#include "core/template/limits.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

using Type = Token::Type;
using Words = std::initializer_list<std::string_view>;

std::string shown(const Token &token) {
  switch (token.type) {
    case Type::data:
      return "text";
    case Type::variable_begin:
      return "\"{{\"";
    case Type::variable_end:
      return "\"}}\"";
    case Type::block_begin:
      return "\"{%\"";
    case Type::block_end:
      return "\"%}\"";
    case Type::end:
      return "the end of the template";
    case Type::text:
      return "the string '" + shortened(token.text, 40) + "'";
    default:
      return "\"" + shortened(token.text, 40) + "\"";
  }
}

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokens_of(source)) {
    syntax_.loop = id_of("loop");
    syntax_.caller = id_of("caller");
    syntax_.kwargs = id_of("kwargs");
    syntax_.varargs = id_of("varargs");
  }

  Syntax all() {
    syntax_.body = statements({});
    return std::move(syntax_);
  }

 private:
  // Counts how deep the text is nested while it lives.
  struct Deeper {
    Deeper(const Parser &parser, uint32_t &depth, uint32_t most, const char *what) : depth_(depth) {
      if (++depth_ > most) {
        --depth_;
        throw SyntaxTrouble{parser.now().line,
                            std::string(what) + " are nested more than " + std::to_string(most) + " levels deep"};
      }
    }
    ~Deeper() { --depth_; }
    uint32_t &depth_;
  };

  // ---- tokens ----
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
  void want_mark(std::string_view text) {
    if (!skip_mark(text)) trouble("a \"" + std::string(text) + "\" is expected, but there is " + shown(now()));
  }
  void want_word(std::string_view text) {
    if (!skip_word(text)) trouble("the word \"" + std::string(text) + "\" is expected, but there is " + shown(now()));
  }
  void want_block_end() {
    if (now().type != Type::block_end) trouble("the block's end \"%}\" is expected, but there is " + shown(now()));
    take();
  }
  std::string want_name(const char *what) {
    if (now().type != Type::name) trouble(std::string(what) + " is expected, but there is " + shown(now()));
    return take().text;
  }

  uint32_t id_of(const std::string &name) {
    const auto [at, fresh] = ids_.emplace(name, static_cast<uint32_t>(syntax_.names.size()));
    if (fresh) syntax_.names.push_back(name);
    return at->second;
  }

  // ---- nodes ----
  Expression make(Node::Kind kind, uint32_t line) const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = line;
    return node;
  }
  void add(Expression &node, Expression part) const {
    if (part) node->depth = std::max(node->depth, part->depth + 1);
    if (node->depth > longest_chain)
      throw SyntaxTrouble{node->line, "an expression has more than " + std::to_string(longest_chain) +
                                          " parts that depend on one another"};
    node->parts.push_back(std::move(part));
  }
  template <class... Parts>
  Expression node(Node::Kind kind, uint32_t line, Parts... parts) const {
    Expression made = make(kind, line);
    (add(made, std::move(parts)), ...);
    return made;
  }
  Expression constant(Value value, uint32_t line) const {
    Expression made = make(Node::Kind::constant, line);
    made->value = std::move(value);
    return made;
  }
  void deepen(Expression &node, const Call &call) const {
    const auto with = [&](const Expression &part) {
      if (part) node->depth = std::max(node->depth, part->depth + 1);
    };
    for (const Expression &part : call.positional) with(part);
    for (const auto &[name, part] : call.named) with(part);
    with(call.all_positional);
    with(call.all_named);
    if (node->depth > longest_chain)
      throw SyntaxTrouble{node->line, "an expression has more than " + std::to_string(longest_chain) +
                                          " parts that depend on one another"};
  }

  // ---- expressions ----
  Expression expression(bool with_choice = true) {
    const Deeper deeper(*this, depth_, deepest_expression, "expressions");
    return with_choice ? choice() : either();
  }

  Expression choice() {
    const uint32_t line = now().line;
    Expression value = either();
    while (skip_word("if")) {
      Expression condition = either(), otherwise;
      if (skip_word("else")) otherwise = expression();
      value = node(Node::Kind::choice, line, std::move(condition), std::move(value), std::move(otherwise));
    }
    return value;
  }
  Expression either() {
    const uint32_t line = now().line;
    Expression left = both();
    while (skip_word("or")) left = node(Node::Kind::either, line, std::move(left), both());
    return left;
  }
  Expression both() {
    const uint32_t line = now().line;
    Expression left = inverted();
    while (skip_word("and")) left = node(Node::Kind::both, line, std::move(left), inverted());
    return left;
  }
  Expression inverted() {
    if (!word("not")) return comparison();
    const Deeper deeper(*this, depth_, deepest_expression, "expressions");
    const uint32_t line = take().line;
    return node(Node::Kind::invert, line, inverted());
  }
  Expression comparison() {
    const uint32_t line = now().line;
    Expression left = sum();
    Expression compared;
    for (;;) {
      std::string op;
      if (now().type == Type::mark &&
          (mark("==") || mark("!=") || mark("<") || mark("<=") || mark(">") || mark(">="))) {
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
  Expression arithmetic(uint32_t line, const std::string &op, Expression left, Expression right) {
    Expression made = node(Node::Kind::arithmetic, line, std::move(left), std::move(right));
    made->text = op;
    return made;
  }
  Expression sum() {
    const uint32_t line = now().line;
    Expression left = concatenation();
    while (mark("+") || mark("-")) {
      const std::string op = take().text;
      left = arithmetic(line, op, std::move(left), concatenation());
    }
    return left;
  }
  Expression concatenation() {
    const uint32_t line = now().line;
    Expression first = product();
    if (!mark("~")) return first;
    Expression all = node(Node::Kind::concat, line, std::move(first));
    while (skip_mark("~")) add(all, product());
    return all;
  }
  Expression product() {
    const uint32_t line = now().line;
    Expression left = power();
    while (mark("*") || mark("/") || mark("//") || mark("%")) {
      const std::string op = take().text;
      left = arithmetic(line, op, std::move(left), power());
    }
    return left;
  }
  Expression power() {
    const uint32_t line = now().line;
    Expression left = unary(true);
    while (skip_mark("**")) left = arithmetic(line, "**", std::move(left), unary(true));
    return left;
  }
  Expression unary(bool with_filter) {
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

  Expression primary() {
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
    trouble("a value is expected, but there is " + shown(token));
  }

  Expression list() {
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
  Expression mapping() {
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

  bool tuple_ends(std::string_view end_word) const {
    return now().type == Type::variable_end || now().type == Type::block_end || mark(")") ||
           (!end_word.empty() && word(end_word));
  }
  // One expression, or several with commas between them. bracketed: "()" is the empty tuple.
  Expression tuple(bool bracketed, bool with_choice, std::string_view end_word = "") {
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
      if (!bracketed) trouble("an expression is expected, but there is " + shown(now()));
    }
    Expression made = make(Node::Kind::tuple, line);
    for (Expression &part : parts) add(made, std::move(part));
    return made;
  }

  // What may stand behind any value.
  Expression behind(Expression value) {
    for (;;) {
      if (mark(".") || mark("["))
        value = subscript(std::move(value));
      else if (mark("("))
        value = call(std::move(value));
      else
        return value;
    }
  }
  Expression filters(Expression value) {
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

  Expression subscript(Expression value) {
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
  Expression try_slice(Expression &value, uint32_t line) {
    return mark(":") ? slice_from(std::move(value), nullptr, line) : nullptr;
  }
  Expression slice_from(Expression value, Expression begin, uint32_t line) {
    want_mark(":");
    Expression end, step;
    const auto ends = [&] { return mark("]") || mark(":"); };
    if (!ends()) end = expression();
    if (skip_mark(":") && !mark("]")) step = expression();
    want_mark("]");
    return node(Node::Kind::slice, line, std::move(value), std::move(begin), std::move(end), std::move(step));
  }

  std::unique_ptr<Call> arguments() {
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
  Expression with_call(Expression made, std::unique_ptr<Call> call) const {
    deepen(made, *call);
    made->call = std::move(call);
    return made;
  }
  Expression call(Expression value) {
    Expression made = node(Node::Kind::call, now().line, std::move(value));
    return with_call(std::move(made), arguments());
  }
  std::string dotted_name(const char *what) {
    std::string name = want_name(what);
    while (skip_mark(".")) name += "." + want_name(what);
    return name;
  }
  Expression filter(Expression value) {
    const uint32_t line = take().line;  // "|"
    return filter_named(std::move(value), line);
  }
  Expression filter_named(Expression value, uint32_t line) {
    Expression made = node(Node::Kind::filter, line, std::move(value));
    made->text = dotted_name("a filter's name");
    return with_call(std::move(made), mark("(") ? arguments() : std::make_unique<Call>());
  }
  Expression test(Expression value) {
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

  // ---- statements ----
  Body statements(Words ends) {
    const Deeper deeper(*this, blocks_, deepest_statement, "blocks");
    Body body;
    for (;;) {
      const uint32_t line = now().line;
      switch (now().type) {
        case Type::data: {
          auto made = statement(Statement::Kind::data, line);
          made->text = take().text;
          body.push_back(std::move(made));
          break;
        }
        case Type::variable_begin: {
          take();
          auto made = statement(Statement::Kind::output, line);
          made->value = tuple(false, true);
          if (now().type != Type::variable_end)
            trouble("the expression's end \"}}\" is expected, but there is " + shown(now()));
          take();
          body.push_back(std::move(made));
          break;
        }
        case Type::block_begin:
          take();
          if (now().type != Type::name) trouble("a tag's name is expected, but there is " + shown(now()));
          for (std::string_view end : ends)
            if (word(end)) return body;
          body.push_back(tag());
          break;
        default:
          if (ends.size() > 0) {
            std::string wanted;
            for (std::string_view end : ends) wanted += (wanted.empty() ? "{% " : " or {% ") + std::string(end) + " %}";
            trouble("the template ends where " + wanted + " is expected");
          }
          return body;
      }
    }
  }
  std::unique_ptr<Statement> statement(Statement::Kind kind, uint32_t line) const {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = line;
    return made;
  }
  // The body of a block up to {% end %}, which is taken.
  Body body_until(std::string_view end) {
    want_block_end();
    Body body = statements({end});
    take();
    want_block_end();
    return body;
  }

  std::unique_ptr<Statement> tag() {
    const uint32_t line = now().line;
    const std::string name = take().text;
    if (name == "if") return branch(line);
    if (name == "for") return loop(line);
    if (name == "set") return set(line);
    if (name == "macro") return macro(line);
    if (name == "call") return call_block(line);
    if (name == "filter") {
      auto made = statement(Statement::Kind::filter_block, line);
      made->value = filter_chain(filter_named(nullptr, line));
      made->body = body_until("endfilter");
      return made;
    }
    if (name == "with") return with(line);
    if (name == "generation") {
      auto made = statement(Statement::Kind::scoped, line);
      const uint32_t loops = std::exchange(loops_, 0);  // jinja2 has it as a call block, which no break leaves
      made->body = body_until("endgeneration");
      loops_ = loops;
      return made;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) throw SyntaxTrouble{line, "{% " + name + " %} stands outside a loop"};
      auto made = statement(name == "break" ? Statement::Kind::stop : Statement::Kind::next, line);
      want_block_end();
      return made;
    }
    for (const char *known : {"block", "extends", "include", "import", "from", "autoescape", "do", "trans"})
      if (name == known) throw SyntaxTrouble{line, "the tag {% " + name + " %} is not supported in a chat template"};
    throw SyntaxTrouble{line, name.starts_with("end") || name == "else" || name == "elif"
                                  ? "there is a {% " + name + " %} where no block awaits it"
                                  : "there is no tag {% " + shortened(name, 40) + " %}"};
  }

  Expression filter_chain(Expression value) {
    while (mark("|")) value = filter(std::move(value));
    return value;
  }

  std::unique_ptr<Statement> branch(uint32_t line) {
    auto first = statement(Statement::Kind::branch, line);
    Statement *last = first.get();
    // "elif" is a branch within the otherwise of the one before; so long a chain of them is refused as nesting is.
    uint32_t chain = 0;
    for (;;) {
      last->value = tuple(false, false);
      want_block_end();
      last->body = statements({"elif", "else", "endif"});
      const Token end = take();
      if (end.text == "elif") {
        if (++chain > longest_chain)
          throw SyntaxTrouble{end.line, "an {% if %} has more than " + std::to_string(longest_chain) + " {% elif %}"};
        last->otherwise.push_back(statement(Statement::Kind::branch, end.line));
        last = last->otherwise.back().get();
        continue;
      }
      want_block_end();
      if (end.text == "else") {
        last->otherwise = statements({"endif"});
        take();
        want_block_end();
      }
      return first;
    }
  }

  void check_target(const Expression &target) {
    if (target->kind == Node::Kind::name) return;
    if (target->kind == Node::Kind::tuple) {
      for (const Expression &part : target->parts) check_target(part);
      return;
    }
    throw SyntaxTrouble{target->line, "only a name, or several with commas between them, can be assigned to"};
  }
  // Names with commas between them, up to the word `end` or a "=".
  Expression targets(std::string_view end_word) {
    const uint32_t line = now().line;
    std::vector<Expression> parts;
    bool several = false;
    for (;;) {
      if (!parts.empty()) want_mark(",");
      if (tuple_ends(end_word) || mark("=")) break;
      parts.push_back(target_part());
      if (!mark(",")) break;
      several = true;
    }
    if (parts.empty()) trouble("a name to assign to is expected, but there is " + shown(now()));
    Expression target;
    if (several) {
      target = make(Node::Kind::tuple, line);
      for (Expression &part : parts) add(target, std::move(part));
    } else {
      target = std::move(parts[0]);
    }
    check_target(target);
    return target;
  }
  Expression target_part() {
    if (now().type == Type::name) {
      for (const char *constant : {"true", "false", "none", "True", "False", "None"})
        if (word(constant)) trouble("the constant \"" + now().text + "\" cannot be assigned to");
    }
    return primary();
  }

  std::unique_ptr<Statement> loop(uint32_t line) {
    auto made = statement(Statement::Kind::loop, line);
    made->target = targets("in");
    want_word("in");
    made->value = tuple(false, false, "recursive");
    if (skip_word("if")) made->condition = expression();
    if (word("recursive")) trouble("a recursive loop is not supported; write a macro that calls itself");
    want_block_end();
    ++loops_;
    made->body = statements({"else", "endfor"});
    --loops_;
    const bool otherwise = take().text == "else";
    want_block_end();
    if (otherwise) {
      made->otherwise = statements({"endfor"});
      take();
      want_block_end();
    }
    return made;
  }

  std::unique_ptr<Statement> set(uint32_t line) {
    auto made = statement(Statement::Kind::set, line);
    if (now().type == Type::name && ahead().type == Type::mark && ahead().text == ".") {
      made->target = make(Node::Kind::attribute, line);
      Expression space = make(Node::Kind::name, line);
      space->text = take().text;
      space->id = id_of(space->text);
      used(space->text);
      take();
      add(made->target, std::move(space));
      made->target->text = want_name("an attribute's name");
    } else {
      made->target = targets("");
    }
    if (skip_mark("=")) {
      made->value = tuple(false, true);
      want_block_end();
      return made;
    }
    made->kind = Statement::Kind::set_block;
    if (mark("|")) made->value = filter_chain(filter(nullptr));
    made->body = body_until("endset");
    return made;
  }

  std::unique_ptr<Statement> with(uint32_t line) {
    auto made = statement(Statement::Kind::with, line);
    while (now().type != Type::block_end) {
      if (!made->assignments.empty()) want_mark(",");
      Expression target = target_part();
      check_target(target);
      want_mark("=");
      Expression value = expression();
      made->assignments.emplace_back(std::move(target), std::move(value));
    }
    made->body = body_until("endwith");
    return made;
  }

  // Names that a macro's body uses decide what it may be called with.
  void used(const std::string &name) {
    if (macros_.empty()) return;
    if (name == "varargs") macros_.back()->takes_rest = true;
    if (name == "kwargs") macros_.back()->takes_named = true;
    if (name == "caller") macros_.back()->takes_caller = true;
  }
  void parameters(Macro &macro) {
    want_mark("(");
    while (!mark(")")) {
      if (!macro.names.empty()) want_mark(",");
      if (mark(")")) break;
      const std::string name = want_name("a parameter's name");
      macro.names.push_back(name);
      macro.parameters.push_back(id_of(name));
      Expression fallback;
      if (skip_mark("="))
        fallback = expression();
      else if (!macro.defaults.empty() && macro.defaults.back())
        trouble("the parameter \"" + name + "\" without a default stands behind one with a default");
      macro.defaults.push_back(std::move(fallback));
    }
    want_mark(")");
  }
  void macro_body(Macro &macro, std::string_view end) {
    const uint32_t loops = std::exchange(loops_, 0);
    macro.body = body_until(end);
    loops_ = loops;
    macros_.pop_back();
    if (!macros_.empty()) {  // jinja2 looks for these names in macros within a macro, too
      macros_.back()->takes_rest |= macro.takes_rest;
      macros_.back()->takes_named |= macro.takes_named;
      macros_.back()->takes_caller |= macro.takes_caller;
    }
  }
  std::unique_ptr<Statement> macro(uint32_t line) {
    auto made = statement(Statement::Kind::macro, line);
    made->macro = std::make_unique<Macro>();
    made->macro->name = want_name("a macro's name");
    made->macro->id = id_of(made->macro->name);
    macros_.push_back(made->macro.get());
    parameters(*made->macro);
    macro_body(*made->macro, "endmacro");
    return made;
  }
  std::unique_ptr<Statement> call_block(uint32_t line) {
    auto made = statement(Statement::Kind::call_block, line);
    made->macro = std::make_unique<Macro>();
    made->macro->name = "caller";
    made->macro->id = syntax_.caller;
    macros_.push_back(made->macro.get());
    if (mark("(")) parameters(*made->macro);
    macros_.pop_back();
    made->value = expression();
    if (made->value->kind != Node::Kind::call) trouble("{% call %} needs the call of a macro");
    macros_.push_back(made->macro.get());
    macro_body(*made->macro, "endcall");
    return made;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  Syntax syntax_;
  std::unordered_map<std::string, uint32_t> ids_;
  uint32_t depth_ = 0, blocks_ = 0, loops_ = 0;
  std::vector<Macro *> macros_;
};

}  // namespace

Syntax parse(std::string_view source) { return Parser(source).all(); }

}  // namespace hone::jinja
