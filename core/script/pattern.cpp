// pattern.cpp -- see pattern.h. Lua's library matches in one call that nothing can interrupt; this one counts as it goes.
#include "core/script/pattern.h"

#include <cctype>
#include <cstring>
#include <string>
#include <string_view>

#include "core/script/lua_host.h"

namespace hone {
namespace {

constexpr int kMostCaptures = 32, kMostLevels = 200;
constexpr ptrdiff_t kOpen = -1, kPosition = -2;  // lengths of captures that are not yet closed, and of ()

unsigned char byte(const char *at) { return static_cast<unsigned char>(*at); }

class Matcher {
 public:
  Matcher(lua_State *L, std::string_view subject, std::string_view pattern)
      : L_(L), host_(LuaHost::of(L)), begin_(subject.data()), end_(begin_ + subject.size()), pattern_end_(pattern.data() + pattern.size()) {}
  ~Matcher() = default;

  // The end of a match of `pattern` that begins at `at`, or null.
  const char *match_at(const char *at, const char *pattern) {
    captures_ = 0;
    levels_ = 0;
    return match(at, pattern);
  }
  int captures() const { return captures_; }

  // Capture i, or the whole match when the pattern has none.
  void push_capture(int i, const char *from, const char *to) {
    if (i >= captures_) {
      if (i != 0) luaL_error(L_, "invalid capture index %%%d", i + 1);
      lua_pushlstring(L_, from, static_cast<size_t>(to - from));
    } else if (capture_[i].size == kPosition) {
      lua_pushinteger(L_, capture_[i].at - begin_ + 1);
    } else {
      if (capture_[i].size == kOpen) luaL_error(L_, "unfinished capture");
      lua_pushlstring(L_, capture_[i].at, static_cast<size_t>(capture_[i].size));
    }
  }
  int push_captures(const char *from, const char *to, bool whole_if_none) {
    const int n = captures_ == 0 && whole_if_none ? 1 : captures_;
    luaL_checkstack(L_, n, "too many captures");
    for (int i = 0; i < n; ++i) push_capture(i, from, to);
    return n;
  }

 private:
  struct Capture {
    const char *at;
    ptrdiff_t size;
  };

  void step() {
    if (++steps_ % 64 == 0) host_.spend(L_, 64);
  }

  // Past the single item that begins at p: a character, %x, a set.
  const char *item_end(const char *p) {
    if (p == pattern_end_) luaL_error(L_, "malformed pattern (ends with '%%')");
    if (*p == '%') {
      if (p + 1 == pattern_end_) luaL_error(L_, "malformed pattern (ends with '%%')");
      return p + 2;
    }
    if (*p != '[') return p + 1;
    ++p;
    if (p < pattern_end_ && *p == '^') ++p;
    do {  // the first character of a set stands for itself, even ]
      if (p == pattern_end_) luaL_error(L_, "malformed pattern (missing ']')");
      if (*p++ == '%') {
        if (p == pattern_end_) luaL_error(L_, "malformed pattern (missing ']')");
        ++p;
      }
    } while (p == pattern_end_ || *p != ']');
    return p + 1;
  }

  static bool in_class(int c, int name) {
    bool in;
    switch (std::tolower(name)) {
      case 'a': in = std::isalpha(c); break;
      case 'c': in = std::iscntrl(c); break;
      case 'd': in = std::isdigit(c); break;
      case 'g': in = std::isgraph(c); break;
      case 'l': in = std::islower(c); break;
      case 'p': in = std::ispunct(c); break;
      case 's': in = std::isspace(c); break;
      case 'u': in = std::isupper(c); break;
      case 'w': in = std::isalnum(c); break;
      case 'x': in = std::isxdigit(c); break;
      default: return name == c;
    }
    return std::isupper(name) ? !in : in;
  }

  // p at '[', last at its ']'.
  static bool in_set(int c, const char *p, const char *last) {
    bool found = true;
    if (p[1] == '^') {
      found = false;
      ++p;
    }
    while (++p < last) {
      if (*p == '%') {
        ++p;
        if (in_class(c, byte(p))) return found;
      } else if (p + 2 < last && p[1] == '-') {
        if (byte(p) <= c && c <= byte(p + 2)) return found;
        p += 2;
      } else if (byte(p) == c) {
        return found;
      }
    }
    return !found;
  }

  bool item_matches(const char *s, const char *p, const char *after) {
    step();
    if (s >= end_) return false;
    switch (*p) {
      case '.': return true;
      case '%': return in_class(byte(s), byte(p + 1));
      case '[': return in_set(byte(s), p, after - 1);
      default: return *p == *s;
    }
  }

  const char *balanced(const char *s, const char *p) {
    if (pattern_end_ - p < 2) luaL_error(L_, "malformed pattern (missing arguments to '%%b')");
    if (s >= end_ || *s != p[0]) return nullptr;
    int depth = 1;
    while (++s < end_) {
      step();
      if (*s == p[1]) {
        if (--depth == 0) return s + 1;
      } else if (*s == p[0]) {
        ++depth;
      }
    }
    return nullptr;
  }

