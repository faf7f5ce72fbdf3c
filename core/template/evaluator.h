// evaluator.h -- walks over a template's tree and writes what it makes.
#pragma once

#include <ctime>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/template/objects.h"
#include "core/template/store.h"
#include "core/template/syntax.h"

namespace hone::jinja {

// Variables of a block. A name is looked for from the inside out; a set changes the innermost.
struct Scope {
  explicit Scope(Scope *outer) : outer(outer) {}
  ~Scope() {
    for (const auto &macro : macros) macro->home = nullptr;
  }
  Scope(const Scope &) = delete;
  const Value *find(Store &store, uint32_t id) const {
    store.walk(values.size());
    for (const auto &[name, value] : values)
      if (name == id) return &value;
    return nullptr;
  }
  void set(Store &, uint32_t id, Value value);

  Scope *outer;
  using Variable = std::pair<uint32_t, Value>;
  std::vector<Variable> values;
  std::vector<std::shared_ptr<MacroObject>> macros;  // written in this block
};

// One rendering. Throws Refusal; line() then tells where.
class Evaluator {
 public:
  Evaluator(const Syntax &, const Limits &, const std::tm &now);
  ~Evaluator();
  Evaluator(const Evaluator &) = delete;

  std::string run(const nlohmann::ordered_json &variables);
  uint32_t line() const { return line_; }

  // For filters, tests, functions and methods.
  Store &store() { return store_; }
  const std::tm &now() const { return now_; }
  Value call(const Value &callee, const Arguments &);
  Value filter(const std::string &name, const Value &, const Arguments &);
  bool test(const std::string &name, const Value &, const Arguments &);
  Value loop_attribute(const Loop &, const std::string &name, bool &found);
  std::shared_ptr<Namespace> new_namespace();

 private:
  enum class Flow { on, stop, next };
  struct Deeper;

  Flow run(const Body &, Scope &, Output &);
  Flow run(const Statement &, Scope &, Output &);
  Flow run_branch(const Statement &, Scope &, Output &);
  Flow run_loop(const Statement &, Scope &, Output &);
  void run_call_block(const Statement &, Scope &, Output &);
  Flow run_with(const Statement &, Scope &, Output &);
  Flow captured(const Body &, Scope &outer, Value &text);  // what the body writes, in a scope of its own
  void assign(const Node &target, const Value &, Scope &);
  void set_attribute(const Node &target, const Value &, Scope &);
  Value new_macro(const Macro &, Scope &);

  Value value(const Node &, Scope &);
  Value name(const Node &, Scope &);
  Value collection(const Node &, Scope &);
  Value lookup(const Node &, Scope &);
  Value called(const Node &, Scope &);
  Value filtered(const Node &, Scope &, const Value *input = nullptr);
  Value concatenated(const Node &, Scope &);
  Value compared(const Node &, Scope &);
  Value arithmetic_of(const Node &, Scope &);
  bool compare(const std::string &op, const Value &, const Value &);
  Arguments arguments(const Call &, Scope &);
  Value call_macro(const MacroObject &, const Arguments &);
  void write(const Value &, Output &);

  Store store_;  // the first member: it outlives the values
  const Syntax &syntax_;
  std::tm now_;
  Scope functions_{nullptr};
  std::vector<std::shared_ptr<Namespace>> namespaces_;  // emptied at the end, as they may hold one another
  std::vector<std::shared_ptr<Loop>> loops_;            // those that run, the innermost last
  uint32_t line_ = 1, depth_ = 0;
};

// The functions that a template finds without setting them: range, dict, namespace, cycler, joiner, raise_exception,
// strftime_now.
std::vector<std::pair<std::string, Value>> functions(Store &);

}  // namespace hone::jinja
