// json.hpp -- reads the JSON that crosses the ABI: lists and tables among settings, a data row's columns, a stage's state.
// JSON as in RFC 8259. Numbers without a fraction or exponent that fit 64 bits are integers; duplicate keys: the last counts.
#pragma once

#include <cerrno>
#include <cmath>
#include <map>

#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

class Json {
 public:
  enum Type { null, boolean, integer, number, string, list, table };

  // Error, with the byte's offset, for anything that is not one JSON value.
  static Json parse(std::string_view text) {
    Reader reader{text, 0};
    Json value = reader.value(0);
    reader.space();
    if (reader.at != text.size()) reader.fail("text after the value");
    return value;
  }

  Json() = default;
  Json(bool b) : type_(boolean), integer_(b) {}
  template <std::integral I>
  Json(I i) : type_(integer), integer_(static_cast<int64_t>(i)) {}
  Json(double d) : type_(number), number_(d) {}
  Json(std::string s) : type_(string), string_(std::move(s)) {}
  Json(std::string_view s) : Json(std::string(s)) {}
  Json(const char *s) : Json(std::string(s)) {}
  Json(std::vector<Json> l) : type_(list), list_(std::move(l)) {}
  Json(std::map<std::string, Json> t) : type_(table), table_(std::move(t)) {}

  Type type() const { return type_; }
  bool is_null() const { return type_ == null; }
  bool is_number() const { return type_ == integer || type_ == number; }
  bool is_string() const { return type_ == string; }
  bool is_list() const { return type_ == list; }
  bool is_table() const { return type_ == table; }

  // Each throws Error when the value is of another type.
  bool as_bool() const { return expect(boolean), integer_ != 0; }
  int64_t as_integer() const { return expect(integer), integer_; }
  double as_number() const { return type_ == integer ? static_cast<double>(integer_) : (expect(number), number_); }
  const std::string &as_string() const { return expect(string), string_; }
  const std::vector<Json> &as_list() const { return expect(list), list_; }
  const std::map<std::string, Json> &as_table() const { return expect(table), table_; }

  // A table's value, or null when it has no such key or this is no table.
  const Json &operator[](std::string_view key) const {
    static const Json none;
    if (type_ != table) return none;
    const auto found = table_.find(std::string(key));
    return found == table_.end() ? none : found->second;
  }

  // Compact, keys sorted, numbers in the shortest form that reads back equal. NaN and infinity become null.
  std::string text() const {
    std::string out;
    write(out);
    return out;
  }

 private:
  static const char *name(Type type) {
    static constexpr const char *kNames[] = {"null", "a bool", "an integer", "a number", "a string", "a list", "a table"};
    return kNames[type];
  }
  void expect(Type type) const {
    if (type_ != type) throw Error(std::string("expected ") + name(type) + ", got " + name(type_));
  }

  struct Reader {
    std::string_view text;
    size_t at;

    [[noreturn]] void fail(const char *what) const { throw Error("not JSON: " + std::string(what) + " at byte " + std::to_string(at)); }
    void space() {
      while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) ++at;
    }
    bool take(std::string_view word) {
      if (text.substr(at, word.size()) != word) return false;
      at += word.size();
      return true;
    }