  const char *most(const char *s, const char *p, const char *after) {
    ptrdiff_t n = 0;
    while (item_matches(s + n, p, after)) ++n;
    for (; n >= 0; --n)
      if (const char *found = match(s + n, after + 1)) return found;
    return nullptr;
  }

  const char *fewest(const char *s, const char *p, const char *after) {
    for (;; ++s) {
      if (const char *found = match(s, after + 1)) return found;
      if (!item_matches(s, p, after)) return nullptr;
    }
  }

  const char *open_capture(const char *s, const char *p, ptrdiff_t kind) {
    if (captures_ >= kMostCaptures) luaL_error(L_, "too many captures");
    capture_[captures_++] = {s, kind};
    const char *found = match(s, p);
    if (!found) --captures_;
    return found;
  }

  const char *close_capture(const char *s, const char *p) {
    int i = captures_ - 1;
    while (i >= 0 && capture_[i].size != kOpen) --i;
    if (i < 0) luaL_error(L_, "invalid pattern capture");
    capture_[i].size = s - capture_[i].at;
    const char *found = match(s, p);
    if (!found) capture_[i].size = kOpen;
    return found;
  }

  const char *repeated_capture(const char *s, int digit) {
    const int i = digit - '1';
    if (i < 0 || i >= captures_ || capture_[i].size == kOpen) luaL_error(L_, "invalid capture index %%%d", i + 1);
    if (capture_[i].size == kPosition) return nullptr;  // a position has no text to repeat
    const auto size = static_cast<size_t>(capture_[i].size);
    host_.spend(L_, size / 16);
    if (static_cast<size_t>(end_ - s) < size || std::memcmp(capture_[i].at, s, size) != 0) return nullptr;
    return s + size;
  }

  const char *match(const char *s, const char *p) {
    if (++levels_ > kMostLevels) luaL_error(L_, "pattern too complex");
    const char *found = match_here(s, p);
    --levels_;
    return found;
  }

  const char *match_here(const char *s, const char *p) {
    for (;;) {
      step();
      if (p == pattern_end_) return s;
      if (*p == '(') return p + 1 < pattern_end_ && p[1] == ')' ? open_capture(s, p + 2, kPosition) : open_capture(s, p + 1, kOpen);
      if (*p == ')') return close_capture(s, p + 1);
      if (*p == '$' && p + 1 == pattern_end_) return s == end_ ? s : nullptr;
      if (*p == '%' && p + 1 < pattern_end_) {
        if (p[1] == 'b') {
          s = balanced(s, p + 2);
          if (!s) return nullptr;
          p += 4;
          continue;
        }
        if (p[1] == 'f') {
          p += 2;
          if (p == pattern_end_ || *p != '[') luaL_error(L_, "missing '[' after '%%f' in pattern");
          const char *after = item_end(p);
          const int before = s == begin_ ? 0 : byte(s - 1), here = s == end_ ? 0 : byte(s);
          if (in_set(before, p, after - 1) || !in_set(here, p, after - 1)) return nullptr;
          p = after;
          continue;
        }
        if (std::isdigit(byte(p + 1))) {
          s = repeated_capture(s, byte(p + 1));
          if (!s) return nullptr;
          p += 2;
          continue;
        }
      }
      const char *after = item_end(p);
      const char repeat = after < pattern_end_ ? *after : '\0';
      switch (repeat) {
        case '*': return most(s, p, after);
        case '+': return item_matches(s, p, after) ? most(s + 1, p, after) : nullptr;
        case '-': return fewest(s, p, after);
        case '?':
          if (item_matches(s, p, after))
            if (const char *found = match(s + 1, after + 1)) return found;
          p = after + 1;
          continue;
        default:
          if (!item_matches(s, p, after)) return nullptr;
          ++s;
          p = after;
      }
    }
  }

