// filters_sequence.cpp -- filters of lists and dicts. jinja2's documentation, "List of Builtin Filters".
#include <algorithm>

#include "core/template/access.h"
#include "core/template/arguments.h"
#include "core/template/evaluator.h"
#include "core/template/filters.h"
#include "core/template/number.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

std::vector<Value> items(Evaluator &e, const Value &v) { return items_of(e.store(), v); }

// The parts of "message.tool_calls.0"; a whole number is the part itself.
std::vector<Value> path_of(Evaluator &e, const Value &attribute) {
  if (attribute.is_whole()) return {attribute};
  if (!attribute.is_text())
    throw Refusal(std::string("an attribute must be a text or a whole number, not a ") + attribute.type_name());
  std::vector<Value> path;
  const std::string &text = attribute.text();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('.', at), text.size());
    const std::string part = text.substr(at, end - at);
    const auto whole =
        !part.empty() && part.find_first_not_of("0123456789") == std::string::npos ? read_whole(part) : std::nullopt;
    path.push_back(whole ? Value::integer(*whole) : e.store().text(part));
    at = end + 1;
  }
  return path;
}

Value follow(Evaluator &e, Value value, const std::vector<Value> &path, const Value *fallback = nullptr) {
  for (const Value &part : path) {
    value = item_of(e, value, part);
    if (fallback && !fallback->is_none() && value.is_undefined()) value = *fallback;
  }
  return value;
}

std::string lowered(Evaluator &e, const Value &value) {
  e.store().step(1 + value.text().size());  // ICU, for each character in the worst case
  return lower(value.text());
}

// What items are ordered and told apart by.
class Key {
 public:
  Key(Evaluator &e, const Value *attribute, bool case_sensitive) : e_(e), case_sensitive_(case_sensitive) {
    if (!attribute || attribute->is_none()) return;
    if (!attribute->is_text()) {
      paths_.push_back(path_of(e, *attribute));
      return;
    }
    const std::string &text = attribute->text();
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      paths_.push_back(path_of(e, e.store().text(text.substr(at, end - at))));
      at = end + 1;
    }
  }
  Value of(const Value &item) const {
    if (paths_.empty()) return folded(item);
    if (paths_.size() == 1) return folded(follow(e_, item, paths_[0]));
    std::vector<Value> all;
    for (const auto &path : paths_) all.push_back(folded(follow(e_, item, path)));
    return e_.store().list(std::move(all));
  }

 private:
  Value folded(Value value) const {
    return !case_sensitive_ && value.is_text() ? e_.store().text(lowered(e_, value)) : std::move(value);
  }
  Evaluator &e_;
  bool case_sensitive_;
  std::vector<std::vector<Value>> paths_;
};

std::vector<Value> sorted(Evaluator &e, const std::vector<Value> &from, const std::function<Value(const Value &)> &key,
                          bool reverse) {
  std::vector<std::pair<Value, const Value *>> keyed;
  for (const Value &item : from) keyed.emplace_back(key(item), &item);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto &a, const auto &b) {
    return reverse ? less(e.store(), b.first, a.first) : less(e.store(), a.first, b.first);
  });
  std::vector<Value> out;
  for (const auto &[of, item] : keyed) out.push_back(*item);
  return out;
}

Value filter_list(Evaluator &e, const Value &v, const Arguments &a) {
  return Bound("filter list", {}, a), e.store().list(items(e, v));
}

Value filter_first(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter first", {}, a);
  const std::vector<Value> all = items(e, v);
  return all.empty() ? e.store().undefined("there is no first item, as the sequence is empty") : all.front();
}

Value filter_last(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter last", {}, a);
  if (v.is(Value::Kind::sequence) && v.sequence().flavour == Sequence::Flavour::generator)
    throw Refusal("filter last: what a filter gives item by item has no end to look at; put \"| list\" before it");
  const std::vector<Value> all = items(e, v);
  return all.empty() ? e.store().undefined("there is no last item, as the sequence is empty") : all.back();
}

