// syntax.h -- a template as a tree.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/template/value.h"

namespace hone::jinja {

struct Node;
using Expression = std::unique_ptr<Node>;

struct Call {  // what stands in the brackets of a call, a filter or a test
  std::vector<Expression> positional;
  std::vector<std::pair<std::string, Expression>> named;
  Expression all_positional, all_named;  // *list, **dict; null: none
};

struct Node {
  enum class Kind {
    constant,    // value
    name,        // id
    list,        // parts
    tuple,       // parts
    mapping,     // parts: key, value, key, value ...
    attribute,   // parts[0].text
    item,        // parts[0][parts[1]]
    slice,       // parts[0][parts[1]:parts[2]:parts[3]], each of the last three may be null
    call,        // parts[0](call)
    filter,      // parts[0] | text(call); parts[0] is null in a filter block
    test,        // parts[0] is text(call)
    negate,      // -parts[0]
    plus,        // +parts[0]
    invert,      // not parts[0]
    both,        // parts[0] and parts[1]
    either,      // parts[0] or parts[1]
    arithmetic,  // parts[0] text parts[1]
    concat,      // parts[0] ~ parts[1] ~ ...
    compare,     // parts[0] operators[0] parts[1] operators[1] ...
    choice,      // parts[1] if parts[0] else parts[2], which may be null
  };
  Kind kind;
  uint32_t line = 1, depth = 1, id = 0;
  std::string text;
  Value value;
  std::vector<Expression> parts;
  std::vector<std::string> operators;
  std::unique_ptr<Call> call;
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Macro {
  std::string name;
  uint32_t id = 0;
  std::vector<uint32_t> parameters;                                    // their ids
  std::vector<std::string> names;                                      // and names
  std::vector<Expression> defaults;                                    // null: none; of each parameter
  bool takes_rest = false, takes_named = false, takes_caller = false;  // it uses varargs, kwargs, caller
  Body body;
};

struct Statement {
  enum class Kind {
    data,          // text
    output,        // value
    branch,        // if value: body, else: otherwise
    loop,          // for target in value if condition: body, else: otherwise
    set,           // target = value
    set_block,     // target = body, through the filters of value when there are any
    macro,         // macro
    call_block,    // value is the call, macro its body
    filter_block,  // value: the filters, with a null at their beginning
    with,          // targets = values, in order
    scoped,        // body in a scope of its own: a generation block
    stop,          // break
    next,          // continue
  };
  Kind kind;
  uint32_t line = 1;
  std::string text;
  Expression target, value, condition;
  std::vector<std::pair<Expression, Expression>> assignments;
  Body body, otherwise;
  std::unique_ptr<Macro> macro;
};

struct Syntax {
  std::vector<std::string> names;  // by id
  Body body;
  // Ids of what the host puts into scopes.
  uint32_t loop = 0, caller = 0, kwargs = 0, varargs = 0;
};

}  // namespace hone::jinja