  lua_State *L_;
  LuaHost &host_;
  const char *begin_, *end_, *pattern_end_;
  Capture capture_[kMostCaptures];
  int captures_ = 0, levels_ = 0;
  uint64_t steps_ = 0;
};

std::string_view text_at(lua_State *L, int index) {
  size_t size;
  const char *data = luaL_checklstring(L, index, &size);
  return {data, size};
}

// The third argument of find, match and gmatch as an offset; beyond the end when it is.
size_t start_at(lua_State *L, int index, size_t size) {
  const lua_Integer at = luaL_optinteger(L, index, 1);
  if (at > 0) return static_cast<size_t>(at) - 1;
  if (at == 0 || at < -static_cast<lua_Integer>(size)) return 0;
  return size - static_cast<size_t>(-at);
}

int find_or_match(lua_State *L, bool find) {
  const std::string_view subject = text_at(L, 1), pattern = text_at(L, 2);
  const size_t start = start_at(L, 3, subject.size());
  if (start > subject.size()) {
    luaL_pushfail(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || pattern.find_first_of("^$*+?.([%-") == std::string_view::npos)) {
    LuaHost::of(L).spend(L, (subject.size() - start) / 16);
    const size_t at = subject.find(pattern, start);
    if (at == std::string_view::npos) {
      luaL_pushfail(L);
      return 1;
    }
    lua_pushinteger(L, static_cast<lua_Integer>(at + 1));
    lua_pushinteger(L, static_cast<lua_Integer>(at + pattern.size()));
    return 2;
  }
  Matcher matcher(L, subject, pattern);
  const bool anchored = !pattern.empty() && pattern[0] == '^';
  const char *end = subject.data() + subject.size();
  for (const char *at = subject.data() + start; at <= end; ++at) {
    if (const char *to = matcher.match_at(at, pattern.data() + anchored)) {
      if (!find) return matcher.push_captures(at, to, true);
      lua_pushinteger(L, at - subject.data() + 1);
      lua_pushinteger(L, to - subject.data());
      return 2 + matcher.push_captures(at, to, false);
    }
    if (anchored) break;
  }
  luaL_pushfail(L);
  return 1;
}

// Upvalues: subject, pattern, where to go on, where the last match ended (an empty match there is not a new one).
int next_match(lua_State *L) {
  const std::string_view subject = text_at(L, lua_upvalueindex(1)), pattern = text_at(L, lua_upvalueindex(2));
  const lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
  Matcher matcher(L, subject, pattern);
  for (lua_Integer at = lua_tointeger(L, lua_upvalueindex(3)); at <= static_cast<lua_Integer>(subject.size()); ++at) {
    const char *from = subject.data() + at, *to = matcher.match_at(from, pattern.data());
    if (!to || to - subject.data() == last) continue;
    lua_pushinteger(L, to - subject.data());
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return matcher.push_captures(from, to, true);
  }
  return 0;
}

// What replaces one match: a text with %1, a table's value, a function's result. False, nil: the match itself, unchanged.
bool append_replacement(lua_State *L, Matcher &matcher, const char *from, const char *to, std::string &out) {
  switch (lua_type(L, 3)) {
    case LUA_TFUNCTION: {
      lua_pushvalue(L, 3);
      const int n = matcher.push_captures(from, to, true);
      lua_call(L, n, 1);
      break;
    }
    case LUA_TTABLE:
      matcher.push_capture(0, from, to);
      lua_gettable(L, 3);
      break;
    default: {
      const std::string_view text = text_at(L, 3);
      for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
          out += text[i];
          continue;
        }
        ++i;
        if (i < text.size() && text[i] == '%') {
          out += '%';
        } else if (i < text.size() && text[i] == '0') {
          out.append(from, to);
        } else if (i < text.size() && std::isdigit(static_cast<unsigned char>(text[i]))) {
          matcher.push_capture(text[i] - '1', from, to);
          luaL_tolstring(L, -1, nullptr);
          out += text_at(L, -1);
          lua_pop(L, 2);
        } else {
          luaL_error(L, "invalid use of '%%' in replacement string");
        }
      }
      return true;
    }
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    out.append(from, to);
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  out += text_at(L, -1);
  lua_pop(L, 1);
  return true;
}

}  // namespace

int pattern_find(lua_State *L) { return find_or_match(L, true); }
int pattern_match(lua_State *L) { return find_or_match(L, false); }

int pattern_gmatch(lua_State *L) {
  const size_t size = text_at(L, 1).size();
  text_at(L, 2);
  const size_t start = start_at(L, 3, size);
  lua_settop(L, 2);
  lua_pushinteger(L, static_cast<lua_Integer>(start > size ? size + 1 : start));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, guarded<next_match>, 4);
  return 1;
}

int pattern_gsub(lua_State *L) {
  const std::string_view subject = text_at(L, 1), pattern = text_at(L, 2);
  const int type = lua_type(L, 3);
  luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3, "string/function/table");
  const lua_Integer most = luaL_optinteger(L, 4, static_cast<lua_Integer>(subject.size()) + 1);
  const bool anchored = !pattern.empty() && pattern[0] == '^';
  const char *at = subject.data(), *end = at + subject.size(), *last = nullptr;
  Matcher matcher(L, subject, pattern);
  std::string out;
  lua_Integer count = 0;
  while (count < most) {
    const char *to = matcher.match_at(at, pattern.data() + anchored);
    if (to && to != last) {
      ++count;
      const size_t before = out.size();
      append_replacement(L, matcher, at, to, out);
      LuaHost::of(L).spend_memory(L, out.size(), out.size() - before);
      at = last = to;
    } else if (at < end) {
      out += *at++;
    } else {
      break;
    }
    if (anchored) break;
  }
  out.append(at, end);
  lua_pushlstring(L, out.data(), out.size());
  lua_pushinteger(L, count);
  return 2;
}

}  // namespace hone
