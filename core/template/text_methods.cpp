// text_methods.cpp -- the methods of str. Python's library reference, "Text Sequence Type".
#include <algorithm>

#include "core/template/access.h"
#include "core/template/arguments.h"
#include "core/template/evaluator.h"
#include "core/template/format.h"
#include "core/template/methods.h"
#include "core/template/search.h"
#include "core/template/text_editing.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

Value made(Evaluator &e, std::string text) { return e.store().text(std::move(text)); }

Value strip(Evaluator &e, const Value &self, const Arguments &a, bool left, bool right) {
  const Bound bound("strip()", {"chars"}, a);
  std::string_view text = self.text();
  e.store().read_slowly(text.size());
  if (bound.has_value(0)) {
    const std::string_view set = bound.text(0, "");
    e.store().read_slowly(set.size());
    if (left) text = strip_left(text, set);
    if (right) text = strip_right(text, set);
  } else {
    if (left) text = strip_left(text);
    if (right) text = strip_right(text);
  }
  return made(e, std::string(text));
}
Value text_strip(Evaluator &e, const Value &self, const Arguments &a) { return strip(e, self, a, true, true); }
Value text_lstrip(Evaluator &e, const Value &self, const Arguments &a) { return strip(e, self, a, true, false); }
Value text_rstrip(Evaluator &e, const Value &self, const Arguments &a) { return strip(e, self, a, false, true); }

using Parts = std::vector<Value>;

Parts split_at_spaces(Evaluator &e, std::string_view text, int64_t most, bool from_right) {
  Parts parts;
  const auto put = [&](std::string_view part) { parts.push_back(made(e, std::string(part))); };
  text = from_right ? strip_right(text) : strip_left(text);
  while (!text.empty()) {
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
      put(from_right ? strip_right(text) : text);
      break;
    }
    size_t edge = 0, begin = 0;
    if (from_right) {
      e.store().read_slowly(text.size());
      for (size_t at = 0; at < text.size(); at += character_bytes(text, at))
        if (const size_t bytes = space_at(text, at)) begin = at + bytes;
      put(text.substr(begin));
      text = strip_right(text.substr(0, begin));
    } else {
      while (edge < text.size() && !space_at(text, edge)) edge += character_bytes(text, edge);
      put(text.substr(0, edge));
      text = strip_left(text.substr(edge));
    }
  }
  return parts;
}

Parts split_at(Evaluator &e, std::string_view text, std::string_view between, int64_t most, bool from_right) {
  if (between.empty()) throw Refusal("split(): the separator is empty");
  Parts parts;
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t found = from_right ? find_last_text(e.store(), text, between) : find_text(e.store(), text, between);
    if (found == std::string_view::npos) break;
    const std::string_view before = text.substr(0, found), behind = text.substr(found + between.size());
    parts.push_back(made(e, std::string(from_right ? behind : before)));
    text = from_right ? before : behind;
  }
  parts.push_back(made(e, std::string(text)));
  return parts;
}

Value split(Evaluator &e, const Value &self, const Arguments &a, bool from_right) {
  const Bound bound(from_right ? "rsplit()" : "split()", {"sep", "maxsplit"}, a);
  const int64_t most = bound.whole(1, -1);
  // rsplit() without a limit is split(): the same parts, found in one pass.
  const bool right = from_right && most >= 0;
  Parts parts;
  if (bound.has_value(0)) {
    parts = split_at(e, self.text(), bound.text(0, ""), most, from_right);
    if (from_right) std::reverse(parts.begin(), parts.end());
  } else {
    e.store().read_slowly(self.text().size());
    parts = split_at_spaces(e, self.text(), most, right);
    if (right) std::reverse(parts.begin(), parts.end());
  }
  return e.store().list(std::move(parts));
}
Value text_split(Evaluator &e, const Value &self, const Arguments &a) { return split(e, self, a, false); }
Value text_rsplit(Evaluator &e, const Value &self, const Arguments &a) { return split(e, self, a, true); }

