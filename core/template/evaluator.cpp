// evaluator.cpp -- see evaluator.h. Scopes as jinja2 has them: if and set share the block's, for, macro, call, filter,
// with and set blocks have their own.
#include "core/template/evaluator.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/template/access.h"
#include "core/template/filters.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {

void Scope::set(Store &store, uint32_t id, Value value) {
  store.walk(values.size());
  for (auto &[name, old] : values)
    if (name == id) {
      old = std::move(value);
      return;
    }
  values.emplace_back(id, std::move(value));
}

struct Evaluator::Deeper {
  explicit Deeper(Evaluator &evaluator) : depth_(evaluator.depth_) {
    if (depth_ >= evaluator.store_.limits().depth)
      throw Refusal("macros or expressions are within one another more than " + std::to_string(depth_) +
                    " levels deep; does a macro call itself without end?");
    ++depth_;
  }
  ~Deeper() { --depth_; }
  uint32_t &depth_;
};

Evaluator::Evaluator(const Syntax &syntax, const Limits &limits, const std::tm &now)
    : store_(limits), syntax_(syntax), now_(now) {}

Evaluator::~Evaluator() {
  for (const auto &space : namespaces_) space->attributes.clear();
}

std::shared_ptr<Namespace> Evaluator::new_namespace() {
  namespaces_.push_back(std::make_shared<Namespace>());
  return namespaces_.back();
}

std::string Evaluator::run(const nlohmann::ordered_json &variables) {
  const auto known = functions(store_);
  Scope root(&functions_);
  for (uint32_t id = 0; id < syntax_.names.size(); ++id) {
    const std::string &name = syntax_.names[id];
    for (const auto &[function, value] : known)
      if (function == name) functions_.values.emplace_back(id, value);
    if (const auto given = variables.find(name); given != variables.end())
      root.values.emplace_back(id, store_.of_json(*given));
  }
  Output out(store_);
  run(syntax_.body, root, out);
  return out.text();
}

// ---- statements ----

Evaluator::Flow Evaluator::run(const Body &body, Scope &scope, Output &out) {
  for (const auto &statement : body)
    if (const Flow flow = run(*statement, scope, out); flow != Flow::on) return flow;
  return Flow::on;
}

Evaluator::Flow Evaluator::run(const Statement &statement, Scope &scope, Output &out) {
  const Deeper deeper(*this);
  store_.step();
  line_ = statement.line;
  switch (statement.kind) {
    case Statement::Kind::data:
      out.append(statement.text);
      return Flow::on;
    case Statement::Kind::output:
      write(value(*statement.value, scope), out);
      return Flow::on;
    case Statement::Kind::branch:
      return run_branch(statement, scope, out);
    case Statement::Kind::loop:
      return run_loop(statement, scope, out);
    case Statement::Kind::set:
      assign(*statement.target, value(*statement.value, scope), scope);
      return Flow::on;
    case Statement::Kind::set_block: {
      Value text;
      if (const Flow flow = captured(statement.body, scope, text); flow != Flow::on) return flow;
      if (statement.value) text = filtered(*statement.value, scope, &text);
      assign(*statement.target, text, scope);
      return Flow::on;
    }
    case Statement::Kind::macro:
      scope.set(store_, statement.macro->id, new_macro(*statement.macro, scope));
      return Flow::on;
    case Statement::Kind::call_block:
      run_call_block(statement, scope, out);
      return Flow::on;
    case Statement::Kind::filter_block: {
      Value text;
      if (const Flow flow = captured(statement.body, scope, text); flow != Flow::on) return flow;
      write(filtered(*statement.value, scope, &text), out);
      return Flow::on;
    }
    case Statement::Kind::with:
      return run_with(statement, scope, out);
    case Statement::Kind::scoped: {
      Value text;
      captured(statement.body, scope, text);
      out.append(text.text());
      return Flow::on;
    }
    case Statement::Kind::stop:
      return Flow::stop;
    case Statement::Kind::next:
      return Flow::next;
  }
  return Flow::on;
}

