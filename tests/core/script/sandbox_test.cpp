// What scripts can reach, and that what they see is the same in every run.
#include "tests/core/script/script_fixture.h"

namespace hone {
namespace {

using nlohmann::json;

TEST_F(ScriptTest, ClosesTheDoorsOfTheStandardLibrary) {
  for (const char *body : {"io.open('x')", "os.execute('true')", "os.time()", "load('return 1')", "loadstring('return 1')", "dofile('x')",
                           "loadfile('x')", "debug.getinfo(1)", "package.loadlib('x', 'y')", "collectgarbage()", "local x = warn"})
    EXPECT_SENTENCE(problem(std::string("\n") + body + "\n" + kEnd), "t.lua:3: ");
  EXPECT_SENTENCE(problem("io.open('x')"), "run with --trust");
  EXPECT_SENTENCE(problem("local f = string.dump"  "\nf(print)"), "attempt to call a nil value");
  EXPECT_SENTENCE(problem("math.randomseed(1)"), "t.lua:2: math.randomseed is refused");
  EXPECT_SENTENCE(problem("string.format('%p', {})"), "%p is refused");
  EXPECT_SENTENCE(problem("local s = ('%-20p'):format({})"), "%p is refused");
  EXPECT_SENTENCE(problem("setmetatable({}, { __gc = function() end })"), "__gc is refused");
  EXPECT_SENTENCE(problem("setmetatable({}, { __mode = 'k' })"), "__mode is refused");
  EXPECT_SENTENCE(problem("getmetatable('').__index = nil"), "t.lua:2: ");
  EXPECT_SENTENCE(problem("setmetatable(_G, nil)"), "protected metatable");
  EXPECT_SENTENCE(problem("getmetatable(hone.stage \"sample\").__call = nil"), "t.lua:2: ");
  EXPECT_SENTENCE(problem("local co = coroutine.wrap(function() return io.open end) co()"), "t.lua:2: io is closed");
}

TEST_F(ScriptTest, RefusesBytecode) {
  EXPECT_THROW(Script::load(write("t.lua", std::string("\x1bLua\x54\0\x19\x93", 8)), registry, host, arguments), UsageError);
  arguments.trust = true;
  EXPECT_THROW(Script::load(write("t.lua", std::string("\x1bLua\x54\0\x19\x93", 8)), registry, host, arguments), UsageError);
  write("m.lua", "\x1bLuaS");
  EXPECT_SENTENCE(problem("local m = require 'm'"), "m.lua: is compiled Lua");
  EXPECT_SENTENCE(problem("assert(load('\\27Lua', 'x', 'b'))"), "attempt to load a binary chunk");
}

TEST_F(ScriptTest, OpensTheDoorsToATrustedScript) {
  arguments.trust = true;
  load("assert(load('return 1 + 1')() == 2 and io.open and os.getenv)\n" + kEnd);
  EXPECT_SENTENCE(problem("debug.getinfo(1)"), "debug does not exist");
}

TEST_F(ScriptTest, KeepsGlobalsStrict) {
  EXPECT_SENTENCE(problem("count = 1\n"), "t.lua:2: \"count\" is not declared; write local before its first use");
  EXPECT_SENTENCE(problem("function helper() end\n"), "\"helper\" is not declared");
  EXPECT_SENTENCE(problem("local x = mth.floor(1)\n"), "t.lua:2: \"mth\" is not declared; did you mean \"math\"?");
}

TEST_F(ScriptTest, SaysHowToGetTheModule) {
  try {
    Script::load(write("h.lua", "return hone.pipeline {}"), registry, host, arguments);
    FAIL();
  } catch (const UsageError &error) {
    EXPECT_SENTENCE(error.what(), "h.lua:1: hone is not declared; begin with: local hone = require \"hone\"");
  }
}

TEST_F(ScriptTest, NamesFileAndLineOfEveryMistake) {
  EXPECT_SENTENCE(problem("local x = = 3\n"), "t.lua:2: unexpected symbol near '='");
  EXPECT_SENTENCE(problem("\n\nlocal x = nil + 1\n"), "t.lua:4: attempt to perform arithmetic on a nil value");
  EXPECT_SENTENCE(problem("\nerror('no luck')\n"), "t.lua:3: no luck");
  EXPECT_SENTENCE(problem("\nerror('no luck', 0)\n"), "t.lua:3: no luck");
  EXPECT_SENTENCE(problem("\nassert(false)\n"), "t.lua:3: assertion failed!");
  EXPECT_SENTENCE(problem("\nerror({})\n"), "t.lua:3: the script raised an error that is a table");
  EXPECT_SENTENCE(problem("\nerror(setmetatable({}, { __tostring = function() return 'mine' end }))\n"), "t.lua:3: mine");
  EXPECT_SENTENCE(problem("\nerror()\n"), "t.lua:3: ");
  EXPECT_SENTENCE(problem("local s = ('x'):rep({})\n"), "t.lua:2: bad argument #1 to 'rep'");
  EXPECT_SENTENCE(problem("error('\xff\xfe')\n"), "t.lua:2: ");
  EXPECT_SENTENCE(call_problem("\nreturn row.a.b", {{"x", 1}}), "t.lua:4: attempt to index a nil value (field 'a')");
  EXPECT_THROW(Script::load(folder / "none.lua", registry, host, arguments), UsageError);
  EXPECT_THROW(Script::load(folder, registry, host, arguments), UsageError);
  EXPECT_THROW(Script::load(write("empty.lua", ""), registry, host, arguments), UsageError);
}

TEST_F(ScriptTest, FindsModulesBesideTheScriptOnly) {
  write("tiny/corpus.lua", "local corpus = { n = 41 }\nreturn corpus\n");
  auto script = load("local c = require 'tiny.corpus'\nassert(c.n == 41 and c == require 'tiny.corpus')\n" + kEnd);
  EXPECT_EQ(script->pipeline().sources, (std::vector<std::string>{(folder / "t.lua").string(), (folder / "tiny/corpus.lua").string()}));
  EXPECT_EQ(script->pipeline().source_names, (std::vector<std::string>{"t.lua", "tiny/corpus.lua"}));
  EXPECT_SENTENCE(problem("require 'tiny.corps'"), "t.lua:2: require \"tiny.corps\": there is no ");
  for (const char *name : {"../t", "/etc/passwd", "tiny..corpus", ".tiny", "tiny.", "", "tiny/corpus", "a\\0b"})
    EXPECT_SENTENCE(problem(std::string("require '") + name + "'"), "t.lua:2: require \"");
  EXPECT_SENTENCE(problem("require(3)"), "takes a module's name");
  write("loop.lua", "return require 'loop'");
  EXPECT_SENTENCE(problem("require 'loop'"), "loop.lua:1: require \"loop\": the module requires itself");
  write("bad.lua", "\n\nlocal x = +\n");
  EXPECT_SENTENCE(problem("require 'bad'"), "bad.lua:3: unexpected symbol");
  std::filesystem::create_symlink("/etc/hostname", folder / "out.lua");
  EXPECT_SENTENCE(problem("require 'out'"), "outside of the script's folder");
}

TEST_F(ScriptTest, FindsModulesInTheScriptsFolderAbove) {
  write("scripts/shared.lua", "return 5");
  write("scripts/mine/run.lua", "local hone = require 'hone'\nassert(require 'shared' == 5)\n" + kEnd);
  EXPECT_EQ(Script::load(folder / "scripts/mine/run.lua", registry, host, arguments)->pipeline().source_names[1], "shared.lua");
}

TEST_F(ScriptTest, WalksTablesInOrder) {
  EXPECT_EQ(call(R"(
local t = { zeta = 1, alpha = 2, [3] = 3, [1] = 4, [-2] = 5, [2.5] = 6, [true] = 7, mid = 8 }
local seen = {}
for k, v in pairs(t) do seen[#seen + 1] = tostring(k) .. "=" .. v end
local by_next, k, v = {}, next(t)
while k ~= nil do by_next[#by_next + 1] = tostring(k) .. "=" .. v; k, v = next(t, k) end
assert(table.concat(seen, " ") == table.concat(by_next, " "))
return table.concat(seen, " "))"),
            "-2=5 1=4 3=3 2.5=6 alpha=2 mid=8 zeta=1 true=7");
  EXPECT_EQ(call("local t = { a = 1, b = 2, c = 3 } local n = 0 for k in pairs(t) do t[k] = nil; t.b = nil; n = n + 1 end return n"), 2);
  EXPECT_EQ(call("local n = 0 for k, v in pairs(setmetatable({}, { __pairs = function() return function(_, i) if not i then return 1, 7 end end end })) do n = v end return n"), 7);
  EXPECT_EQ(call("return next({}) == nil"), true);
  EXPECT_SENTENCE(call_problem("for k in pairs({ [{}] = 1 }) do end"), "no order that is the same in every run");
  EXPECT_SENTENCE(call_problem("next({ [print] = 1, [type] = 2 })"), "no order that is the same in every run");
}

TEST_F(ScriptTest, SortsStably) {
  const json sorted = call(R"(
local t = {}
for i = 1, 500 do t[i] = { key = (i * 7919) % 10, at = i } end
table.sort(t, function(a, b) return a.key < b.key end)
for i = 2, #t do
  assert(t[i - 1].key < t[i].key or (t[i - 1].key == t[i].key and t[i - 1].at < t[i].at))
end
local words = { "b", "a", "c" }
table.sort(words)
return words)");
  EXPECT_EQ(sorted, (json{"a", "b", "c"}));
  EXPECT_EQ(call("local t = {} for i = 1, 200 do t[i] = i end table.sort(t, function() return true end) return #t"), 200);
  EXPECT_EQ(call("local t = {} for i = 1, 200 do t[i] = i end table.sort(t, function() return math.random() < 0.5 end) local s = 0 for _, v in ipairs(t) do s = s + v end return s"), 20100);
  EXPECT_SENTENCE(call_problem("table.sort({ 1, 'a' })"), "attempt to compare");
}

TEST_F(ScriptTest, ShowsNoAddresses) {
  const json text = call("local t = {} return { tostring(t), string.format('%s %5s', t, print), tostring(coroutine.create(print)), tostring(hone.stage) }");
  EXPECT_EQ(text, (json{"table", "table function", "thread", "function"}));
  EXPECT_EQ(call("return tostring(setmetatable({}, { __tostring = function() return 'me' end })) .. tostring(3) .. tostring(nil) .. tostring(1.5)"), "me3nil1.5");
}

TEST_F(ScriptTest, DrawsRandomNumbersFromTheKeyAlone) {
  const std::string body = "local t = {} for i = 1, 5 do t[i] = math.random(1, 1000000) end t[6] = random() return t";
  const json first = call(body, nullptr, {3, 8});
  EXPECT_EQ(call(body, nullptr, {3, 8}), first);
  EXPECT_NE(call(body, nullptr, {3, 9}), first);
  EXPECT_NE(call(body, nullptr, {4, 8}), first);
  auto script = load(with_function(body));
  for (uint64_t i = 0; i < 3; ++i) script->call("function#1", nullptr, {9, i});  // what went before does not matter
  EXPECT_EQ(script->call("function#1", nullptr, {3, 8}), first);
}

TEST_F(ScriptTest, DrawsRandomNumbersEvenly) {
  const json counts = call("local c = {} for i = 1, 6 do c[i] = 0 end for i = 1, 60000 do local d = math.random(6) c[d] = c[d] + 1 end return c", nullptr, {5, 5});
  double chi_square = 0;
  for (const json &count : counts) chi_square += (count.get<double>() - 10000) * (count.get<double>() - 10000) / 10000;
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom, p = 0.001
  EXPECT_EQ(call("for i = 1, 1000 do local x = math.random() assert(x >= 0 and x < 1) local y = math.random(-3, 3) assert(y >= -3 and y <= 3) end return math.type(math.random(0))"), "integer");
  EXPECT_EQ(call("return math.random(math.mininteger, math.maxinteger) ~= math.random(math.mininteger, math.maxinteger) and math.random(7, 7) == 7"), true);
  EXPECT_SENTENCE(call_problem("math.random(2, 1)"), "interval is empty");
  EXPECT_SENTENCE(call_problem("math.random(1, 2, 3)"), "at most two");
}

TEST_F(ScriptTest, CarriesValuesAcrossUnchanged) {
  const json value = {{"int", 9007199254740993}, {"float", 1.0}, {"text", "零\n\"x\""}, {"list", {1, 2.5, "a", true}}, {"table", {{"deep", {{"er", {0}}}}}}};
  const json back = call("return row", value);
  EXPECT_EQ(back, value);
  EXPECT_TRUE(back["float"].is_number_float());
  EXPECT_TRUE(back["int"].is_number_integer());
  EXPECT_EQ(call("return row == nil"), true);
  EXPECT_EQ(call("return nil"), nullptr);
  EXPECT_SENTENCE(call_problem("return { 1, nil, 3 }"), "is missing");
  EXPECT_SENTENCE(call_problem("return { 1, a = 2 }"), "mixes named and numbered");
  EXPECT_SENTENCE(call_problem("return { [1.5] = 2 }"), "has a key that is a number");
  EXPECT_SENTENCE(call_problem("local t = {} t.a = { t } return t"), "levels deep");
  EXPECT_SENTENCE(call_problem("return { a = { 'x', '\\xff' } }"), "the result of function#1.a[2] is a text with invalid UTF-8 at byte 1");
  EXPECT_SENTENCE(call_problem("return { ['\\xff'] = 1 }"), "name with invalid UTF-8");
  EXPECT_SENTENCE(call_problem("return 0 / 0"), "is not a number");
  EXPECT_SENTENCE(call_problem("return { a = 1 / 0 }"), "is infinite");
  EXPECT_SENTENCE(call_problem("return print"), "is a function, which is not data");
  EXPECT_SENTENCE(call_problem("return coroutine.create(print)"), "is a thread");
}

TEST_F(ScriptTest, SurvivesRandomScripts) {
  // Pieces of Lua in random order: whatever comes out is a sentence or a pipeline, never a crash.
  const std::vector<std::string> pieces = {"local", "x", "=", "{", "}", "(", ")", "function", "end", "return", "hone", ".", "stage", "\"sft\"", "model", "3", "..",
                                           "pcall", "coroutine.wrap", "'", "[[", "]]", "--", "for", "in", "do", "pairs", "nil", "...", ":", "rep", "#", "\xff", "\0", "goto", "::", "<close>", "error", "require", "setmetatable"};
  arguments.instruction_limit = 100000;
  arguments.memory_limit = 8 << 20;
  uint32_t state = 12345;
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525u + 1013904223u;
      text += pieces[(state >> 16) % pieces.size()] + " ";
    }
    try {
      load(text);
    } catch (const UsageError &error) {
      ++refused;
      EXPECT_NE(std::string(error.what()), "");
    }
  }
  EXPECT_EQ(refused, 400);
}

}  // namespace
}  // namespace hone