Value text_splitlines(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("splitlines()", {"keepends"}, a);
  std::vector<Value> values;
  e.store().read_slowly(self.text().size());
  std::string_view rest = self.text(), line;
  while (next_line(rest, line, bound.flag(0, false))) values.push_back(made(e, std::string(line)));
  return e.store().list(std::move(values));
}

Value partition(Evaluator &e, const Value &self, const Arguments &a, bool last) {
  const Bound bound("partition()", {"sep"}, a, 1);
  const std::string between(bound.text(0, ""));
  e.store().read(between.size());
  if (between.empty()) throw Refusal("partition(): the separator is empty");
  const std::string &text = self.text();
  const size_t found = last ? find_last_text(e.store(), text, between) : find_text(e.store(), text, between);
  if (found == std::string::npos) {
    const Value empty = made(e, "");
    return e.store().tuple(last ? std::vector<Value>{empty, empty, self} : std::vector<Value>{self, empty, empty});
  }
  return e.store().tuple(
      {made(e, text.substr(0, found)), made(e, between), made(e, text.substr(found + between.size()))});
}
Value text_partition(Evaluator &e, const Value &self, const Arguments &a) { return partition(e, self, a, false); }
Value text_rpartition(Evaluator &e, const Value &self, const Arguments &a) { return partition(e, self, a, true); }

// The part of a text that start and end, counted in characters, leave; its begin in characters goes to `from`.
std::string_view part_of(Evaluator &e, const std::string &text, const Bound &bound, size_t first, int64_t *from,
                         bool *within) {
  *from = 0;
  *within = true;
  if (!bound.has_value(first) && !bound.has_value(first + 1)) return text;
  e.store().read_slowly(text.size());
  const auto size = static_cast<int64_t>(character_count(text));
  const auto place = [&](size_t i, int64_t fallback) {
    if (!bound.has_value(i)) return fallback;
    const int64_t at = bound.whole(i, 0);
    return at < 0 ? std::max<int64_t>(0, at + size) : at;
  };
  const int64_t begin = place(first, 0), end = std::min(place(first + 1, size), size);
  *from = begin;
  *within = begin <= end;  // an empty text is found in an empty part, and not in one that begins behind its end
  if (!*within || begin >= size) return std::string_view(text).substr(text.size());
  const std::string_view behind = std::string_view(text).substr(place_of(text, static_cast<size_t>(begin)));
  return behind.substr(0, place_of(behind, static_cast<size_t>(end - begin)));
}

bool affixed(Evaluator &e, const Value &self, const Arguments &a, bool at_end) {
  const Bound bound(at_end ? "endswith()" : "startswith()", {"prefix", "start", "end"}, a, 1);
  int64_t from = 0;
  bool within = true;
  const std::string_view text = part_of(e, self.text(), bound, 1, &from, &within);
  const auto has = [&](const Value &affix) {
    if (affix.is_undefined()) throw Refusal(affix.text());
    if (!affix.is_text())
      throw Refusal(std::string(at_end ? "endswith()" : "startswith()") + " needs a text or a tuple of them, not a " +
                    affix.type_name());
    e.store().read(std::min(text.size(), affix.text().size()));
    return within && (at_end ? text.ends_with(affix.text()) : text.starts_with(affix.text()));
  };
  const Value &affix = bound.at(0);
  if (affix.is(Value::Kind::sequence) && affix.sequence().flavour == Sequence::Flavour::tuple)
    return std::any_of(affix.sequence().items.begin(), affix.sequence().items.end(), has);
  return has(affix);
}
Value text_startswith(Evaluator &e, const Value &self, const Arguments &a) {
  return Value::boolean(affixed(e, self, a, false));
}
Value text_endswith(Evaluator &e, const Value &self, const Arguments &a) {
  return Value::boolean(affixed(e, self, a, true));
}

