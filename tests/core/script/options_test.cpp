// Option values: the script's, a TOML file's, --set's, in that order; each wrong one named with its place.
#include "core/script/options.h"

#include "tests/core/script/script_fixture.h"

namespace hone {
namespace {

const std::string kOptions = R"(local o = hone.options {
  steps = { 200, "optimizer steps", min = 1 },
  rate = { 1e-3, "learning rate" },
  model = { "tiny", "which model" },
  fast = { false, "whether to hurry" },
  sizes = { { 1, 2 }, "a list" },
  moe = { { layers = 3, bias = 0.5 }, "a table" },
  stage = { "grpo", "which objective", choices = { "grpo", "rloo" } },
}
)";

std::string value(const Script &script, const std::string &name) {
  for (const Option &option : script.pipeline().options)
    if (option.name == name) return option.value.dump() + " from " + option.from;
  return "none";
}

TEST_F(ScriptTest, LetsTheTomlOverrideTheScriptAndSetOverrideTheToml) {
  write("t.toml", "steps = 50\nrate = 1 # an int will do\nfast = true\nsizes = [4, 5, 6]\n[moe]\nlayers = 4\n");
  arguments.set = {{"steps", "7"}, {"moe.bias", "0.25"}, {"steps", "8"}};
  auto script = load(kOptions + kEnd);
  EXPECT_EQ(value(*script, "steps"), "8 from --set");
  EXPECT_EQ(value(*script, "rate"), "1.0 from " + (folder / "t.toml").string() + ":2");
  EXPECT_EQ(value(*script, "fast"), "true from " + (folder / "t.toml").string() + ":3");
  EXPECT_EQ(value(*script, "sizes"), "[4,5,6] from " + (folder / "t.toml").string() + ":4");
  EXPECT_EQ(value(*script, "moe"), "{\"bias\":0.25,\"layers\":4} from --set");
  EXPECT_EQ(value(*script, "model"), "\"tiny\" from script");
}

