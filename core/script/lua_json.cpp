// lua_json.cpp -- see lua_json.h.
#include "core/script/lua_json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/failure.h"
#include "core/base/text.h"

namespace hone {
using nlohmann::json;
namespace {

constexpr int kMostLevels = 64;

// What JSON tells and a table cannot: that an empty one is an object, and which members are null. It is kept in the table's
// metatable, so that a row that passes through a script comes back as it was.
constexpr const char *kIsObject = "__json_object", *kNulls = "__json_nulls", *kSize = "__json_size";

void mark(lua_State *L, const json &value) {
  const bool nulls = std::any_of(value.begin(), value.end(), [](const json &item) { return item.is_null(); });
  if (!nulls && !(value.is_object() && value.empty())) return;
  lua_createtable(L, 0, 3);
  lua_pushboolean(L, value.is_object());
  lua_setfield(L, -2, kIsObject);
  lua_pushinteger(L, static_cast<lua_Integer>(value.size()));
  lua_setfield(L, -2, kSize);
  if (nulls) {
    lua_newtable(L);
    lua_Integer i = 0;
    for (auto item = value.begin(); item != value.end(); ++item) {
      ++i;
      if (!item->is_null()) continue;
      if (value.is_object())
        lua_pushlstring(L, item.key().data(), item.key().size());
      else
        lua_pushinteger(L, i);
      lua_pushboolean(L, true);
      lua_rawset(L, -3);
    }
    lua_setfield(L, -2, kNulls);
  }
  lua_setmetatable(L, -2);
}

// That mark, of a table that has one; its nulls lie on the stack until it ends.
class Mark {
 public:
  Mark(lua_State *L, int index) : L_(L), top_(lua_gettop(L)) {
    if (luaL_getmetafield(L, index, kIsObject) != LUA_TNIL) is_object_ = lua_toboolean(L, -1) != 0;
    if (luaL_getmetafield(L, index, kSize) != LUA_TNIL) size_ = static_cast<lua_Unsigned>(lua_tointeger(L, -1));
    if (luaL_getmetafield(L, index, kNulls) == LUA_TTABLE) nulls_ = lua_gettop(L);
  }
  ~Mark() { lua_settop(L_, top_); }
  Mark(const Mark &) = delete;
  bool is_object() const { return is_object_; }
  lua_Unsigned size() const { return nulls_ ? size_ : 0; }  // of a list with nulls
  bool is_null(lua_Unsigned i) const {
    if (!nulls_) return false;
    const bool is = lua_rawgeti(L_, nulls_, static_cast<lua_Integer>(i)) != LUA_TNIL;
    lua_pop(L_, 1);
    return is;
  }
  void add_nulls(json &object) const {
    if (!nulls_) return;
    lua_pushnil(L_);
    while (lua_next(L_, nulls_)) {
      lua_pop(L_, 1);
      size_t size = 0;
      if (lua_type(L_, -1) != LUA_TSTRING) continue;
      const char *name = lua_tolstring(L_, -1, &size);
      object.emplace(std::string(name, size), nullptr);
    }
  }

