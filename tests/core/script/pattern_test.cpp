// Our patterns against Lua's own library: the same results and the same complaints on random patterns and subjects.
#include <lua.hpp>

#include "tests/core/script/script_fixture.h"

namespace hone {
namespace {

const char *const kTry = R"(
local out = {}
local function add(...)
  local n = select("#", ...)
  for i = 1, n do out[#out + 1] = tostring((select(i, ...))) end
  out[#out + 1] = "|"
end
add(pcall(string.find, subject, pattern))
add(pcall(string.find, subject, pattern, -2))
add(pcall(string.find, subject, pattern, 2, true))
add(pcall(string.match, subject, pattern, 3))
add(pcall(string.gsub, subject, pattern, "<%0%1>"))
add(pcall(string.gsub, subject, pattern, "%", 2))
add(pcall(string.gsub, subject, pattern, { a = "A", ab = false }))
add(pcall(string.gsub, subject, pattern, function(x) if x == "b" then return nil end return 1 end, 3))
add(pcall(function() local n = 0 for a, b in string.gmatch(subject, pattern) do n = n + 1 out[#out + 1] = tostring(a) .. "," .. tostring(b) if n > 50 then break end end end))
return (table.concat(out, " "):gsub("%b[]:%d+: ", ""):gsub("[%w.]+:%d+: ", ""))
)";

TEST_F(ScriptTest, MatchesPatternsAsLuasLibraryDoes) {
  auto script = load("local r = hone.reward(function(row)\nlocal subject, pattern = row[1], row[2]\n" + std::string(kTry) + "\nend)\n" + kEnd);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  ASSERT_EQ(luaL_loadstring(L, (std::string("local subject, pattern = ...\n") + kTry).c_str()), LUA_OK) << lua_tostring(L, -1);
  const std::vector<std::string> pieces = {"a",  "b",  ".",  "%a", "%A", "%d", "%s", "%w", "%%", "[ab]", "[^a]", "[a-c%d]", "[]]", "[^]a]", "(", ")",
                                           "()", "*",  "+",  "-",  "?",  "^",  "$",  "%b()", "%f[a]", "%1", "%2", "[", "]", "%",   "%bx", "(a*)", "(.-)"};
  const std::vector<std::string> letters = {"a", "b", "c", "(", ")", " ", "1", "]", "%", "A"};
  uint32_t state = 7;
  const auto draw = [&](size_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % n;
  };
  int matched = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string pattern, subject;
    for (size_t i = draw(5) + 1; i > 0; --i) pattern += pieces[draw(pieces.size())];
    for (size_t i = draw(12); i > 0; --i) subject += letters[draw(letters.size())];
    lua_pushvalue(L, 1);
    lua_pushlstring(L, subject.data(), subject.size());
    lua_pushlstring(L, pattern.data(), pattern.size());
    ASSERT_EQ(lua_pcall(L, 2, 1, 0), LUA_OK) << lua_tostring(L, -1);
    const std::string expected = lua_tostring(L, -1);
    lua_pop(L, 1);
    matched += expected.compare(0, 5, "true ") == 0 && expected.compare(5, 3, "nil") != 0;
    ASSERT_EQ(script->call("function#1", {subject, pattern}, {0, 0}).get<std::string>(), expected)
        << "subject '" << subject << "' pattern '" << pattern << "'";
  }
  EXPECT_GT(matched, 500);
  lua_close(L);
}

}  // namespace
}  // namespace hone
