// lua_text.cpp -- tostring, print and string functions that show no address and do bounded work.
#include <cstring>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/script/lua_host.h"
#include "core/script/pattern.h"
#include "core/script/sandbox.h"

namespace hone {

void push_text(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (luaL_callmeta(L, index, "__tostring")) {
    if (!lua_isstring(L, -1)) luaL_error(L, "__tostring must return a text");
    return;
  }
  switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING: luaL_tolstring(L, index, nullptr); break;
    default: lua_pushstring(L, luaL_typename(L, index));
  }
}

namespace {

lua_CFunction original_format, original_repeat;

int to_string(lua_State *L) {
  luaL_checkany(L, 1);
  push_text(L, 1);
  return 1;
}

int print(lua_State *L) {
  std::string line;
  const int n = lua_gettop(L);
  for (int i = 1; i <= n; ++i) {
    push_text(L, i);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (i > 1) line += '\t';
    line.append(text, size);
    lua_pop(L, 1);
  }
  log_info(with_replaced_invalid_utf8(line));
  return 0;
}

int format(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  for (size_t i = 0; i + 1 < size; ++i) {
    if (text[i] != '%') continue;
    if (text[++i] == '%') continue;
    while (i < size && std::strchr("-+ #0123456789.", text[i]) && text[i]) ++i;
    if (i < size && text[i] == 'p') return luaL_error(L, "string.format with %%p is refused: addresses differ between runs");
  }
  for (int i = 2, n = lua_gettop(L); i <= n; ++i) {
    const int type = lua_type(L, i);
    if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING) continue;
    push_text(L, i);
    lua_replace(L, i);
  }
  return original_format(L);
}

int repeat(lua_State *L) {
  size_t size, between;
  luaL_checklstring(L, 1, &size);
  luaL_optlstring(L, 3, "", &between);
  if (size + between > 0) return original_repeat(L);
  luaL_checkinteger(L, 2);
  lua_pushliteral(L, "");  // the original would go round n times for nothing
  return 1;
}

}  // namespace

void install_text(lua_State *L) {
  lua_pushcfunction(L, to_string);
  lua_setglobal(L, "tostring");
  lua_pushcfunction(L, guarded<print>);
  lua_setglobal(L, "print");
  lua_getglobal(L, LUA_STRLIBNAME);
  if (!original_format) {
    original_format = c_function(L, "format");
    original_repeat = c_function(L, "rep");
  }
  static const luaL_Reg functions[] = {{"format", format},
                                       {"rep", repeat},
                                       {"find", guarded<pattern_find>},
                                       {"match", guarded<pattern_match>},
                                       {"gmatch", guarded<pattern_gmatch>},
                                       {"gsub", guarded<pattern_gsub>},
                                       {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  // The metatable of texts stays out of reach, so that every text has these methods.
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 3);
}

}  // namespace hone
