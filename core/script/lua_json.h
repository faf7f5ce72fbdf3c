// lua_json.h -- values across the border between Lua and C++, as JSON.
#pragma once

#include <functional>
#include <lua.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace hone {

// Offers a function or userdata; returns false when it cannot be told as JSON.
using HandleToJson = std::function<bool(lua_State *, int index, nlohmann::json &out)>;

// Integers stay integers. A table with keys 1..n is a list, one with only text keys an object, an empty one `empty`. Failure with
// the path to the value ("rows.answer") for: mixed or other keys, cycles and depths beyond 64, texts that are not UTF-8,
// numbers that are not finite, functions and userdata that `handle` does not know.
nlohmann::json to_json(lua_State *, int index, const std::string &path, const HandleToJson &handle = {},
                       const nlohmann::json &empty = nlohmann::json::array());

// null becomes nil; to_json() gives it back, and an empty object as one, unless the table has been changed there. May raise a
// Lua error (memory).
void push_json(lua_State *, const nlohmann::json &);

// 'the text "x"', "the number 3", "a table", "nil": for messages about a wrong value.
std::string describe_value(lua_State *, int index);

}  // namespace hone
