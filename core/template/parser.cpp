// parser.cpp -- see parser.h. The text between tags, and the tags with their bodies; what stands within a tag is
// expression_parser.h's.
#include "core/template/parser.h"

#include <initializer_list>
#include <utility>

#include "core/template/expression_parser.h"
#include "core/template/limits.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

using Words = std::initializer_list<std::string_view>;

class Parser : ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {
    syntax_.loop = id_of("loop");
    syntax_.caller = id_of("caller");
    syntax_.kwargs = id_of("kwargs");
    syntax_.varargs = id_of("varargs");
  }

  Syntax all() {
    syntax_.body = statements({});
    syntax_.names = std::move(names_);
    return std::move(syntax_);
  }

 private:
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
          if (now().type != Type::variable_end) expected("the expression's end \"}}\"");
          take();
          body.push_back(std::move(made));
          break;
        }
        case Type::block_begin:
          take();
          if (now().type != Type::name) expected("a tag's name");
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
    if (parts.empty()) expected("a name to assign to");
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

  Syntax syntax_;
  uint32_t blocks_ = 0, loops_ = 0;
};

}  // namespace

Syntax parse(std::string_view source) { return Parser(source).all(); }

}  // namespace hone::jinja
