// objects.h -- what a template can hold beside plain values: namespaces, macros, functions and methods, `loop`,
// cyclers, joiners.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/template/store.h"
#include "core/template/value.h"

namespace hone::jinja {

class Evaluator;
struct Macro;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// An object that Python would write in angle brackets.
struct Named : Object {
  virtual std::string description() const = 0;
};

// jinja2's namespace(): the one thing whose parts a template may change.
struct Namespace final : Named {
  const char *type_name() const override { return "Namespace"; }
  std::string description() const override { return "Namespace"; }
  const Value *find(Store &store, std::string_view name) const {
    store.walk(attributes.size());
    for (const auto &[key, value] : attributes) {
      if (key.size() != name.size()) continue;
      store.read(name.size());
      if (key == name) return &value;
    }
    return nullptr;
  }
  void set(Store &store, const std::string &name, Value value) {
    if (const Value *old = find(store, name)) {
      const_cast<Value &>(*old) = std::move(value);
      return;
    }
    store.charge(sizeof(Value) + 64 + name.size());  // of the rendering: namespaces live until its end
    attributes.emplace_back(name, std::move(value));
  }
  std::vector<std::pair<std::string, Value>> attributes;
};

// A function of jinja2's, a method bound to its object, or a filter's part.
struct Function final : Named {
  const char *type_name() const override { return "function"; }
  std::string description() const override { return "function " + name; }
  std::string name;
  std::function<Value(Evaluator &, const Arguments &)> call;
};

struct Scope;

// A macro, or what a call block hands to one as `caller`. Alive while the block that it was written in is.
struct MacroObject final : Named {
  const char *type_name() const override { return "Macro"; }
  std::string description() const override { return "Macro '" + std::string(name) + "'"; }
  const Macro *macro = nullptr;
  std::string_view name;  // the template's
  Scope *home = nullptr;  // null: the block has ended
};

// The `loop` of a for block.
struct Loop final : Named {
  const char *type_name() const override { return "LoopContext"; }
  std::string description() const override {
    return "LoopContext " + std::to_string(index + 1) + "/" + std::to_string(items ? items->size() : index);
  }
  const std::vector<Value> *items = nullptr;  // null: the loop has ended
  size_t index = 0, depth = 0;
  std::vector<Value> last_changed;  // what loop.changed() was last asked about
  bool has_last = false;
};

// jinja2's cycler() and joiner().
struct Cycler final : Named {
  const char *type_name() const override { return "Cycler"; }
  std::string description() const override { return "Cycler"; }
  std::vector<Value> items;
  size_t at = 0;
};
struct Joiner final : Named {
  const char *type_name() const override { return "Joiner"; }
  std::string description() const override { return "Joiner"; }
  Value separator;
  bool used = false;
};

}  // namespace hone::jinja
