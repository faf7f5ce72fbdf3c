// lua_limits.cpp -- pcall, xpcall and coroutines through which a limit passes: what they cannot do is catch it.
#include "core/script/lua_host.h"
#include "core/script/sandbox.h"

namespace hone {
namespace {

int finish_pcall(lua_State *L, int status, lua_KContext first_result) {
  if (status != LUA_OK && status != LUA_YIELD) {
    LuaHost::of(L).raise_again_if_limit(L, status);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  return lua_gettop(L) - static_cast<int>(first_result);
}

int protected_call(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return finish_pcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall), 0);
}

// Lua calls an error's handler from within the hook, where no further hook runs: a handler sees no limits.
int handle_unless_limit(lua_State *L) {
  if (LuaHost::of(L).limit_hit()) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

int protected_call_with_handler(lua_State *L) {
  const int arguments = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, handle_unless_limit, 1);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);  // function, handler, true, function, arguments...
  return finish_pcall(L, lua_pcallk(L, arguments - 2, LUA_MULTRET, 2, 2, finish_pcall), 2);
}

// Results on L, or -1 and the error on L.
int resume(lua_State *L, lua_State *coroutine, int arguments) {
  if (!lua_checkstack(coroutine, arguments)) return luaL_error(L, "too many arguments to resume");
  lua_xmove(L, coroutine, arguments);
  LuaHost &host = LuaHost::of(L);
  host.set_running(coroutine);
  int results = 0;
  const int status = lua_resume(coroutine, L, arguments, &results);
  host.set_running(L);
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, results + 1)) return luaL_error(L, "too many results to resume");
    lua_xmove(coroutine, L, results);
    return results;
  }
  lua_xmove(coroutine, L, 1);
  host.raise_again_if_limit(L, status);
  return -1;
}

lua_State *coroutine_at(lua_State *L, int index) {
  lua_State *coroutine = lua_tothread(L, index);
  luaL_argexpected(L, coroutine, index, "coroutine");
  return coroutine;
}

int coroutine_resume(lua_State *L) {
  lua_State *coroutine = coroutine_at(L, 1);
  const int results = resume(L, coroutine, lua_gettop(L) - 1);
  lua_pushboolean(L, results >= 0);
  const int count = results < 0 ? 1 : results;
  lua_insert(L, -(count + 1));
  return count + 1;
}

// The hook is copied to a new coroutine, but its count begins anew: that start is paid for here.
int coroutine_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  LuaHost::of(L).spend(L, LuaHost::kHookEvery);
  lua_State *coroutine = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, coroutine, 1);
  return 1;
}

int wrapped(lua_State *L) {
  lua_State *coroutine = lua_tothread(L, lua_upvalueindex(1));
  const int results = resume(L, coroutine, lua_gettop(L));
  if (results < 0) return lua_error(L);
  return results;
}

int coroutine_wrap(lua_State *L) {
  coroutine_create(L);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

}  // namespace

void install_limits(lua_State *L) {
  lua_pushglobaltable(L);
  lua_pushcfunction(L, protected_call);
  lua_setfield(L, -2, "pcall");
  lua_pushcfunction(L, protected_call_with_handler);
  lua_setfield(L, -2, "xpcall");
  lua_getfield(L, -1, LUA_COLIBNAME);
  lua_pushnil(L);  // would run pending __close handlers of a coroutine whose hook is off
  lua_setfield(L, -2, "close");
  static const luaL_Reg functions[] = {
      {"resume", coroutine_resume}, {"create", coroutine_create}, {"wrap", coroutine_wrap}, {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 2);
}

}  // namespace hone
