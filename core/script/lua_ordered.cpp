// lua_ordered.cpp -- pairs, next and table.sort whose order depends on nothing but the table: Lua's own varies between runs,
// because it seeds its hashes with addresses and its sort with the clock.
#include <cmath>
#include <string_view>
#include <vector>

#include "core/script/lua_host.h"
#include "core/script/sandbox.h"

namespace hone {
namespace {

// A key by its value: integers first, ascending, then other numbers, texts by bytes, false, true.
struct Key {
  int rank = 0;
  lua_Integer integer = 0;
  double number = 0;
  std::string_view text;  // lives as long as the table holds the key
  bool operator<(const Key &other) const {
    if (rank != other.rank) return rank < other.rank;
    if (rank == 0) return integer < other.integer;
    if (rank == 1) return number < other.number;
    return text < other.text;
  }
};

Key key_at(lua_State *L, int index) {
  Key key;
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) {
        key.integer = lua_tointeger(L, index);
      } else {
        key.rank = 1;
        key.number = lua_tonumber(L, index);
      }
      return key;
    case LUA_TSTRING: {
      size_t size;
      const char *data = lua_tolstring(L, index, &size);
      key.rank = 2;
      key.text = {data, size};
      return key;
    }
    case LUA_TBOOLEAN: key.rank = 3 + lua_toboolean(L, index); return key;
    default:
      luaL_error(L, "a table with a key that is a %s has no order that is the same in every run; use texts or numbers as keys",
                 luaL_typename(L, index));
      return key;
  }
}

void push_key(lua_State *L, const Key &key) {
  switch (key.rank) {
    case 0: lua_pushinteger(L, key.integer); break;
    case 1: lua_pushnumber(L, key.number); break;
    case 2: lua_pushlstring(L, key.text.data(), key.text.size()); break;
    default: lua_pushboolean(L, key.rank - 3);
  }
}

// Bottom-up merge sort: stable, and safe with a comparison that contradicts itself.
template <class T, class Less>
void merge_sort(std::vector<T> &items, Less less) {
  std::vector<T> merged(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size()), end = std::min(begin + 2 * width, items.size());
      size_t left = begin, right = middle;
      for (size_t out = begin; out < end; ++out)
        merged[out] = left < middle && (right >= end || !less(items[right], items[left])) ? items[left++] : items[right++];
    }
    items.swap(merged);
  }
}

void charge_sort(lua_State *L, size_t n) {
  LuaHost::of(L).spend(L, n * static_cast<size_t>(1 + std::log2(static_cast<double>(n + 1))));
}

// Upvalues: the sorted keys, how many were given out. Values are read when their turn comes; removed ones are skipped.
int next_pair(lua_State *L) {
  lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
  lua_settop(L, 1);
  for (;;) {
    if (lua_rawgeti(L, lua_upvalueindex(1), ++at) == LUA_TNIL) return 1;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 1) != LUA_TNIL) break;
    lua_pop(L, 2);
  }
  lua_pushinteger(L, at);
  lua_copy(L, -1, lua_upvalueindex(2));
  lua_pop(L, 1);
  return 2;
}

int pairs(lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 3);
    return 3;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  std::vector<Key> keys;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    keys.push_back(key_at(L, -1));
  }
  bool sorted = true;
  for (size_t i = 1; i < keys.size() && sorted; ++i) sorted = keys[i - 1] < keys[i];
  if (!sorted) {
    charge_sort(L, keys.size());
    merge_sort(keys, [](const Key &a, const Key &b) { return a < b; });
  }
  lua_createtable(L, static_cast<int>(keys.size()), 0);
  for (size_t i = 0; i < keys.size(); ++i) {
    push_key(L, keys[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_pair, 2);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

int next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  const bool first = lua_isnil(L, 2);
  const Key after = first ? Key() : key_at(L, 2);
  Key least;
  bool found = false;
  uint64_t seen = 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    const Key key = key_at(L, -1);
    if ((first || after < key) && (!found || key < least)) {
      least = key;
      found = true;
    }
    ++seen;
  }
  LuaHost::of(L).spend(L, seen);
  if (!found) {
    lua_pushnil(L);
    return 1;
  }
  push_key(L, least);
  lua_pushvalue(L, -1);
  lua_rawget(L, 1);
  return 2;
}

int sort(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const lua_Integer n = luaL_len(L, 1);
  luaL_argcheck(L, n < 100'000'000, 1, "too many elements to sort");
  const bool by_function = !lua_isnoneornil(L, 2);
  if (by_function) luaL_checktype(L, 2, LUA_TFUNCTION);
  if (n < 2) return 0;
  charge_sort(L, static_cast<size_t>(n));
  lua_settop(L, 2);
  lua_createtable(L, static_cast<int>(std::min<lua_Integer>(n, 1 << 20)), 0);
  std::vector<uint32_t> order;
  for (lua_Integer i = 1; i <= n; ++i) {
    if (lua_geti(L, 1, i) == LUA_TNIL) return luaL_error(L, "cannot sort: element %I is nil", i);
    lua_rawseti(L, 3, i);
    order.push_back(static_cast<uint32_t>(i));
  }
  merge_sort(order, [&](uint32_t a, uint32_t b) {
    if (by_function) lua_pushvalue(L, 2);
    lua_rawgeti(L, 3, a);
    lua_rawgeti(L, 3, b);
    bool less;
    if (by_function) {
      lua_call(L, 2, 1);
      less = lua_toboolean(L, -1);
      lua_pop(L, 1);
    } else {
      less = lua_compare(L, -2, -1, LUA_OPLT);
      lua_pop(L, 2);
    }
    return less;
  });
  for (lua_Integer i = 1; i <= n; ++i) {
    lua_rawgeti(L, 3, order[static_cast<size_t>(i - 1)]);
    lua_seti(L, 1, i);
  }
  return 0;
}

}  // namespace

void install_ordered(lua_State *L) {
  lua_pushglobaltable(L);
  lua_pushcfunction(L, guarded<pairs>);
  lua_setfield(L, -2, "pairs");
  lua_pushcfunction(L, next);
  lua_setfield(L, -2, "next");
  lua_getfield(L, -1, LUA_TABLIBNAME);
  lua_pushcfunction(L, guarded<sort>);
  lua_setfield(L, -2, "sort");
  lua_pop(L, 2);
}

}  // namespace hone