 private:
  lua_State *L_;
  int top_, nulls_ = 0;
  bool is_object_ = false;
  lua_Unsigned size_ = 0;
};

json from_table(lua_State *L, int index, const std::string &path, const HandleToJson &handle, const json &empty, int level);

json from_value(lua_State *L, int index, const std::string &path, const HandleToJson &handle, const json &empty, int level) {
  switch (lua_type(L, index)) {
    case LUA_TNIL: return nullptr;
    case LUA_TBOOLEAN: return lua_toboolean(L, index) != 0;
    case LUA_TNUMBER: {
      if (lua_isinteger(L, index)) return static_cast<int64_t>(lua_tointeger(L, index));
      const double number = lua_tonumber(L, index);
      if (!std::isfinite(number)) throw Failure(path + " is " + (std::isnan(number) ? "not a number" : "infinite") + "; it must be finite");
      return number;
    }
    case LUA_TSTRING: {
      size_t size;
      const char *data = lua_tolstring(L, index, &size);
      const size_t bad = invalid_utf8({data, size});
      if (bad != std::string::npos) throw Failure(path + " is a text with invalid UTF-8 at byte " + std::to_string(bad + 1));
      return std::string(data, size);
    }
    case LUA_TTABLE: return from_table(L, index, path, handle, empty, level);
    default: {
      json out;
      if (handle && handle(L, index, out)) return out;
      throw Failure(path + " is a " + luaL_typename(L, index) + ", which is not data");
    }
  }
}

json from_table(lua_State *L, int index, const std::string &path, const HandleToJson &handle, const json &empty, int level) {
  if (level >= kMostLevels) throw Failure(path + " is nested more than " + std::to_string(kMostLevels) + " levels deep, or holds itself");
  luaL_checkstack(L, 12, "a table that is nested deeply");
  index = lua_absindex(L, index);
  const Mark mark(L, index);
  bool texts = false, integers = false;
  lua_Unsigned count = 0, largest = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      texts = true;
    } else if (lua_isinteger(L, -1)) {
      integers = true;
      largest = std::max(largest, static_cast<lua_Unsigned>(lua_tointeger(L, -1)));
    } else {
      throw Failure(path + " has a key that is a " + luaL_typename(L, -1) + "; keys are texts, or 1, 2, 3 ...");
    }
    if (texts && integers) throw Failure(path + " mixes named and numbered values; it must be a list or a table of names");
    ++count;
  }
  if (count == 0 && !mark.is_object() && mark.size() == 0) return empty;
  if (integers || (count == 0 && !mark.is_object())) {
    json list = json::array();
    for (lua_Unsigned i = 1; i <= (mark.size() ? std::max(largest, mark.size()) : count); ++i) {
      const std::string here = path + "[" + std::to_string(i) + "]";
      if (lua_rawgeti(L, index, static_cast<lua_Integer>(i)) == LUA_TNIL && !mark.is_null(i))
        throw Failure(path + " is a list with " + std::to_string(count) + " values, but number " + std::to_string(i) + " is missing");
      list.push_back(from_value(L, -1, here, handle, json::array(), level + 1));
      lua_pop(L, 1);
    }
    return list;
  }
  json object = json::object();
  lua_pushnil(L);
  while (lua_next(L, index)) {
    size_t size;
    const char *data = lua_tolstring(L, -2, &size);
    const std::string name(data, size);
    if (invalid_utf8(name) != std::string::npos) throw Failure(path + " has a name with invalid UTF-8");
    object[name] = from_value(L, -1, path.empty() ? name : path + "." + name, handle, json::array(), level + 1);
    lua_pop(L, 1);
  }
  mark.add_nulls(object);
  return object;
}

}  // namespace

json to_json(lua_State *L, int index, const std::string &path, const HandleToJson &handle, const json &empty) {
  return from_value(L, lua_absindex(L, index), path, handle, empty, 0);
}

void push_json(lua_State *L, const json &value) {
  luaL_checkstack(L, 8, "a value that is nested deeply");
  switch (value.type()) {
    case json::value_t::boolean: lua_pushboolean(L, value.get<bool>()); break;
    case json::value_t::number_integer: lua_pushinteger(L, value.get<int64_t>()); break;
    case json::value_t::number_unsigned: {
      const uint64_t number = value.get<uint64_t>();
      if (number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        lua_pushinteger(L, static_cast<lua_Integer>(number));
      } else {
        lua_pushnumber(L, static_cast<double>(number));
      }
      break;
    }
    case json::value_t::number_float: lua_pushnumber(L, value.get<double>()); break;
    case json::value_t::string: {
      const std::string &text = value.get_ref<const std::string &>();
      lua_pushlstring(L, text.data(), text.size());
      break;
    }
    case json::value_t::array: {
      lua_createtable(L, static_cast<int>(value.size()), 0);
      lua_Integer i = 0;
      for (const json &item : value) {
        push_json(L, item);
        lua_rawseti(L, -2, ++i);
      }
      mark(L, value);
      break;
    }
    case json::value_t::object: {
      lua_createtable(L, 0, static_cast<int>(value.size()));
      for (const auto &[name, item] : value.items()) {
        lua_pushlstring(L, name.data(), name.size());
        push_json(L, item);
        lua_rawset(L, -3);
      }
      mark(L, value);
      break;
    }
    default: lua_pushnil(L);
  }
}

std::string describe_value(lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TNONE: return "nil";
    case LUA_TBOOLEAN: return lua_toboolean(L, index) ? "true" : "false";
    case LUA_TNUMBER:
      return "the number " + (lua_isinteger(L, index) ? std::to_string(lua_tointeger(L, index)) : number_text(lua_tonumber(L, index)));
    case LUA_TSTRING: {
      size_t size;
      const char *data = lua_tolstring(L, index, &size);
      std::string text = with_replaced_invalid_utf8({data, size});
      return "the text \"" + (text.size() > 60 ? text.substr(0, 57) + "..." : text) + "\"";
    }
    case LUA_TTABLE: return "a table";
    case LUA_TFUNCTION: return "a function";
    default: return std::string("a ") + luaL_typename(L, index);
  }
}

}  // namespace hone