    Json value(int depth) {
      if (depth > 200) fail("nested more than 200 deep");
      space();
      if (at >= text.size()) fail("the text ends too soon");
      switch (text[at]) {
        case '{': return read_table(depth);
        case '[': return read_list(depth);
        case '"': return Json(read_string());
        default: break;
      }
      if (take("true")) return Json(true);
      if (take("false")) return Json(false);
      if (take("null")) return Json();
      return read_number();
    }
    Json read_table(int depth) {
      std::map<std::string, Json> out;
      ++at;
      space();
      if (take("}")) return Json(std::move(out));
      for (;;) {
        space();
        if (at >= text.size() || text[at] != '"') fail("expected a key");
        std::string key = read_string();
        space();
        if (!take(":")) fail("expected ':'");
        out[std::move(key)] = value(depth + 1);
        space();
        if (take("}")) return Json(std::move(out));
        if (!take(",")) fail("expected ',' or '}'");
      }
    }
    Json read_list(int depth) {
      std::vector<Json> out;
      ++at;
      space();
      if (take("]")) return Json(std::move(out));
      for (;;) {
        out.push_back(value(depth + 1));
        space();
        if (take("]")) return Json(std::move(out));
        if (!take(",")) fail("expected ',' or ']'");
      }
    }
    uint32_t hex4() {
      uint32_t code = 0;
      for (int i = 0; i < 4; ++i, ++at) {
        const char c = at < text.size() ? text[at] : 0;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) fail("expected four hexadecimal digits");
        code = code * 16 + static_cast<uint32_t>(digit);
      }
      return code;
    }
    // Bytes of the UTF-8 character here.
    size_t character() const {
      const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
      const auto tails = [&](size_t n) {
        for (size_t i = 1; i <= n; ++i)
          if ((byte(i) & 0xC0) != 0x80) return false;
        return true;
      };
      const unsigned c = byte(0), next = byte(1);
      if (c < 0x80) return 1;
      if (c >= 0xC2 && c < 0xE0 && tails(1)) return 2;
      if (c >= 0xE0 && c < 0xF0 && tails(2) && !(c == 0xE0 && next < 0xA0) && !(c == 0xED && next > 0x9F)) return 3;
      if (c >= 0xF0 && c < 0xF5 && tails(3) && !(c == 0xF0 && next < 0x90) && !(c == 0xF4 && next > 0x8F)) return 4;
      fail("a byte that is not UTF-8");
    }
    std::string read_string() {
      std::string out;
      for (++at; at < text.size(); ) {
        const char c = text[at++];
        if (c == '"') return out;
        if (static_cast<unsigned char>(c) < 0x20) --at, fail("a control character in a string");
        if (c != '\\') {
          --at;
          const size_t size = character();
          out.append(text.substr(at, size));
          at += size;
          continue;
        }
        const char escape = at < text.size() ? text[at++] : 0;
        static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
        if (escape == 'u') {
          uint32_t code = hex4();
          if (code >= 0xD800 && code < 0xDC00) {
            if (!take("\\u")) fail("half of a surrogate pair");
            const uint32_t low = hex4();
            if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          } else if (code >= 0xDC00 && code <= 0xDFFF) {
            fail("half of a surrogate pair");
          }
          append(out, code);
        } else if (const size_t which = kFrom.find(escape); escape && which != kFrom.npos) {
          out += kTo[which];
        } else {
          --at, fail("an unknown escape");
        }
      }
      fail("a string without an end");
    }
    static void append(std::string &out, uint32_t code) {
      const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
      if (code < 0x80) out += static_cast<char>(code);
      else if (code < 0x800) out += static_cast<char>(0xC0 | (code >> 6)), tail(0);
      else if (code < 0x10000) out += static_cast<char>(0xE0 | (code >> 12)), tail(6), tail(0);
      else out += static_cast<char>(0xF0 | (code >> 18)), tail(12), tail(6), tail(0);
    }
    Json read_number() {
      const size_t begin = at;
      bool whole = true;
      const auto digits = [&] {
        const size_t first = at;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
        if (at == first) fail("expected a value");
        return first;
      };
      take("-");
      const size_t first = digits();
      if (text[first] == '0' && at - first > 1) at = first, fail("a number that begins with 0");
      if (take(".")) whole = false, digits();
      if (take("e") || take("E")) {
        whole = false;
        if (!take("+")) take("-");
        digits();
      }
      const std::string number(text.substr(begin, at - begin));
      if (whole) {
        errno = 0;
        const long long i = std::strtoll(number.c_str(), nullptr, 10);
        if (errno == 0) return Json(static_cast<int64_t>(i));
      }
      const double value = std::strtod(number.c_str(), nullptr);
      if (!std::isfinite(value)) fail("a number too large");
      return Json(value);
    }
  };

  static void quote(std::string &out, std::string_view text) {
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out += '\\', out += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", c);
        out += escape;
      } else {
        out += c;
      }
    }
    out += '"';
  }
  void write(std::string &out) const {
    char text[40];
    switch (type_) {
      case null: out += "null"; break;
      case boolean: out += integer_ ? "true" : "false"; break;
      case integer: out += std::to_string(integer_); break;
      case number:
        if (!std::isfinite(number_)) {
          out += "null";
          break;
        }
        for (int digits = 15; digits <= 17; ++digits) {
          std::snprintf(text, sizeof text, "%.*g", digits, number_);
          if (std::strtod(text, nullptr) == number_) break;
        }
        out += text;
        if (std::string_view(text).find_first_of(".e") == std::string_view::npos) out += ".0";
        break;
      case string: quote(out, string_); break;
      case list:
        out += '[';
        for (size_t i = 0; i < list_.size(); ++i) {
          if (i) out += ',';
          list_[i].write(out);
        }
        out += ']';
        break;
      case table: {
        out += '{';
        bool first = true;
        for (const auto &[key, value] : table_) {
          if (!first) out += ',';
          first = false;
          quote(out, key);
          out += ':';
          value.write(out);
        }
        out += '}';
        break;
      }
    }
  }

  Type type_ = null;
  int64_t integer_ = 0;
  double number_ = 0;
  std::string string_;
  std::vector<Json> list_;
  std::map<std::string, Json> table_;
};

}  // namespace hone