Evaluator::Flow Evaluator::run_branch(const Statement &first, Scope &scope, Output &out) {
  const Statement *branch = &first;
  for (;;) {
    line_ = branch->line;
    if (truth(value(*branch->value, scope))) return run(branch->body, scope, out);
    const Body &otherwise = branch->otherwise;
    if (otherwise.size() != 1 || otherwise[0]->kind != Statement::Kind::branch) return run(otherwise, scope, out);
    store_.step();
    branch = otherwise[0].get();  // elif
  }
}

Evaluator::Flow Evaluator::run_loop(const Statement &statement, Scope &outer, Output &out) {
  const Value over = value(*statement.value, outer);
  std::vector<Value> items = items_of(store_, over);
  if (statement.condition) {
    Scope scope(&outer);
    std::vector<Value> kept;
    for (Value &item : items) {
      scope.values.clear();
      assign(*statement.target, item, scope);
      if (truth(value(*statement.condition, scope))) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  store_.charge(items.size() * sizeof(Value));
  const auto loop = std::make_shared<Loop>();
  loop->items = &items;
  loop->depth = loops_.size();
  const Value loop_value = store_.object(loop);
  loops_.push_back(loop);
  // The loop ends for those who kept hold of it, too.
  struct End {
    Evaluator &evaluator;
    Loop &loop;
    size_t bytes;
    ~End() {
      loop.items = nullptr;
      loop.last_changed.clear();
      evaluator.loops_.pop_back();
      evaluator.store_.release(bytes);
    }
  } const end{*this, *loop, items.size() * sizeof(Value)};
  Flow flow = Flow::on;
  Scope scope(&outer);
  for (; loop->index < items.size() && flow != Flow::stop; ++loop->index) {
    scope.values.clear();
    scope.set(store_, syntax_.loop, loop_value);
    line_ = statement.line;
    assign(*statement.target, items[loop->index], scope);
    flow = run(statement.body, scope, out);
  }
  if (!items.empty()) return Flow::on;
  Scope otherwise(&outer);
  return run(statement.otherwise, otherwise, out);
}

Evaluator::Flow Evaluator::captured(const Body &body, Scope &outer, Value &text) {
  Scope scope(&outer);
  Output out(store_);
  const Flow flow = run(body, scope, out);
  text = store_.text(out.text());
  return flow;
}

Evaluator::Flow Evaluator::run_with(const Statement &statement, Scope &outer, Output &out) {
  Scope scope(&outer);
  std::vector<Value> values;
  for (const auto &[target, given] : statement.assignments) values.push_back(value(*given, outer));
  for (size_t i = 0; i < values.size(); ++i) assign(*statement.assignments[i].first, values[i], scope);
  return run(statement.body, scope, out);
}

Value Evaluator::new_macro(const Macro &macro, Scope &scope) {
  auto made = std::make_shared<MacroObject>();
  made->macro = &macro;
  made->name = macro.name;
  made->home = &scope;
  scope.macros.push_back(made);
  return store_.object(made);
}

void Evaluator::run_call_block(const Statement &statement, Scope &outer, Output &out) {
  Scope scope(&outer);
  const Value caller = new_macro(*statement.macro, scope);
  const Node &node = *statement.value;
  const Value callee = value(*node.parts[0], outer);
  Arguments given = arguments(*node.call, outer);
  given.named.emplace_back("caller", caller);
  write(call(callee, given), out);
}

void Evaluator::assign(const Node &target, const Value &given, Scope &scope) {
  if (target.kind == Node::Kind::attribute) return set_attribute(target, given, scope);
  if (target.kind == Node::Kind::name) return scope.set(store_, target.id, given);
  if (given.is_undefined()) {
    if (!target.parts.empty()) throw Refusal(given.text());
    return;
  }
  const std::vector<Value> items = items_of(store_, given);
  if (items.size() != target.parts.size())
    throw Refusal(std::to_string(target.parts.size()) + " names are to be set from " + std::to_string(items.size()) +
                  " values");
  for (size_t i = 0; i < items.size(); ++i) assign(*target.parts[i], items[i], scope);
}

void Evaluator::set_attribute(const Node &target, const Value &given, Scope &scope) {
  const Value space = value(*target.parts[0], scope);
  if (!space.as<Namespace>())
    throw Refusal("only attributes of a namespace() can be set, and \"" + shortened(target.parts[0]->text, 100) +
                  "\" is a " + space.type_name());
  const_cast<Namespace *>(space.as<Namespace>())->set(store_, target.text, given);
}

void Evaluator::write(const Value &given, Output &out) {
  if (given.is_text())
    out.append(given.text());
  else if (!given.is_undefined())
    out.append(text_of(store_, given));
}

// ---- expressions ----

Value Evaluator::value(const Node &node, Scope &scope) {
  const Deeper deeper(*this);
  store_.step();
  line_ = node.line;
  switch (node.kind) {
    case Node::Kind::constant:
      return node.value;
    case Node::Kind::name:
      return name(node, scope);
    case Node::Kind::list:
    case Node::Kind::tuple:
    case Node::Kind::mapping:
      return collection(node, scope);
    case Node::Kind::attribute:
    case Node::Kind::item:
    case Node::Kind::slice:
      return lookup(node, scope);
    case Node::Kind::call:
      return called(node, scope);
    case Node::Kind::filter:
      return filtered(node, scope);
    case Node::Kind::test: {
      const Value tested = value(*node.parts[0], scope);
      return Value::boolean(test(node.text, tested, arguments(*node.call, scope)));
    }
    case Node::Kind::invert:
      return Value::boolean(!truth(value(*node.parts[0], scope)));
    case Node::Kind::both: {
      Value left = value(*node.parts[0], scope);
      return truth(left) ? value(*node.parts[1], scope) : left;
    }
    case Node::Kind::either: {
      Value left = value(*node.parts[0], scope);
      return truth(left) ? left : value(*node.parts[1], scope);
    }
    case Node::Kind::negate:
    case Node::Kind::plus:
    case Node::Kind::arithmetic:
      return arithmetic_of(node, scope);
    case Node::Kind::concat:
      return concatenated(node, scope);
    case Node::Kind::compare:
      return compared(node, scope);
    case Node::Kind::choice: {
      if (truth(value(*node.parts[0], scope))) return value(*node.parts[1], scope);
      if (node.parts[2]) return value(*node.parts[2], scope);
      return store_.undefined("an \"if\" without \"else\" gave no value, as its condition was false");
    }
  }
  return {};
}

Value Evaluator::name(const Node &node, Scope &scope) {
  for (const Scope *at = &scope; at; at = at->outer)
    if (const Value *found = at->find(store_, node.id)) return *found;
  return store_.undefined("'" + shortened(node.text, 100) + "' is undefined");
}

Value Evaluator::collection(const Node &node, Scope &scope) {
  if (node.kind == Node::Kind::mapping) {
    std::vector<std::pair<Value, Value>> items;
    for (size_t i = 0; i < node.parts.size(); i += 2) {
      Value key = value(*node.parts[i], scope);
      items.emplace_back(std::move(key), value(*node.parts[i + 1], scope));
    }
    return store_.mapping(items);
  }
  std::vector<Value> items;
  for (const Expression &part : node.parts) items.push_back(value(*part, scope));
  return node.kind == Node::Kind::tuple ? store_.tuple(std::move(items)) : store_.list(std::move(items));
}

Value Evaluator::lookup(const Node &node, Scope &scope) {
  const Value of = value(*node.parts[0], scope);
  if (node.kind == Node::Kind::attribute) return attribute_of(*this, of, node.text);
  if (node.kind == Node::Kind::item) return item_of(*this, of, value(*node.parts[1], scope));
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i)
    if (node.parts[i + 1]) bounds[i] = value(*node.parts[i + 1], scope);
  return slice_of(store_, of, bounds[0], bounds[1], bounds[2]);
}

Value Evaluator::called(const Node &node, Scope &scope) {
  const Value callee = value(*node.parts[0], scope);
  const Arguments given = arguments(*node.call, scope);
  line_ = node.line;
  return call(callee, given);
}

Value Evaluator::filtered(const Node &node, Scope &scope, const Value *input) {
  // A chain of filters of a block begins with a null, where the block's text goes.
  const Value of = !node.parts[0]                                       ? *input
                   : input && node.parts[0]->kind == Node::Kind::filter ? filtered(*node.parts[0], scope, input)
                                                                        : value(*node.parts[0], scope);
  const Arguments given = arguments(*node.call, scope);
  line_ = node.line;
  return filter(node.text, of, given);
}

Value Evaluator::concatenated(const Node &node, Scope &scope) {
  Output out(store_);
  for (const Expression &part : node.parts) write(value(*part, scope), out);
  return store_.text(out.text());
}

Value Evaluator::arithmetic_of(const Node &node, Scope &scope) {
  const Value left = value(*node.parts[0], scope);
  if (node.kind == Node::Kind::arithmetic) {
    const Value right = value(*node.parts[1], scope);
    return arithmetic(store_, node.text, left, right);
  }
  if (left.is_undefined()) throw Refusal(left.text());
  const char *sign = node.kind == Node::Kind::negate ? "-" : "+";
  if (!left.is_number()) throw Refusal(std::string("\"") + sign + "\" does not work for a " + left.type_name());
  if (node.kind == Node::Kind::negate) return negative(left);
  return left.is(Value::Kind::boolean) ? Value::integer(left.whole()) : left;
}

bool Evaluator::compare(const std::string &op, const Value &left, const Value &right) {
  if (op == "==") return equal(store_, left, right);
  if (op == "!=") return !equal(store_, left, right);
  if (op == "in") return contains(store_, right, left);
  if (op == "not in") return !contains(store_, right, left);
  if (op == "<") return less(store_, left, right);
  if (op == ">") return less(store_, right, left);
  // Python's <= of lists and numbers; NaN is neither.
  const bool orders = op == "<=" ? less(store_, left, right) : less(store_, right, left);
  return orders || equal(store_, left, right);
}

Value Evaluator::compared(const Node &node, Scope &scope) {
  Value left = value(*node.parts[0], scope);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    Value right = value(*node.parts[i + 1], scope);
    if (!compare(node.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Arguments Evaluator::arguments(const Call &call, Scope &scope) {
  Arguments given;
  for (const Expression &part : call.positional) given.positional.push_back(value(*part, scope));
  for (const auto &[name, part] : call.named) {
    store_.read(name.size());
    given.named.emplace_back(name, value(*part, scope));
  }
  if (call.all_positional)
    for (Value &item : items_of(store_, value(*call.all_positional, scope)))
      given.positional.push_back(std::move(item));
  if (call.all_named) {
    const Value named = value(*call.all_named, scope);
    if (!named.is(Value::Kind::mapping)) throw Refusal(std::string("\"**\" needs a dict, not a ") + named.type_name());
    for (const auto &[key, item] : named.mapping().items) {
      if (!key.is_text()) throw Refusal("\"**\" needs a dict whose keys are texts");
      store_.read(key.text().size());
      given.named.emplace_back(key.text(), item);
    }
  }
  return given;
}

Value Evaluator::call(const Value &callee, const Arguments &given) {
  if (const auto *function = callee.as<Function>()) return function->call(*this, given);
  if (const auto *macro = callee.as<MacroObject>()) return call_macro(*macro, given);
  if (const auto *joiner = callee.as<Joiner>()) {
    if (std::exchange(const_cast<Joiner *>(joiner)->used, true)) return joiner->separator;
    return store_.text("");
  }
  if (callee.as<Loop>()) throw Refusal("recursive loops are not supported; write a macro that calls itself");
  if (callee.is_undefined()) throw Refusal(callee.text());
  throw Refusal(std::string("a ") + callee.type_name() + " is called, but it is no function");
}

Value Evaluator::call_macro(const MacroObject &object, const Arguments &given) {
  const Deeper deeper(*this);
  const auto what = [&] { return "macro \"" + shortened(object.name, 100) + "\""; };
  if (!object.home) throw Refusal(what() + " is called after the block that it was written in has ended");
  const Macro &macro = *object.macro;
  size_t bytes = given.positional.size() * sizeof(Value) + macro.names.size() * sizeof(Scope::Variable);
  for (const auto &[name, value] : given.named) bytes += name.size() + sizeof(name) + sizeof(value);
  const Held held(store_, bytes);
  store_.step(macro.names.size());
  Scope scope(object.home);
  std::vector<bool> set(macro.names.size(), false);
  std::vector<Value> rest;
  for (size_t i = 0; i < given.positional.size(); ++i) {
    if (i < macro.names.size())
      scope.values.emplace_back(macro.parameters[i], given.positional[i]), set[i] = true;
    else
      rest.push_back(given.positional[i]);
  }
  if (!rest.empty() && !macro.takes_rest)
    throw Refusal(what() + " takes at most " + std::to_string(macro.names.size()) + " arguments, not " +
                  std::to_string(given.positional.size()));
  std::vector<std::pair<Value, Value>> named;
  Value caller = store_.undefined("no caller defined");
  for (const auto &[name, value] : given.named) {
    store_.walk(macro.names.size());
    store_.read(name.size());
    const auto known = std::find(macro.names.begin(), macro.names.end(), name);
    if (known != macro.names.end()) {
      const auto i = static_cast<size_t>(known - macro.names.begin());
      if (set[i]) throw Refusal(what() + " is given \"" + shortened(name, 60) + "\" twice");
      set[i] = true;
      scope.values.emplace_back(macro.parameters[i], value);
    } else if (name == "caller" && macro.takes_caller) {
      caller = value;
    } else if (macro.takes_named) {
      named.emplace_back(store_.text(name), value);
    } else {
      throw Refusal(what() + " has no parameter \"" + shortened(name, 60) + "\"");
    }
  }
  const auto own = [&](uint32_t id) {
    return std::find(macro.parameters.begin(), macro.parameters.end(), id) != macro.parameters.end();
  };
  if (macro.takes_caller && !own(syntax_.caller)) scope.set(store_, syntax_.caller, caller);
  if (macro.takes_named && !own(syntax_.kwargs)) scope.set(store_, syntax_.kwargs, store_.mapping(named));
  if (macro.takes_rest && !own(syntax_.varargs)) scope.set(store_, syntax_.varargs, store_.tuple(std::move(rest)));
  for (size_t i = 0; i < macro.names.size(); ++i) {
    if (set[i]) continue;
    Value fallback = macro.defaults[i]
                         ? value(*macro.defaults[i], scope)
                         : store_.undefined("parameter '" + shortened(macro.names[i], 100) + "' was not provided");
    scope.set(store_, macro.parameters[i], std::move(fallback));
  }
  Output out(store_);
  run(macro.body, scope, out);
  return store_.text(out.text());
}

Value Evaluator::loop_attribute(const Loop &loop, const std::string &name, bool &found) {
  if (!loop.items) throw Refusal("a \"loop\" is used after it has ended");
  const auto whole = [](size_t number) { return Value::integer(static_cast<int64_t>(number)); };
  const std::vector<Value> &items = *loop.items;
  found = true;
  if (name == "index") return whole(loop.index + 1);
  if (name == "index0") return whole(loop.index);
  if (name == "revindex") return whole(items.size() - loop.index);
  if (name == "revindex0") return whole(items.size() - loop.index - 1);
  if (name == "first") return Value::boolean(loop.index == 0);
  if (name == "last") return Value::boolean(loop.index + 1 == items.size());
  if (name == "length") return whole(items.size());
  if (name == "depth") return Value::integer(1);  // of a recursive loop, jinja2 means
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem") return loop.index > 0 ? items[loop.index - 1] : store_.undefined("there is no previous item");
  if (name == "nextitem")
    return loop.index + 1 < items.size() ? items[loop.index + 1] : store_.undefined("there is no next item");
  if (name == "cycle" || name == "changed") {
    auto function = std::make_shared<Function>();
    function->name = name;
    // The loop that runs when it is called: a bound method of a loop that has ended refuses.
    std::weak_ptr<Loop> self;
    for (const auto &running : loops_)
      if (running.get() == &loop) self = running;
    const bool cycle = name == "cycle";
    function->call = [self, cycle](Evaluator &evaluator, const Arguments &given) -> Value {
      const auto running = self.lock();
      if (!running || !running->items) throw Refusal("a \"loop\" is used after it has ended");
      if (cycle) {
        if (given.positional.empty()) throw Refusal("loop.cycle() needs something to cycle through");
        return given.positional[running->index % given.positional.size()];
      }
      const std::vector<Value> &last = running->last_changed;
      bool same = running->has_last && last.size() == given.positional.size();
      for (size_t i = 0; same && i < last.size(); ++i) same = equal(evaluator.store(), last[i], given.positional[i]);
      if (!same) running->last_changed = given.positional;
      running->has_last = true;
      return Value::boolean(!same);
    };
    return store_.object(function);
  }
  found = false;
  return {};
}

}  // namespace hone::jinja
