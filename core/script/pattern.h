// pattern.h -- Lua's patterns (reference manual, section 6.4.1) with a count of steps, so that backtracking can be stopped.
#pragma once

#include <lua.hpp>

namespace hone {

// string.find, match, gmatch and gsub: what Lua's own do, but each step counts against the limit on instructions.
int pattern_find(lua_State *);
int pattern_match(lua_State *);
int pattern_gmatch(lua_State *);
int pattern_gsub(lua_State *);

}  // namespace hone
