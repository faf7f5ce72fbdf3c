// sandbox.h -- the standard library as scripts see it: no clock, no files, no addresses, no order that varies between runs.
#pragma once

#include <lua.hpp>
#include <string>

namespace hone {

// Installs base, string, table, math, utf8 and coroutine, made safe and deterministic, into the globals. trust adds io, os and
// load (of text).
void install_sandbox(lua_State *, bool trust);
// Reading or writing a global that does not exist is an error from here on.
void make_globals_strict(lua_State *);

// The parts, each in a file of its own.
void install_limits(lua_State *);   // pcall, xpcall, coroutine: a limit once hit cannot be caught
void install_ordered(lua_State *);  // pairs, next, table.sort: the same order in every run
void install_tables(lua_State *);   // table.insert, remove, move: bounded
void install_text(lua_State *);     // tostring, print, string.*: no addresses, bounded
void install_random(lua_State *);   // math.random

// What is read from and written to the table on top, beyond what it has, goes to these; scripts cannot change that.
void protect_table(lua_State *, lua_CFunction read, lua_CFunction write);
// Pushes the text of a value without its address: "table" for a table.
void push_text(lua_State *, int index);
// The function `name` of the table on top of the stack, called in place of which a wrapper does its checks.
lua_CFunction c_function(lua_State *, const char *name);

}  // namespace hone
