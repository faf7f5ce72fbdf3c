// sandbox.cpp -- puts the scripts' standard library together, and makes globals strict.
#include "core/script/sandbox.h"

#include <cstring>
#include <vector>

#include "core/base/text.h"
#include "core/script/lua_host.h"

namespace hone {

lua_CFunction c_function(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  const lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function;
}

static lua_CFunction original_load;

// Source text only, whatever mode the script asks for: damaged bytecode can do anything.
static int load_text_only(lua_State *L) {
  if (lua_gettop(L) < 3) lua_settop(L, 3);
  lua_pushliteral(L, "t");
  lua_replace(L, 3);
  return original_load(L);
}

// __gc and __mode would let a script see when memory is collected; __gc would also run outside of the limits.
static int set_metatable(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
  if (lua_istable(L, 2))
    for (const char *field : {"__gc", "__mode"}) {
      lua_pushstring(L, field);
      if (lua_rawget(L, 2) != LUA_TNIL)
        return luaL_error(L, "a metatable with %s is refused: scripts must not depend on when memory is collected", field);
      lua_pop(L, 1);
    }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static int undeclared_read(lua_State *L) {
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  for (const char *closed : {"io", "os", "load"})
    if (std::strcmp(name, closed) == 0)
      return luaL_error(L, "%s is closed to scripts; run with --trust to open it", name);
  for (const char *gone : {"debug", "package", "dofile", "loadfile", "loadstring", "collectgarbage", "warn"})
    if (std::strcmp(name, gone) == 0) return luaL_error(L, "%s does not exist in hone's scripts", name);
  if (std::strcmp(name, "hone") == 0) return luaL_error(L, "hone is not declared; begin with: local hone = require \"hone\"");
  std::vector<std::string> names;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) names.push_back(lua_tostring(L, -1));
  }
  const std::string near = nearest_name(name, names);
  const std::string hint = near.empty() ? "" : "; did you mean \"" + near + "\"?";
  return luaL_error(L, "\"%s\" is not declared%s", name, hint.c_str());
}

static int undeclared_write(lua_State *L) {
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  return luaL_error(L, "\"%s\" is not declared; write local before its first use", name);
}

void protect_table(lua_State *L, lua_CFunction read, lua_CFunction write) {
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, read);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, write);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void make_globals_strict(lua_State *L) {
  lua_pushglobaltable(L);
  protect_table(L, guarded<undeclared_read>, undeclared_write);
  lua_pop(L, 1);
}

// The functions of utf8 that walk over a text, each charged for its length.
static int charged_utf8(lua_State *L) {
  size_t size = 0;
  if (lua_type(L, 1) == LUA_TSTRING) lua_tolstring(L, 1, &size);
  LuaHost::of(L).spend(L, size / 4);
  const int given = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, given, LUA_MULTRET);
  return lua_gettop(L);
}

static void charge_utf8(lua_State *L) {
  lua_getglobal(L, LUA_UTF8LIBNAME);
  for (const char *name : {"len", "offset", "codepoint"}) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, charged_utf8, 1);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 1);
}

void install_sandbox(lua_State *L, bool trust) {
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
  luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
  luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
  charge_utf8(L);
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
  if (trust) {
    luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 1);
    luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 1);
  }
  lua_settop(L, 0);
  lua_pushglobaltable(L);
  if (!original_load) original_load = c_function(L, "load");
  for (const char *name : {"dofile", "loadfile", "load", "collectgarbage", "warn"}) {
    lua_pushnil(L);
    lua_setfield(L, -2, name);
  }
  if (trust) {
    lua_pushcfunction(L, load_text_only);
    lua_setfield(L, -2, "load");
  }
  lua_pushcfunction(L, set_metatable);
  lua_setfield(L, -2, "setmetatable");
  lua_pop(L, 1);
  install_limits(L);
  install_ordered(L);
  install_tables(L);
  install_text(L);
  install_random(L);
}

}  // namespace hone