TEST_F(ScriptTest, GivesOptionsToTheScriptWithTheirTypes) {
  arguments.set = {{"steps", "9"}, {"fast", "true"}, {"sizes", "[3]"}};
  load(kOptions + R"(
assert(math.type(o.steps) == "integer" and o.steps == 9)
assert(math.type(o.rate) == "float" and o.rate == 1e-3)
assert(o.fast == true and o.model == "tiny")
assert(#o.sizes == 1 and o.sizes[1] == 3 and o.moe.layers == 3)
local names = ""
for name in pairs(o) do names = names .. name .. " " end
assert(names == "fast model moe rate sizes stage steps ", names)
)" + kEnd);
}

TEST_F(ScriptTest, NamesTheLineOfAWrongTomlValue) {
  const std::string file = (folder / "t.toml").string();
  const auto with = [&](const std::string &toml) {
    write("t.toml", toml);
    return problem(kOptions + kEnd);
  };
  EXPECT_SENTENCE(with("rate = 0.5\nstesp = 3\n"), file + ":2: the script has no option \"stesp\"; did you mean \"steps\"?");
  EXPECT_SENTENCE(with("\n\nsteps = \"many\"\n"), file + ":3: option \"steps\" must be an int, got \"many\"");
  EXPECT_SENTENCE(with("steps = 1.5\n"), "must be an int, got 1.5");
  EXPECT_SENTENCE(with("steps = 0\n"), file + ":1: option \"steps\" must lie between 1");
  EXPECT_SENTENCE(with("stage = \"rlo\"\n"), "did you mean \"rloo\"?");
  EXPECT_SENTENCE(with("steps = = 3\n"), file + ":1: is not TOML: ");
  EXPECT_SENTENCE(with("steps = 1\nsteps = 2\n"), file + ":2: is not TOML: ");
  EXPECT_SENTENCE(with("model = \"\xff\"\n"), file + ":1: is not TOML: ");
  EXPECT_SENTENCE(with("rate = nan\n"), "is not finite");
  EXPECT_SENTENCE(with("model = 2020-01-01\n"), "is a date or time");
  EXPECT_SENTENCE(with("[moe]\nlayer = 4\n"), file + ":2: the script's option \"moe\" has no value \"layer\"; did you mean \"moe.layers\"?");
  EXPECT_SENTENCE(with("moe = 3\n"), "must be a table");
  EXPECT_SENTENCE(with("sizes = [1, \"a\"]\n"), "\"sizes\"[2] must be an int");
  EXPECT_SENTENCE(with("[moe.\"a/b~c\"]\nx = 1\n"), "has no value");
  EXPECT_SENTENCE(with(std::string("steps = 1\n\0", 11)), "is not TOML");
  std::string deep = "sizes = ";
  deep.append(100000, '[');
  EXPECT_SENTENCE(with(deep), "is not TOML");
}

TEST_F(ScriptTest, NamesTheWrongSet) {
  const auto with = [&](const std::string &key, const std::string &text) {
    arguments.set = {{key, text}};
    return problem(kOptions + kEnd);
  };
  EXPECT_SENTENCE(with("stpes", "3"), "--set stpes: the script has no option \"stpes\"; did you mean \"steps\"?");
  EXPECT_SENTENCE(with("steps", "3.5"), "--set steps: option \"steps\" must be an int, got \"3.5\"");
  EXPECT_SENTENCE(with("steps", ""), "must be an int");
  EXPECT_SENTENCE(with("steps", "99999999999999999999"), "must be an int");
  EXPECT_SENTENCE(with("rate", "fast"), "must be a number");
  EXPECT_SENTENCE(with("rate", "inf"), "must be a number");
  EXPECT_SENTENCE(with("fast", "yes"), "must be true or false");
  EXPECT_SENTENCE(with("sizes", "[1,"), "must be a list as JSON");
  EXPECT_SENTENCE(with("moe", "{\"layer\":1}"), "has no value \"layer\"");
  EXPECT_SENTENCE(with("model", "\xff"), "not valid UTF-8");
  arguments.set.clear();
  arguments.config = folder / "none.toml";
  EXPECT_SENTENCE(problem(kOptions + kEnd), "no such file");
}

TEST_F(ScriptTest, BeginsWithThePlaceOfTheWrongValue) {
  arguments.set = {{"stpes", "3"}};
  EXPECT_EQ(problem(kOptions + kEnd).find("--set stpes: "), 0u);
  arguments.set.clear();
  write("t.toml", "stpes = 3\n");
  EXPECT_EQ(problem(kOptions + kEnd).find((folder / "t.toml").string() + ":1: the script has no option"), 0u);
}

TEST_F(ScriptTest, RefusesValuesForAScriptWithoutOptions) {
  arguments.set = {{"steps", "3"}};
  EXPECT_SENTENCE(problem(kEnd), "--set steps: t.lua declares no options");
  arguments.set.clear();
  write("t.toml", "# a comment\nsteps = 3\n");
  EXPECT_SENTENCE(problem(kEnd), "t.toml:2: t.lua declares no options");
}

TEST_F(ScriptTest, RefusesOptionsThatAreNoOptions) {
  EXPECT_SENTENCE(problem("local o = hone.options { a = 3 }\n" + kEnd), "t.lua:2: option \"a\" must be { default, \"help\" }, got the number 3");
  EXPECT_SENTENCE(problem("local o = hone.options { a = { 3 } }\n" + kEnd), "has no help");
  EXPECT_SENTENCE(problem("local o = hone.options { a = { nil, \"x\" } }\n" + kEnd), "has no default");
  EXPECT_SENTENCE(problem("local o = hone.options { a = { print, \"x\" } }\n" + kEnd), "is a function");
  EXPECT_SENTENCE(problem("local o = hone.options { a = { 1, \"x\", mn = 2 } }\n" + kEnd), "has \"mn\"");
  EXPECT_SENTENCE(problem("local o = hone.options { a = { 1, \"x\" } }\nlocal x = o.b\n" + kEnd), "t.lua:3: there is no option \"b\"");
  EXPECT_SENTENCE(problem("local o = hone.options { steps = { 1, \"x\" } }\nlocal x = o.stpes\n" + kEnd), "did you mean \"steps\"?");
  EXPECT_SENTENCE(problem("hone.options {}\nhone.options {}\n" + kEnd), "may be called once");
}

TEST_F(ScriptTest, WritesOptionsThatReadBackTheSame) {
  arguments.set = {{"rate", "0.1"}, {"model", "a \"quoted\" \\ text\nof two lines, with 零"}, {"steps", "9007199254740993"}};
  const auto first = load(kOptions + kEnd);
  const auto options = first->pipeline().options;
  arguments.set.clear();
  arguments.config = write("resolved.toml", write_toml(options));
  const auto second = load(kOptions + kEnd);
  ASSERT_EQ(second->pipeline().options.size(), options.size());
  for (size_t i = 0; i < options.size(); ++i) {
    EXPECT_EQ(second->pipeline().options[i].name, options[i].name);
    EXPECT_EQ(second->pipeline().options[i].value, options[i].value);
    EXPECT_EQ(second->pipeline().options[i].value.type(), options[i].value.type());
  }
}

}  // namespace
}  // namespace hone
