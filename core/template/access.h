// access.h -- x.name, x[key], x[from:to:by], iteration, `in` and operators, by the rules of jinja2's sandbox.
#pragma once

#include <string>
#include <vector>

#include "core/template/objects.h"

namespace hone::jinja {

Value attribute_of(Evaluator &, const Value &, const std::string &name);  // undefined when there is none
Value item_of(Evaluator &, const Value &, const Value &key);              // undefined when there is none
Value slice_of(Store &, const Value &, const Value &from, const Value &to, const Value &by);
std::vector<Value> items_of(Store &, const Value &);  // what a loop goes over; Refusal when nothing can
bool contains(Store &, const Value &container, const Value &item);
Value arithmetic(Store &, const std::string &op, const Value &, const Value &);
size_t length_of(Store &, const Value &);  // Python's len(); Refusal when it has none
bool has_length(const Value &), can_be_iterated(const Value &);

// The method `name` of a str, dict, list, tuple, cycler..., bound to it; null when there is none.
Value method_of(Evaluator &, const Value &, const std::string &name, bool &found);

}  // namespace hone::jinja