Value filter_reverse(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter reverse", {}, a);
  if (v.is_text()) return slice_of(e.store(), v, {}, {}, Value::integer(-1));
  std::vector<Value> all = items(e, v);
  std::reverse(all.begin(), all.end());
  return e.store().generator(std::move(all));
}

Value filter_join(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter join", {"d", "attribute"}, a);
  const std::string between = bound.has(0) ? text_of(e.store(), bound.at(0)) : "";
  const std::vector<Value> path = bound.has_value(1) ? path_of(e, bound.at(1)) : std::vector<Value>();
  Output out(e.store());
  bool first = true;
  for (const Value &item : items(e, v)) {
    if (!first) out.append(between);
    first = false;
    out.append(text_of(e.store(), path.empty() ? item : follow(e, item, path)));
  }
  return e.store().text(out.text());
}

Value filter_sort(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter sort", {"reverse", "case_sensitive", "attribute"}, a);
  const Key key(e, bound.has(2) ? &bound.at(2) : nullptr, bound.flag(1, false));
  return e.store().list(sorted(
      e, items(e, v), [&](const Value &item) { return key.of(item); }, bound.flag(0, false)));
}

Value filter_dictsort(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter dictsort", {"case_sensitive", "by", "reverse"}, a);
  const std::string_view by = bound.text(1, "key");
  if (by != "key" && by != "value")
    throw Refusal("filter dictsort: by must be \"key\" or \"value\", not \"" + shortened(by, 40) + "\"");
  if (v.is_undefined()) throw Refusal(v.text());
  if (!v.is(Value::Kind::mapping)) throw Refusal(std::string("filter dictsort: needs a dict, not a ") + v.type_name());
  std::vector<Value> pairs;
  for (const auto &[key, value] : v.mapping().items) pairs.push_back(e.store().tuple({key, value}));
  const Value place = Value::integer(by == "value");
  const Key key(e, &place, bound.flag(0, false));
  return e.store().list(sorted(
      e, pairs, [&](const Value &item) { return key.of(item); }, bound.flag(2, false)));
}

Value filter_unique(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter unique", {"case_sensitive", "attribute"}, a);
  const Key key(e, bound.has(1) ? &bound.at(1) : nullptr, bound.flag(0, false));
  std::unordered_map<std::string, bool> seen;
  std::vector<Value> out;
  uint64_t bytes = 0;  // of `seen`
  for (const Value &item : items(e, v)) {
    std::string known = hash_key(e.store(), key.of(item));
    const size_t taken = known.size() + 64;
    if (!seen.emplace(std::move(known), true).second) continue;
    e.store().charge(taken);
    bytes += taken;
    out.push_back(item);
  }
  e.store().release(bytes);
  return e.store().generator(std::move(out));
}

Value extreme(Evaluator &e, const Value &v, const Arguments &a, const char *what, bool most) {
  const Bound bound(what, {"case_sensitive", "attribute"}, a);
  const Key key(e, bound.has(1) ? &bound.at(1) : nullptr, bound.flag(0, false));
  const std::vector<Value> all = items(e, v);
  if (all.empty()) return e.store().undefined("there is no least or largest item, as the sequence is empty");
  size_t best = 0;
  Value of_best = key.of(all[0]);
  for (size_t i = 1; i < all.size(); ++i) {
    Value of_this = key.of(all[i]);
    if (most ? less(e.store(), of_best, of_this) : less(e.store(), of_this, of_best))
      best = i, of_best = std::move(of_this);
  }
  return all[best];
}
Value filter_min(Evaluator &e, const Value &v, const Arguments &a) { return extreme(e, v, a, "filter min", false); }
Value filter_max(Evaluator &e, const Value &v, const Arguments &a) { return extreme(e, v, a, "filter max", true); }

Value filter_sum(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter sum", {"attribute", "start"}, a);
  const std::vector<Value> path = bound.has_value(0) ? path_of(e, bound.at(0)) : std::vector<Value>();
  Value sum = bound.has(1) ? bound.at(1) : Value::integer(0);
  if (sum.is_text()) throw Refusal("filter sum: texts are not summed; use \"| join\"");
  for (const Value &item : items(e, v))
    sum = arithmetic(e.store(), "+", sum, path.empty() ? item : follow(e, item, path));
  return sum;
}

