// lua_tables.cpp -- table.insert, remove and move that a lying __len or a huge range cannot keep busy for ever.
#include "core/script/lua_host.h"
#include "core/script/sandbox.h"

namespace hone {
namespace {

constexpr lua_Integer kMostElements = 100'000'000;
lua_CFunction original_insert, original_remove, original_move;

void charge_length(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const lua_Integer n = luaL_len(L, 1);
  luaL_argcheck(L, n < kMostElements, 1, "too many elements");
  if (n > 0) LuaHost::of(L).spend(L, static_cast<uint64_t>(n) / 8);
}

int insert(lua_State *L) {
  if (lua_gettop(L) == 3) charge_length(L);  // at the end it moves nothing
  return original_insert(L);
}

int remove(lua_State *L) {
  if (lua_gettop(L) == 2) charge_length(L);
  return original_remove(L);
}

int move(lua_State *L) {
  const lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
  if (to >= from) {
    const uint64_t n = static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
    luaL_argcheck(L, n < static_cast<uint64_t>(kMostElements), 3, "too many elements to move");
    LuaHost::of(L).spend(L, n);
  }
  return original_move(L);
}

}  // namespace

void install_tables(lua_State *L) {
  lua_getglobal(L, LUA_TABLIBNAME);
  if (!original_insert) {
    original_insert = c_function(L, "insert");
    original_remove = c_function(L, "remove");
    original_move = c_function(L, "move");
  }
  static const luaL_Reg functions[] = {{"insert", insert}, {"remove", remove}, {"move", move}, {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}

}  // namespace hone
