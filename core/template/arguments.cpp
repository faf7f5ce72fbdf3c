// arguments.cpp -- see arguments.h.
#include "core/template/arguments.h"

#include "core/template/unicode.h"

namespace hone::jinja {

Bound::Bound(const std::string &what, std::initializer_list<const char *> names, const Arguments &arguments,
             size_t required)
    : what_(what), names_(names), given_(names.size(), nullptr) {
  if (arguments.positional.size() > names_.size())
    throw Refusal(what + " takes at most " + std::to_string(names_.size()) + " arguments, not " +
                  std::to_string(arguments.positional.size()));
  for (size_t i = 0; i < arguments.positional.size(); ++i) given_[i] = &arguments.positional[i];
  for (const auto &[name, value] : arguments.named) {
    size_t i = 0;
    while (i < names_.size() && name != names_[i]) ++i;
    if (i == names_.size()) throw Refusal(what + " has no argument \"" + shortened(name, 60) + "\"");
    if (given_[i]) throw Refusal(what + " is given \"" + shortened(name, 60) + "\" twice");
    given_[i] = &value;
  }
  for (size_t i = 0; i < required; ++i)
    if (!given_[i]) throw Refusal(what + " needs the argument \"" + names_[i] + "\"");
}

int64_t Bound::whole(size_t i, int64_t fallback) const {
  if (!given_[i]) return fallback;
  if (given_[i]->is_undefined()) throw Refusal(given_[i]->text());
  if (!given_[i]->is_whole())
    throw Refusal(what_ + ": " + names_[i] + " must be a whole number, not a " + given_[i]->type_name());
  return given_[i]->whole();
}

std::string_view Bound::text(size_t i, std::string_view fallback) const {
  if (!given_[i]) return fallback;
  if (given_[i]->is_undefined()) throw Refusal(given_[i]->text());
  if (!given_[i]->is_text())
    throw Refusal(what_ + ": " + names_[i] + " must be a text, not a " + given_[i]->type_name());
  return given_[i]->text();
}

}  // namespace hone::jinja