int64_t found_at(Evaluator &e, const Value &self, const Arguments &a, const char *what, bool last) {
  const Bound bound(what, {"sub", "start", "end"}, a, 1);
  int64_t from = 0;
  bool within = true;
  const std::string_view text = part_of(e, self.text(), bound, 1, &from, &within);
  const std::string_view wanted = bound.text(0, "");
  const size_t at = !within ? std::string_view::npos
                    : last  ? find_last_text(e.store(), text, wanted)
                            : find_text(e.store(), text, wanted);
  e.store().read(text.size());
  return at == std::string_view::npos ? -1 : from + static_cast<int64_t>(character_count(text.substr(0, at)));
}
Value text_find(Evaluator &e, const Value &self, const Arguments &a) {
  return Value::integer(found_at(e, self, a, "find()", false));
}
Value text_rfind(Evaluator &e, const Value &self, const Arguments &a) {
  return Value::integer(found_at(e, self, a, "rfind()", true));
}
Value index_of(Evaluator &e, const Value &self, const Arguments &a, const char *what, bool last) {
  const int64_t at = found_at(e, self, a, what, last);
  if (at < 0) throw Refusal(std::string(what) + ": the text does not contain what is looked for");
  return Value::integer(at);
}
Value text_index(Evaluator &e, const Value &self, const Arguments &a) { return index_of(e, self, a, "index()", false); }
Value text_rindex(Evaluator &e, const Value &self, const Arguments &a) {
  return index_of(e, self, a, "rindex()", true);
}

Value text_count(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("count()", {"sub", "start", "end"}, a, 1);
  int64_t from = 0;
  bool within = true;
  const std::string_view text = part_of(e, self.text(), bound, 1, &from, &within);
  const std::string_view wanted = bound.text(0, "");
  if (!within) return Value::integer(0);
  e.store().read(text.size());
  if (wanted.empty()) return Value::integer(static_cast<int64_t>(character_count(text)) + 1);
  int64_t n = 0;
  const auto next = [&](size_t from) { return find_text(e.store(), text, wanted, from); };
  for (size_t at = next(0); at != std::string_view::npos; at = next(at + wanted.size())) ++n;
  return Value::integer(n);
}

Value text_replace(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("replace()", {"old", "new", "count"}, a, 2);
  return made(e, replaced(e.store(), self.text(), bound.text(0, ""), bound.text(1, ""), bound.whole(2, -1)));
}
Value text_removeprefix(Evaluator &e, const Value &self, const Arguments &a) {
  const std::string_view affix = Bound("removeprefix()", {"prefix"}, a, 1).text(0, "");
  e.store().read(std::min(affix.size(), self.text().size()));
  return self.text().starts_with(affix) ? made(e, self.text().substr(affix.size())) : self;
}
Value text_removesuffix(Evaluator &e, const Value &self, const Arguments &a) {
  const std::string_view affix = Bound("removesuffix()", {"suffix"}, a, 1).text(0, "");
  e.store().read(std::min(affix.size(), self.text().size()));
  return self.text().ends_with(affix) ? made(e, self.text().substr(0, self.text().size() - affix.size())) : self;
}

template <std::string (*convert)(std::string_view)>
Value text_converted(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("this method", {}, a);
  e.store().step(1 + self.text().size());  // ICU, for each character in the worst case
  return made(e, convert(self.text()));
}

template <bool (*holds)(uint32_t)>
Value text_all(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("this method", {}, a);
  e.store().read_slowly(self.text().size());
  for (const std::string_view one : Characters(self.text()))
    if (!holds(code_point(one))) return Value::boolean(false);
  return Value::boolean(!self.text().empty());
}
bool is_alphanumeric(uint32_t c) { return is_letter(c) || is_numeric(c); }
bool is_ascii(uint32_t c) { return c < 0x80; }

