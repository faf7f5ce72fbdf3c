// Scripts that would run, grow or recurse for ever, or try to leave: each ends in one sentence.
#include "tests/core/script/script_fixture.h"

namespace hone {
namespace {

class Limits : public ScriptTest {
 protected:
  Limits() {
    arguments.instruction_limit = 2'000'000;
    arguments.call_instruction_limit = 1'000'000;
    arguments.memory_limit = 32 << 20;
  }
};

TEST_F(Limits, StopALoopThatDoesNotEnd) {
  EXPECT_SENTENCE(problem("\nwhile true do end\n"), "t.lua:3: the limit of 2000000 instructions was reached");
  EXPECT_SENTENCE(call_problem("while true do end"), "t.lua:3: the limit of 1000000 instructions was reached");
  EXPECT_SENTENCE(problem("::top:: goto top\n"), "t.lua:2: the limit of");
  EXPECT_SENTENCE(problem("for i = 1, math.huge do end\n"), "t.lua:2: the limit of");
}

TEST_F(Limits, CannotBeCaught) {
  for (const char *body : {
           "pcall(function() while true do end end)\n",
           "while true do pcall(function() while true do end end) end\n",
           "xpcall(function() while true do end end, function() while true do end end)\n",
           "xpcall(function() while true do end end, function() return 1 end)\n",
           "local f = setmetatable({}, { __index = function(t, k) while true do end end }); pcall(function() return f.x end)\n",
           "pcall(pcall, pcall, function() while true do end end)\n",
           "local ok = pcall(string.gsub, 'x', 'x', function() while true do end end)\n",
           "pcall(table.sort, { 3, 2, 1 }, function() while true do end end)\n",
           "do local x <close> = setmetatable({}, { __close = function() while true do end end }) end\n",
           "pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end end)\n",
           "for k in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end\n",
       })
    EXPECT_SENTENCE(problem(body), "the limit of 2000000 instructions");
}

TEST_F(Limits, HoldInCoroutines) {
  for (const char *body : {
           "coroutine.wrap(function() while true do end end)()\n",
           "coroutine.resume(coroutine.create(function() while true do end end))\n",
           "local co = coroutine.create(function() while true do coroutine.yield() end end); while true do coroutine.resume(co) end\n",
           "while true do coroutine.wrap(function() for i = 1, 200 do end end)() end\n",
           "local f; f = function() return coroutine.wrap(f)() end; while true do pcall(f) end\n",
           "coroutine.wrap(function() pcall(function() coroutine.yield() while true do end end) end)()\n"
           "local w = coroutine.wrap(function() pcall(function() coroutine.yield() while true do end end) while true do end end); w() w()\n",
           "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) "
           "while true do end end); coroutine.resume(co)\n",
       })
    EXPECT_SENTENCE(problem(body), "the limit of 2000000 instructions");
  EXPECT_SENTENCE(problem("coroutine.close(coroutine.create(print))\n"), "nil value (field 'close')");
}

TEST_F(Limits, StopMemoryBombs) {
  for (const char *body : {
           "local s = string.rep('x', 1 << 40)\n",
           "local s = ('x'):rep(1000000000)\n",
           "local t = {} for i = 1, math.huge do t[i] = { i } end\n",
           "local s = 'x' while true do s = s .. s end\n",
           "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end\n",
           "pcall(string.rep, 'x', 1000000000)\n",
           "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end\n",
           "local t = table.pack(('x'):rep(20000000):byte(1, 900000))\nlocal u = {} while true do u[#u + 1] = table.pack(table.unpack(t)) end\n",
           "string.rep('x', 1 << 62)\n",
       }) {
    const std::string sentence = problem(body);
    EXPECT_TRUE(sentence.find("the limit of 32.0 MiB of memory") != std::string::npos || sentence.find("instructions") != std::string::npos ||
                sentence.find("too large") != std::string::npos || sentence.find("too many") != std::string::npos)
        << body << " said: " << sentence;
    EXPECT_EQ(sentence.compare(0, 6, "t.lua:"), 0) << sentence;
  }
}

TEST_F(Limits, LeaveTheScriptUsableAfterACallThatHitOne) {
  auto script = load("local a = hone.reward(function(n) if n == 1 then while true do end elseif n == 2 then return ('x'):rep(1 << 30) end return n end)\n" + kEnd);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(script->call("function#1", 1, {0, 0}), Failure);
    EXPECT_THROW(script->call("function#1", 2, {0, 0}), Failure);
    EXPECT_EQ(script->call("function#1", 3, {0, 0}), 3);
  }
}

TEST_F(Limits, StopWorkInsideOfLibraryFunctions) {
  for (const char *body : {
           "local s = ('') :rep(1 << 60)\nwhile true do end\n",
           "table.move({}, 1, 1 << 60, 2)\n",
           "table.insert(setmetatable({}, { __len = function() return 1 << 53 end }), 1, 0)\n",
           "table.remove(setmetatable({}, { __len = function() return 1 << 53 end }), 1)\n",
           "table.sort(setmetatable({}, { __len = function() return 1 << 30 end }))\n",
           "table.unpack({}, 1, 1 << 40)\n",
           "while true do table.move({}, 1, 50000000, 2) end\n",
           "while true do local s = ('x'):rep(1000000) end\n",
           "local s = ('x'):rep(1000000)\nwhile true do utf8.len(s) end\n",
       })
    EXPECT_NE(problem(body), "");
}

TEST_F(Limits, StopPatternsThatBacktrackForEver) {
  for (const char *body : {
           "local s = ('a'):rep(5000):find(('a-'):rep(50) .. 'b')\n",
           "local s = ('a'):rep(5000):match(('a*'):rep(20) .. 'b')\n",
           "local s = ('a'):rep(60):find(('a?'):rep(60) .. ('a'):rep(60) .. 'b')\n",
           "local s = ('a'):rep(5000):gsub(('.-'):rep(20) .. 'b', '')\n",
           "for x in ('a'):rep(5000):gmatch(('.-'):rep(20) .. 'b') do end\n",
           "pcall(string.find, ('a'):rep(5000), ('a-'):rep(50) .. 'b')\n",
       })
    EXPECT_SENTENCE(problem(body), "the limit of 2000000 instructions");
}

TEST_F(Limits, StopDeepRecursion) {
  arguments.instruction_limit = 100'000'000;
  arguments.memory_limit = 256 << 20;
  EXPECT_SENTENCE(problem("local function f() return 1 + f() end\nf()\n"), "t.lua:2: stack overflow");
  EXPECT_SENTENCE(problem("local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end\nlocal x = t.y\n"), "C stack overflow");
  EXPECT_SENTENCE(problem("local t = {} t.t = t\nlocal s = hone.options { a = { t, \"x\" } }\n"), "levels deep");
  std::string nested = "local t = ";
  nested.append(10000, '{');
  EXPECT_SENTENCE(problem(nested), "t.lua: C stack overflow");
  EXPECT_SENTENCE(problem("local s = ('x'):rep(100, ('('):rep(500)):find(('('):rep(100))\n"), "t.lua:2: ");
}

TEST_F(Limits, RefuseAStateThatCannotStart) {
  arguments.memory_limit = 1000;
  EXPECT_SENTENCE(problem(kEnd), "cannot start Lua");
  arguments.memory_limit = 8000;
  EXPECT_SENTENCE(problem(kEnd), "of memory");
}

TEST_F(Limits, AllowOrdinaryPatterns) {
  EXPECT_EQ(call("return (row:match('<think>(.-)</think>%s*<answer>(.-)</answer>'))", "<think>" + std::string(20000, 'x') + "</think> <answer>4</answer>").get<std::string>().size(),
            20000u);
}

}  // namespace
}  // namespace hone