Value filter_items(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter items", {}, a);
  if (!v.is_undefined() && !v.is(Value::Kind::mapping))
    throw Refusal(std::string("filter items: needs a dict, not a ") + v.type_name());
  std::vector<Value> pairs;
  if (!v.is_undefined())
    for (const auto &[key, value] : v.mapping().items) pairs.push_back(e.store().tuple({key, value}));
  return e.store().generator(std::move(pairs));
}

Value filter_batch(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter batch", {"linecount", "fill_with"}, a, 1);
  const int64_t size = bound.whole(0, 1);
  std::vector<Value> rows, row;
  for (const Value &item : items(e, v)) {
    if (static_cast<int64_t>(row.size()) == size) rows.push_back(e.store().list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    if (bound.has_value(1) && size > longest_range) throw Refusal("filter batch: linecount is too large to be filled");
    while (bound.has_value(1) && static_cast<int64_t>(row.size()) < size) row.push_back(bound.at(1));
    rows.push_back(e.store().list(std::move(row)));
  }
  return e.store().generator(std::move(rows));
}

Value filter_slice(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter slice", {"slices", "fill_with"}, a, 1);
  const int64_t slices = bound.whole(0, 1);
  const std::vector<Value> all = items(e, v);
  if (slices == 0) throw Refusal("filter slice: slices is 0");
  if (slices > longest_range) throw Refusal("filter slice: slices is too large");
  std::vector<Value> columns;
  const int64_t each = slices > 0 ? static_cast<int64_t>(all.size()) / slices : 0,
                longer = slices > 0 ? static_cast<int64_t>(all.size()) % slices : 0;
  int64_t at = 0;
  for (int64_t n = 0; n < slices; ++n) {
    std::vector<Value> column;
    for (const int64_t end = at + each + (n < longer); at < end; ++at) column.push_back(all[static_cast<size_t>(at)]);
    if (bound.has_value(1) && n >= longer) column.push_back(bound.at(1));
    columns.push_back(e.store().list(std::move(column)));
  }
  return e.store().generator(std::move(columns));
}

Value filter_attr(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter attr", {"name"}, a, 1);
  const std::string name(bound.text(0, ""));
  e.store().read(name.size());
  if (!v.is(Value::Kind::mapping)) return attribute_of(e, v, name);
  bool found = false;
  Value method = method_of(e, v, name, found);
  return found ? method : e.store().undefined("'dict object' has no attribute '" + shortened(name, 100) + "'");
}

Value filter_groupby(Evaluator &e, const Value &v, const Arguments &a) {
  const Bound bound("filter groupby", {"attribute", "default", "case_sensitive"}, a, 1);
  const std::vector<Value> path = path_of(e, bound.at(0));
  const bool case_sensitive = bound.flag(2, false);
  const auto plain = [&](const Value &item) { return follow(e, item, path, bound.has(1) ? &bound.at(1) : nullptr); };
  const auto key = [&](const Value &item) {
    Value of = plain(item);
    return !case_sensitive && of.is_text() ? e.store().text(lowered(e, of)) : of;
  };
  std::vector<Value> groups, group;
  const std::vector<Value> all = sorted(e, items(e, v), key, false);
  for (size_t i = 0; i < all.size(); ++i) {
    group.push_back(all[i]);
    if (i + 1 < all.size() && equal(e.store(), key(all[i]), key(all[i + 1]))) continue;
    const Value grouper = plain(group.front());
    groups.push_back(e.store().tuple({grouper, e.store().list(std::exchange(group, {}))}));
  }
  return e.store().list(std::move(groups));
}

// The first argument names a filter or a test, the rest are its own.
Arguments without_first(const Arguments &a, size_t n) {
  Arguments rest;
  rest.positional.assign(a.positional.begin() + static_cast<long>(std::min(n, a.positional.size())),
                         a.positional.end());
  rest.named = a.named;
  return rest;
}

std::string name_at(const Arguments &a, size_t i, const char *what) {
  if (a.positional.size() <= i || !a.positional[i].is_text())
    throw Refusal(std::string(what) + " needs a name in quotes");
  return a.positional[i].text();
}

// In jinja2 map, select and their like look at nothing, their own arguments included, where the value is none or another that
// counts as false.
Value filter_map(Evaluator &e, const Value &v, const Arguments &a) {
  std::vector<Value> out;
  if (!truth(v)) return e.store().generator(std::move(out));
  if (a.positional.empty()) {
    const Bound bound("filter map", {"attribute", "default"}, a, 1);
    const std::vector<Value> path = path_of(e, bound.at(0));
    for (const Value &item : items(e, v)) out.push_back(follow(e, item, path, bound.has(1) ? &bound.at(1) : nullptr));
    return e.store().generator(std::move(out));
  }
  const std::string name = name_at(a, 0, "filter map");
  const Arguments rest = without_first(a, 1);
  for (const Value &item : items(e, v)) out.push_back(e.filter(name, item, rest));
  return e.store().generator(std::move(out));
}

Value chosen(Evaluator &e, const Value &v, const Arguments &a, const char *what, bool by_attribute, bool wanted) {
  if (!truth(v)) return e.store().generator({});
  if (by_attribute && a.positional.empty()) throw Refusal(std::string(what) + " needs the name of an attribute");
  const std::vector<Value> path = by_attribute ? path_of(e, a.positional[0]) : std::vector<Value>();
  const size_t at = by_attribute ? 1 : 0;
  const bool tests = a.positional.size() > at;
  const std::string name = tests ? name_at(a, at, what) : "";
  const Arguments rest = without_first(a, at + 1);
  std::vector<Value> out;
  for (const Value &item : items(e, v)) {
    const Value tested = by_attribute ? follow(e, item, path) : item;
    if ((tests ? e.test(name, tested, rest) : truth(tested)) == wanted) out.push_back(item);
  }
  return e.store().generator(std::move(out));
}
Value filter_select(Evaluator &e, const Value &v, const Arguments &a) {
  return chosen(e, v, a, "filter select", false, true);
}
Value filter_reject(Evaluator &e, const Value &v, const Arguments &a) {
  return chosen(e, v, a, "filter reject", false, false);
}
Value filter_selectattr(Evaluator &e, const Value &v, const Arguments &a) {
  return chosen(e, v, a, "filter selectattr", true, true);
}
Value filter_rejectattr(Evaluator &e, const Value &v, const Arguments &a) {
  return chosen(e, v, a, "filter rejectattr", true, false);
}

}  // namespace