Value text_isupper(Evaluator &e, const Value &self, const Arguments &a) {
  return Value::boolean(e.test("upper", self, a));
}
Value text_islower(Evaluator &e, const Value &self, const Arguments &a) {
  return Value::boolean(e.test("lower", self, a));
}
Value text_isascii(Evaluator &e, const Value &self, const Arguments &a) {
  return self.text().empty() ? Value::boolean(true) : text_all<is_ascii>(e, self, a);
}
Value text_istitle(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("istitle()", {}, a);
  e.store().read_slowly(self.text().size());
  bool before = false, any = false;
  for (const std::string_view one : Characters(self.text())) {
    const uint32_t c = code_point(one);
    const bool upper = is_upper(c) || is_title(c);
    if ((upper && before) || (!upper && is_lower(c) && !before)) return Value::boolean(false);
    before = upper || is_lower(c);
    any = any || before;
  }
  return Value::boolean(any);
}

Value justified(Evaluator &e, const Value &self, const Arguments &a, char align) {
  const Bound bound("this method", {"width", "fillchar"}, a, 1);
  const std::string_view fill = bound.text(1, " ");
  e.store().read(fill.size());
  if (character_count(fill) != 1) throw Refusal("the character to fill with must be one");
  return made(e, aligned(e.store(), self.text(), bound.whole(0, 0), fill, align));
}
Value text_ljust(Evaluator &e, const Value &self, const Arguments &a) { return justified(e, self, a, '<'); }
Value text_rjust(Evaluator &e, const Value &self, const Arguments &a) { return justified(e, self, a, '>'); }
Value text_center(Evaluator &e, const Value &self, const Arguments &a) { return justified(e, self, a, '^'); }
Value text_zfill(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("zfill()", {"width"}, a, 1);
  const std::string &text = self.text();
  const bool sign = text.starts_with("-") || text.starts_with("+");
  const int64_t width = std::max<int64_t>(bound.whole(0, 0), sign) - sign;
  return made(e, text.substr(0, sign) + aligned(e.store(), text.substr(sign), width, "0", '>'));
}

Value text_join(Evaluator &e, const Value &self, const Arguments &a) {
  const Bound bound("join()", {"iterable"}, a, 1);
  Output out(e.store());
  bool first = true;
  for (const Value &item : items_of(e.store(), bound.at(0))) {
    if (!item.is_text()) throw Refusal(std::string("join(): an item is a ") + item.type_name() + ", not a str");
    if (!first) out.append(self.text());
    first = false;
    out.append(item.text());
  }
  return made(e, out.text());
}

Value text_format(Evaluator &e, const Value &self, const Arguments &a) {
  return made(e, brace_format(e, self.text(), a));
}

}  // namespace

const MethodTable &text_methods() {
  static const MethodTable table = {
      {"strip", text_strip},
      {"lstrip", text_lstrip},
      {"rstrip", text_rstrip},
      {"split", text_split},
      {"rsplit", text_rsplit},
      {"splitlines", text_splitlines},
      {"partition", text_partition},
      {"rpartition", text_rpartition},
      {"startswith", text_startswith},
      {"endswith", text_endswith},
      {"find", text_find},
      {"rfind", text_rfind},
      {"index", text_index},
      {"rindex", text_rindex},
      {"count", text_count},
      {"replace", text_replace},
      {"removeprefix", text_removeprefix},
      {"removesuffix", text_removesuffix},
      {"upper", text_converted<upper>},
      {"lower", text_converted<lower>},
      {"title", text_converted<title>},
      {"capitalize", text_converted<capitalize>},
      {"casefold", text_converted<fold>},
      {"swapcase", text_converted<swap_case>},
      {"isalpha", text_all<is_letter>},
      {"isdecimal", text_all<is_decimal>},
      {"isdigit", text_all<is_digit>},
      {"isnumeric", text_all<is_numeric>},
      {"isalnum", text_all<is_alphanumeric>},
      {"isspace", text_all<is_space>},
      {"isupper", text_isupper},
      {"islower", text_islower},
      {"isascii", text_isascii},
      {"istitle", text_istitle},
      {"ljust", text_ljust},
      {"rjust", text_rjust},
      {"center", text_center},
      {"zfill", text_zfill},
      {"join", text_join},
      {"format", text_format},
  };
  return table;
}

}  // namespace hone::jinja
