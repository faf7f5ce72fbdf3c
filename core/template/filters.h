// filters.h -- the tables behind `value | filter` and `value is test`; Evaluator::filter and Evaluator::test look names
// up here.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "core/template/objects.h"

namespace hone::jinja {

using Filter = Value (*)(Evaluator &, const Value &, const Arguments &);
using FilterTable = std::unordered_map<std::string_view, Filter>;
const FilterTable &text_filters();      // of texts and numbers
const FilterTable &sequence_filters();  // of lists and dicts
bool is_filter(const std::string &name), is_test(const std::string &name);

}  // namespace hone::jinja
