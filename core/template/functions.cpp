// functions.cpp -- the functions that a template finds without setting them: jinja2's, and those that transformers
// adds.
#include "core/template/access.h"
#include "core/template/arguments.h"
#include "core/template/evaluator.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

Value call_range(Evaluator &e, const Arguments &a) {
  const Bound bound("range()", {"start", "stop", "step"}, a, 1);
  const int64_t first = bound.whole(0, 0);
  return bound.has(1) ? e.store().range(first, bound.whole(1, 0), bound.whole(2, 1)) : e.store().range(0, first, 1);
}

// A dict, or pairs, and then what is given by name.
std::vector<std::pair<Value, Value>> pairs_of(Evaluator &e, const Arguments &a, const char *what) {
  std::vector<std::pair<Value, Value>> pairs;
  if (a.positional.size() > 1) throw Refusal(std::string(what) + " takes at most one argument without a name");
  if (!a.positional.empty()) {
    const Value &from = a.positional[0];
    if (from.is(Value::Kind::mapping)) {
      pairs = from.mapping().items;
    } else {
      for (const Value &item : items_of(e.store(), from)) {
        const std::vector<Value> pair = items_of(e.store(), item);
        if (pair.size() != 2) throw Refusal(std::string(what) + " needs pairs of a key and a value");
        pairs.emplace_back(pair[0], pair[1]);
      }
    }
  }
  for (const auto &[name, value] : a.named) pairs.emplace_back(e.store().text(name), value);
  return pairs;
}

Value call_dict(Evaluator &e, const Arguments &a) { return e.store().mapping(pairs_of(e, a, "dict()")); }

Value call_namespace(Evaluator &e, const Arguments &a) {
  const auto pairs = pairs_of(e, a, "namespace()");
  const auto space = e.new_namespace();
  for (const auto &[key, value] : pairs) {
    if (!key.is_text()) throw Refusal("namespace() needs texts for names");
    space->set(e.store(), key.text(), value);
  }
  return e.store().object(space);
}

Value call_cycler(Evaluator &e, const Arguments &a) {
  if (a.positional.empty() || !a.named.empty()) throw Refusal("cycler() needs something to cycle through");
  auto made = std::make_shared<Cycler>();
  made->items = a.positional;
  return e.store().object(made, a.positional);
}

Value call_joiner(Evaluator &e, const Arguments &a) {
  const Bound bound("joiner()", {"sep"}, a);
  auto made = std::make_shared<Joiner>();
  made->separator = bound.has(0) ? bound.at(0) : e.store().text(", ");
  return e.store().object(made, {made->separator});
}

Value call_raise_exception(Evaluator &e, const Arguments &a) {
  const Bound bound("raise_exception()", {"message"}, a, 1);
  throw Refusal("the template refuses: " + shortened(text_of(e.store(), bound.at(0)), 2000));
}

Value call_strftime_now(Evaluator &e, const Arguments &a) {
  const Bound bound("strftime_now()", {"format"}, a, 1);
  const std::string_view format = bound.text(0, "");
  if (format.size() > 1000) throw Refusal("strftime_now(): the format is longer than 1000 bytes");
  // A day without a time zone: Python leaves %z and %Z empty.
  std::string plain;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%' && i + 1 < format.size()) {
      if (format[i + 1] != 'z' && format[i + 1] != 'Z') plain += format.substr(i, 2);
      ++i;
    } else {
      plain += format[i];
    }
  }
  if (plain.empty()) return e.store().text("");
  std::string out(plain.size() * 40 + 200, '\0');
  out.resize(std::strftime(out.data(), out.size(), plain.c_str(), &e.now()));
  if (out.empty())
    throw Refusal("strftime_now(): the format \"" + shortened(format, 60) +
                  "\" makes a text that is empty or too long");
  return e.store().text(out);
}

}  // namespace

std::vector<std::pair<std::string, Value>> functions(Store &store) {
  std::vector<std::pair<std::string, Value>> all;
  const std::pair<const char *, Value (*)(Evaluator &, const Arguments &)> table[] = {
      {"range", call_range},
      {"dict", call_dict},
      {"namespace", call_namespace},
      {"cycler", call_cycler},
      {"joiner", call_joiner},
      {"raise_exception", call_raise_exception},
      {"strftime_now", call_strftime_now},
  };
  for (const auto &[name, call] : table) {
    auto made = std::make_shared<Function>();
    made->name = name;
    made->call = call;
    all.emplace_back(name, store.object(std::move(made)));
  }
  return all;
}

}  // namespace hone::jinja
