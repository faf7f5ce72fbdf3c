// methods.h -- the tables behind value.name(...); method_of (access.h) looks names up here. No method changes its
// value, but for those of a cycler.
#pragma once

#include <string_view>
#include <unordered_map>

#include "core/template/objects.h"

namespace hone::jinja {

using Method = Value (*)(Evaluator &, const Value &self, const Arguments &);
using MethodTable = std::unordered_map<std::string_view, Method>;
const MethodTable &text_methods();

}  // namespace hone::jinja
