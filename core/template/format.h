// format.h -- Python's two ways to put values into a text: "%s and %.2f" % values, and "{} and {name:.2f}".format(...).
#pragma once

#include <string>

#include "core/template/objects.h"

namespace hone::jinja {

std::string percent_format(Store &, const std::string &pattern, const Value &values);  // a tuple, a dict or one value
std::string brace_format(Evaluator &, const std::string &pattern, const Arguments &);

}  // namespace hone::jinja