const FilterTable &sequence_filters() {
  static const FilterTable table = {
      {"list", filter_list},
      {"first", filter_first},
      {"last", filter_last},
      {"reverse", filter_reverse},
      {"join", filter_join},
      {"sort", filter_sort},
      {"dictsort", filter_dictsort},
      {"unique", filter_unique},
      {"min", filter_min},
      {"max", filter_max},
      {"sum", filter_sum},
      {"items", filter_items},
      {"batch", filter_batch},
      {"slice", filter_slice},
      {"attr", filter_attr},
      {"groupby", filter_groupby},
      {"map", filter_map},
      {"select", filter_select},
      {"reject", filter_reject},
      {"selectattr", filter_selectattr},
      {"rejectattr", filter_rejectattr},
  };
  return table;
}

bool is_filter(const std::string &name) { return text_filters().contains(name) || sequence_filters().contains(name); }

Value Evaluator::filter(const std::string &name, const Value &value, const Arguments &given) {
  store_.read(name.size());
  if (const auto found = text_filters().find(name); found != text_filters().end())
    return found->second(*this, value, given);
  if (const auto found = sequence_filters().find(name); found != sequence_filters().end())
    return found->second(*this, value, given);
  throw Refusal("there is no filter \"" + shortened(name, 60) + "\"");
}

}  // namespace hone::jinja
