// arguments.h -- the arguments of a function, a filter or a method, by place and by name.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "core/template/objects.h"

namespace hone::jinja {

class Bound {
 public:
  // names: of the parameters in order. Refusal when there are too many arguments, an unknown name, one twice, or fewer
  // than `required` of the first. what: begins the message, such as "filter trim". Valid while the arguments are.
  Bound(const std::string &what, std::initializer_list<const char *> names, const Arguments &, size_t required = 0);

  bool has(size_t i) const { return given_[i] != nullptr; }
  bool has_value(size_t i) const { return given_[i] && !given_[i]->is_none(); }
  const Value &at(size_t i) const { return *given_[i]; }
  bool flag(size_t i, bool fallback) const { return given_[i] ? truth(*given_[i]) : fallback; }
  int64_t whole(size_t i, int64_t fallback) const;                   // Refusal when it is no int
  std::string_view text(size_t i, std::string_view fallback) const;  // Refusal when it is no str

 private:
  std::string what_;
  std::vector<const char *> names_;
  std::vector<const Value *> given_;
};

}  // namespace hone::jinja
