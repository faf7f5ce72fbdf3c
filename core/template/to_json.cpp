// to_json.cpp -- see to_json.h. Python's json.dumps.
#include "core/template/to_json.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/template/number.h"
#include "core/template/objects.h"
#include "core/template/unicode.h"

namespace hone::jinja {
namespace {

class Writer {
 public:
  Writer(Store &store, bool ascii, const Value &indent, std::string between, std::string after_key, bool sorted)
      : store_(store),
        ascii_(ascii),
        between_(std::move(between)),
        after_key_(std::move(after_key)),
        sorted_(sorted),
        out_(store) {
    if (indent.is_none()) return;
    lines_ = true;
    if (indent.is_text()) {
      indent_ = indent.text();
    } else if (indent.is_whole()) {
      if (indent.whole() > 1000)
        throw Refusal("tojson: an indent of " + std::to_string(indent.whole()) + " is too wide");
      indent_ = std::string(static_cast<size_t>(std::max<int64_t>(0, indent.whole())), ' ');
    } else {
      throw Refusal(std::string("tojson: indent must be a whole number or a text, not a ") + indent.type_name());
    }
  }

  std::string all(const Value &value) {
    for (const std::string *part : {&indent_, &between_, &after_key_}) store_.read(part->size());
    write(value, 1);
    return out_.text();
  }

 private:
  void line(size_t level) {
    if (!lines_) return;
    out_.append("\n");
    for (size_t i = 0; i < level; ++i) out_.append(indent_);
  }

  void text(std::string_view from) {
    std::string out = "\"";
    for (size_t at = 0; at < from.size();) {
      const size_t bytes = character_bytes(from, at);
      const uint32_t c = code_point(from.substr(at, bytes));
      static constexpr std::string_view special = "\"\\\n\r\t\f\b", letters = "\"\\nrtfb";
      char escaped[16] = "";
      if (const size_t known = c < 0x80 ? special.find(static_cast<char>(c)) : std::string_view::npos;
          known != std::string_view::npos)
        std::snprintf(escaped, sizeof escaped, "\\%c", letters[known]);
      else if (c < 0x20 || (ascii_ && c >= 0x7F && c < 0x10000 && c != 0x7F))
        std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      else if (ascii_ && c >= 0x10000)
        std::snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                      0xDC00 + ((c - 0x10000) & 0x3FF));
      if (*escaped)
        out += escaped;
      else
        out += from.substr(at, bytes);
      at += bytes;
      if (out.size() < 4096) continue;
      out_.append(out);
      out.clear();
    }
    out_.append(out + "\"");
  }

  static std::string number(const Value &value) {
    if (!value.is(Value::Kind::real)) return std::to_string(value.whole());
    if (std::isnan(value.number())) return "NaN";
    if (std::isinf(value.number())) return value.number() < 0 ? "-Infinity" : "Infinity";
    return real_text(value.number());
  }

  std::string key(const Value &value) {
    if (value.is_text()) return text_of(store_, value);
    if (value.is_none()) return "null";
    if (value.is(Value::Kind::boolean)) return value.whole() ? "true" : "false";
    if (value.is_number()) return number(value);
    throw Refusal(std::string("tojson: a ") + value.type_name() + " cannot be a key in JSON");
  }

  void write(const Value &value, size_t level) {
    store_.step();
    switch (value.kind()) {
      case Value::Kind::none:
        return out_.append("null");
      case Value::Kind::boolean:
        return out_.append(value.whole() ? "true" : "false");
      case Value::Kind::integer:
      case Value::Kind::real:
        return out_.append(number(value));
      case Value::Kind::text:
        return text(value.text());
      case Value::Kind::mapping:
        return object(value.mapping(), level);
      case Value::Kind::sequence:
        if (value.sequence().flavour == Sequence::Flavour::list || value.sequence().flavour == Sequence::Flavour::tuple)
          return array(value.sequence(), level);
        break;
      case Value::Kind::undefined:
        throw Refusal("tojson: " + value.text());
      case Value::Kind::object:
        break;
    }
    throw Refusal(std::string("tojson: a ") + value.type_name() + " cannot be written as JSON");
  }

  void array(const Sequence &sequence, size_t level) {
    if (sequence.items.empty()) return out_.append("[]");
    out_.append("[");
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out_.append(between_);
      line(level);
      write(sequence.items[i], level + 1);
    }
    line(level - 1);
    out_.append("]");
  }

  void object(const Mapping &mapping, size_t level) {
    if (mapping.items.empty()) return out_.append("{}");
    std::vector<const std::pair<Value, Value> *> items;
    for (const auto &item : mapping.items) items.push_back(&item);
    if (sorted_)
      std::stable_sort(items.begin(), items.end(),
                       [&](const auto *a, const auto *b) { return less(store_, a->first, b->first); });
    out_.append("{");
    bool first = true;
    for (const auto *item : items) {
      if (!first) out_.append(between_);
      first = false;
      line(level);
      text(key(item->first));
      out_.append(after_key_);
      write(item->second, level + 1);
    }
    line(level - 1);
    out_.append("}");
  }

  Store &store_;
  bool ascii_;
  std::string between_, after_key_, indent_;
  bool sorted_, lines_ = false;
  Output out_;
};

}  // namespace

std::string to_json(Store &store, const Value &value, bool ascii, const Value &indent, const std::string &between_items,
                    const std::string &after_key, bool sorted) {
  return Writer(store, ascii, indent, between_items, after_key, sorted).all(value);
}

}  // namespace hone::jinja
