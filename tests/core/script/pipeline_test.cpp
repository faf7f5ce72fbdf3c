// What scripts make: nodes, handles, settings, order. Judged against what is written in the script.
#include "tests/core/script/script_fixture.h"

namespace hone {
namespace {

using nlohmann::json;

TEST_F(ScriptTest, MakesThePipelineThatTheScriptDescribes) {
  write("rows.jsonl", "{}\n");
  write("more.jsonl", "{}\n");
  auto script = load(R"(
hone.requires "0.1"
local base = hone.model "tiny" { name = "base", words = { "<pad>", "one" }, hidden_size = 32, seed = 7 }
local adamw = hone.optimizer "adamw" { learning_rate = 3e-4, max_grad_norm = 2 }
local accuracy = hone.reward "math" { weight = 0.5, label = "accuracy" }
local start = hone.stage "sft" { label = "cold_start", model = base, data = { "rows.jsonl", hone.data "more.jsonl" }, optimizer = adamw, steps = 1e3 }
local rl = hone.stage "grpo" {
  model = start.model, prompts = { reasoning = "rows.jsonl", general = hone.rows { count = 5, seed = 3, make = function(i) return { prompt = i } end } },
  rewards = { reasoning = { accuracy, function(row) return 1 end }, general = accuracy }, optimizer = adamw, epsilon = 0.3,
}
local kept = hone.stage "sample" { model = rl.model, keep = function(row) return true end, rewards = accuracy }
local tuned = hone.stage "sft" { model = base, data = kept.data }
return hone.pipeline { start, rl, kept, tuned, seed = 11, report = hone.stage "sample" { models = { base, rl.model } } }
)");
  const Pipeline &p = script->pipeline();
  EXPECT_EQ(p.name, "t");
  EXPECT_EQ(p.seed, 11u);
  EXPECT_EQ(p.order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(p.report, 4);
  ASSERT_EQ(p.models.size(), 3u);
  EXPECT_EQ(p.models[0].source, ModelNode::fresh);
  EXPECT_EQ(p.models[0].name, "base");
  EXPECT_EQ(p.models[0].component, "tiny");
  EXPECT_EQ(p.models[0].seed, 7u);
  EXPECT_EQ(p.models[0].words, (std::vector<std::string>{"<pad>", "one"}));
  EXPECT_EQ(p.models[0].config, (json{{"hidden_size", 32}, {"vocab_size", 2}}));
  EXPECT_EQ(p.models[0].place.text(), "t.lua:4");
  EXPECT_EQ(p.models[1].source, ModelNode::stage_output);
  EXPECT_EQ(p.models[1].stage, 0);
  EXPECT_EQ(p.models[1].name, "cold_start");
  ASSERT_EQ(p.optimizers.size(), 1u);
  EXPECT_EQ(p.optimizers[0].settings, (json{{"learning_rate", 3e-4}}));
  EXPECT_EQ(p.optimizers[0].host_settings, (json{{"max_grad_norm", 2.0}}));
  ASSERT_EQ(p.rewards.size(), 2u);
  EXPECT_EQ(p.rewards[0].label, "accuracy");
  EXPECT_EQ(p.rewards[0].weight, 0.5);
  EXPECT_EQ(p.rewards[0].settings, (json{{"tolerance", 0.0}}));
  EXPECT_EQ(p.rewards[1].component, "lua");
  EXPECT_EQ(p.rewards[1].function, "function#2");
  ASSERT_EQ(p.stages.size(), 5u);
  EXPECT_EQ(p.stages[0].label, "cold_start");
  EXPECT_EQ(p.stages[0].settings.at("steps"), 1000);
  EXPECT_EQ(p.stages[0].settings.at("model"), (json{{"$model", 0}}));
  EXPECT_EQ(p.stages[0].settings.at("optimizer"), (json{{"$optimizer", 0}}));
  const DataNode &list = p.data.at(p.stages[0].settings.at("data").at("$data").get<int>());
  EXPECT_EQ(list.source, DataNode::list);
  ASSERT_EQ(list.parts.size(), 2u);
  EXPECT_EQ(p.data.at(list.parts[0]).path, (folder / "rows.jsonl").string());
  EXPECT_EQ(p.data.at(list.parts[1]).path, (folder / "more.jsonl").string());
  const json &prompts = p.stages[1].settings.at("prompts");
  const DataNode &generated = p.data.at(prompts.at("general").at("$data").get<int>());
  EXPECT_EQ(generated.source, DataNode::generated);
  EXPECT_EQ(generated.count, 5u);
  EXPECT_EQ(generated.seed, 3u);
  EXPECT_EQ(p.data.at(prompts.at("reasoning").at("$data").get<int>()).label, "rows");
  EXPECT_EQ(p.stages[1].settings.at("rewards"),
            (json{{"reasoning", {{{"$reward", 0}}, {{"$reward", 1}}}}, {"general", json::array({json{{"$reward", 0}}})}}));
  EXPECT_EQ(p.stages[1].settings.at("epsilon"), 0.3);
  EXPECT_EQ(p.stages[1].settings.at("beta"), 0.0);
  EXPECT_EQ(p.stages[2].settings.at("keep"), (json{{"$function", "function#3"}}));
  EXPECT_EQ(p.data.at(p.stages[3].settings.at("data").at("$data").get<int>()).stage, 2);
  EXPECT_EQ(p.stages[4].settings.at("models"), (json{{{"$model", 0}}, {{"$model", 2}}}));
  EXPECT_EQ(script->call("function#1", 4, {1, 4}), (json{{"prompt", 4}}));
  EXPECT_EQ(to_json(p).at("stages").size(), 5u);
}

TEST_F(ScriptTest, ChangesOneWordToSwapAComponent) {
  component("stage", "hone.objective/1", "rloo", {make_setting("epsilon", HONE_FLOAT, "0.1")});
  const std::string text = kModel + "return hone.pipeline { hone.stage \"NAME\" { model = m, epsilon = 1 } }\n";
  for (const char *name : {"grpo", "rloo"}) {
    std::string one = text;
    one.replace(one.find("NAME"), 4, name);
    EXPECT_EQ(load(one)->pipeline().stages.at(0).component, name);
  }
}

TEST_F(ScriptTest, TakesADirectoryAsAModel) {
  write("base/config.json", "{}");
  const auto script = load("return hone.pipeline { hone.stage \"sft\" { model = hone.model \"base\" } }");
  EXPECT_EQ(script->pipeline().models.at(0).source, ModelNode::directory);
  EXPECT_EQ(script->pipeline().models.at(0).path, (folder / "base").string());
  EXPECT_EQ(script->pipeline().models.at(0).name, "base");
  EXPECT_EQ(load("return hone.pipeline { hone.stage \"sft\" { model = hone.model \"base\" { name = \"start\" } } }")->pipeline().models.at(0).name, "start");
}

TEST_F(ScriptTest, RefusesModelsThatAreNoModel) {
  std::filesystem::create_directories(folder / "empty");
  write("weights.bin", "x");
  EXPECT_SENTENCE(problem("local m = hone.model \"empty\"\n" + kEnd), "t.lua:2: hone.model \"empty\": the directory");
  EXPECT_SENTENCE(problem("local m = hone.model \"weights.bin\"\n" + kEnd), "neither a model directory nor a .gguf file");
  EXPECT_SENTENCE(problem("local m = hone.model \"runs/none\"\n" + kEnd), "no such directory");
  EXPECT_SENTENCE(problem("local m = hone.model \"tniy\" {}\n" + kEnd), "did you mean \"tiny\"?");
  EXPECT_SENTENCE(problem("local s = hone.stage \"sft\" { model = hone.model \"tiny\" }\n" + kEnd), "needs a vocabulary");
  EXPECT_SENTENCE(problem("local m = hone.model \"tiny\" { words = { \"a\", \"a\" } }\n" + kEnd), "words[2] \"a\" is there twice");
  EXPECT_SENTENCE(problem("local m = hone.model \"tiny\" { words = { \"a\", 3 } }\n" + kEnd), "words[2] must be a text");
}

TEST_F(ScriptTest, NamesTheNearestComponent) {
  EXPECT_SENTENCE(problem("local s = hone.stage \"grop\" {}\n" + kEnd), "t.lua:2: ");
  EXPECT_SENTENCE(problem("local s = hone.stage \"grop\" {}\n" + kEnd), "did you mean \"grpo\"?");
  EXPECT_SENTENCE(problem("local s = hone.reward \"meth\" {}\n" + kEnd), "did you mean \"math\"?");
}

TEST_F(ScriptTest, StopsAtAnUnknownSettingWithItsLineAndTheNearestName) {
  const std::string sentence = problem(kModel + "\nlocal s = hone.stage \"grpo\" { model = m, epsilno = 1 }\n" + kEnd);
  EXPECT_SENTENCE(sentence, "t.lua:4: stage \"grpo\"");
  EXPECT_SENTENCE(sentence, "\"epsilno\"");
  EXPECT_SENTENCE(sentence, "did you mean \"epsilon\"?");
}

TEST_F(ScriptTest, SaysWhichKindOfHandleItExpected) {
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, prompts = m }\n" + kEnd), "t.lua:3: stage \"grpo\": prompts must be data");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, prompts = m }\n" + kEnd), "got a model");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"sft\" { model = m }\nlocal t = hone.stage \"sft\" { model = s }\n" + kEnd),
                  "model must be a model, got a stage; write .model after it");
  EXPECT_SENTENCE(problem("local s = hone.stage \"sft\" { model = \"tiny\" }\n" + kEnd), "write hone.model \"tiny\"");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"sft\" { model = m, optimizer = \"adamw\" }\n" + kEnd), "write hone.optimizer \"adamw\"");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, rewards = { \"math\" } }\n" + kEnd), "rewards[1] must be a reward or a function");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, steps = m }\n" + kEnd), "steps must be an int, got a model");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, steps = \"many\" }\n" + kEnd), "steps");
  EXPECT_SENTENCE(problem("local s = hone.stage \"sample\" { keep = 3 }\n" + kEnd), "keep must be a function, got the number 3");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, prompts = { a = 1 } }\n" + kEnd), "prompts.a must be data");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { m }\n" + kEnd), "without a name");
  EXPECT_SENTENCE(problem(kModel + "local s = hone.stage \"grpo\" { model = m, rewards = {} }\n" + kEnd), "rewards is an empty table");
  EXPECT_SENTENCE(problem("local s = hone.stage \"sample\" { model = hone.stage \"sample\" {}.model }\n" + kEnd), "trains no model");
}

TEST_F(ScriptTest, ALoopThatTakesAnOptimizerHasAModelWhenItIsGivenOne) {
  component("stage", "hone.stage/1", "loop",
            {make_setting("model", HONE_MODEL_HANDLE, "null"), make_setting("optimizer", HONE_OPTIMIZER_HANDLE, "null"),
             make_setting("second", HONE_OPTIMIZER_HANDLE, "null")});
  host.settings["hone.stage/1 that trains"] = {make_setting("unit_tokens", HONE_INT, "2048")};
  const std::string adamw = kModel + "local a = hone.optimizer \"adamw\" {}\n", end = "return hone.pipeline { x, hone.stage \"sft\" { model = x.model } }\n";
  const auto script = load(adamw + "local x = hone.stage \"loop\" { model = m, optimizer = a }\n" + end);
  EXPECT_EQ(script->pipeline().models.at(1).source, ModelNode::stage_output);
  EXPECT_EQ(script->pipeline().models.at(1).stage, 0);
  EXPECT_EQ(script->pipeline().stages.at(0).settings.at("optimizer"), (json{{"$optimizer", 0}}));
  EXPECT_EQ(script->pipeline().stages.at(0).settings.at("unit_tokens"), 2048);
  load(adamw + "local x = hone.stage \"loop\" { model = m, second = a }\n" + end);
  EXPECT_SENTENCE(problem(adamw + "local x = hone.stage \"loop\" { model = m }\n" + end),
                  "t.lua:5: stage \"loop\" trains no model: it was not given \"optimizer\" or \"second\"");
  EXPECT_SENTENCE(problem(adamw + "local x = hone.stage \"loop\" { optimizer = a }\n" + end), "t.lua:5: stage \"loop\" trains no model: it was not given \"model\"");
  EXPECT_SENTENCE(problem(adamw + "local x = hone.stage \"loop\" { optimizer = m }\n" + kEnd), "optimizer must be an optimizer, got a model");
}

TEST_F(ScriptTest, RefusesTwoRewardsOfOneLabelInOneList) {
  EXPECT_SENTENCE(problem("local s = hone.stage \"sample\" { rewards = { hone.reward \"math\" {}, hone.reward \"math\" {} } }\n" + kEnd),
                  "two rewards called \"math\"");
  load("local s = hone.stage \"sample\" { rewards = { hone.reward \"math\" {}, hone.reward \"math\" { label = \"exact\" } } }\n" + kEnd);
}

TEST_F(ScriptTest, RefusesAMissingDataFileWithItsLine) {
  EXPECT_SENTENCE(problem("\nlocal s = hone.stage \"sample\" { prompts = \"none.jsonl\" }\n" + kEnd),
                  "t.lua:3: stage \"sample\": prompts: data file \"none.jsonl\": no such file");
}

TEST_F(ScriptTest, ChecksTheOrderOfStages) {
  const std::string two = kModel + "local a = hone.stage \"sft\" { label = \"first\", model = m }\nlocal b = hone.stage \"sft\" { label = \"second\", model = a.model }\n";
  load(two + "return hone.pipeline { a, b }");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { b, a }"),
                  "t.lua:4: stage \"second\" uses the model of stage \"first\" (t.lua:3), which comes later");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { b }"), "which is not in hone.pipeline");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { a, b, a }"), "\"first\" is in hone.pipeline twice");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { a, nil, b }"), "value 2 is nil");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { a, m }"), "value 2 must be a stage, got a model");
  EXPECT_SENTENCE(problem("return hone.pipeline {}"), "no stages");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { a, sed = 1 }"), "did you mean \"seed\"?");
  EXPECT_SENTENCE(problem(two + "return hone.pipeline { a, seed = -1 }"), "seed must be an int");
}

TEST_F(ScriptTest, SeesAStageBehindARewardsModel) {
  EXPECT_SENTENCE(problem(kModel + R"(
local judge = hone.stage "sft" { label = "judge", model = m }
local rl = hone.stage "grpo" { label = "rl", model = m, rewards = { all = { hone.reward "preference" { model = judge.model } } } }
return hone.pipeline { rl, judge })"),
                  "\"rl\" uses the model of stage \"judge\"");
}

TEST_F(ScriptTest, MustReturnAPipeline) {
  EXPECT_SENTENCE(problem("local x = 1"), "t.lua must end with return hone.pipeline { ... }; it returned nil");
  EXPECT_SENTENCE(problem("return 3"), "it returned the number 3");
  EXPECT_SENTENCE(problem("return hone.stage \"sample\" {}"), "it returned a stage");
}

TEST_F(ScriptTest, RefusesAVersionThatItIsNot) {
  EXPECT_SENTENCE(problem("hone.requires \"0.9\"\n" + kEnd), "t.lua:2: this script needs hone 0.9, but this is hone 0.1");
  EXPECT_SENTENCE(problem("hone.requires \"1.0\"\n" + kEnd), "needs hone 1.0");
  EXPECT_SENTENCE(problem("hone.requires \"new\"\n" + kEnd), "takes a version");
  EXPECT_SENTENCE(problem("hone.requires(3)\n" + kEnd), "takes a version");
}

TEST_F(ScriptTest, NamesTheNearestFunctionOfTheModule) {
  EXPECT_SENTENCE(problem("hone.stge \"sft\" {}\n" + kEnd), "did you mean \"stage\"?");
  EXPECT_SENTENCE(problem("hone.stages = 1\n" + kEnd), "cannot be changed");
  EXPECT_SENTENCE(problem("local s = hone.stage \"sft\".model\n" + kEnd), "was not given its settings");
}

TEST_F(ScriptTest, MakesNothingAfterTheScriptHasReturned) {
  EXPECT_SENTENCE(call_problem("hone.stage \"sample\" {}"), "can only be used while the script is read");
}

TEST_F(ScriptTest, GivesTheSamePathsInEveryLoad) {
  const std::string text = "local o = hone.options { n = { 2, \"rewards\" } }\nlocal list = {}\nfor i = 1, o.n do list[i] = function() return i end end\n"
                           "return hone.pipeline { hone.stage \"sample\" { rewards = list } }\n";
  auto first = load(text), second = load(text);
  EXPECT_EQ(to_json(first->pipeline()), to_json(second->pipeline()));
  EXPECT_EQ(first->call("function#2", nullptr, {0, 0}), 2);
  EXPECT_THROW(first->call("function#3", nullptr, {0, 0}), Failure);
  EXPECT_THROW(first->call("function#0", nullptr, {0, 0}), Failure);
  EXPECT_THROW(first->call("function#1x", nullptr, {0, 0}), Failure);
}

const char kCounting[] = R"(local words = require "words"
local count = 0
local rows = hone.rows { count = 3, make = function(i)
  count, words.n = count + 1, words.n + 1
  return { prompt = count .. " " .. words.n }
end }
local r = hone.reward(function(row) count = count + 10; return count end)
return hone.pipeline { hone.stage "sample" { prompts = rows, rewards = r } }
)";

TEST_F(ScriptTest, RenewStartsUpvaluesOverAndLeavesThePipelineAsItWas) {
  write("words.lua", "return { n = 0 }");
  auto script = load(kCounting);
  const Pipeline &pipeline = script->pipeline();
  const nlohmann::json before = to_json(pipeline);
  const std::string rows = pipeline.data.at(0).function, reward = pipeline.rewards.at(0).function;
  EXPECT_EQ(script->call(rows, 1, {0, 0})["prompt"], "1 1");
  EXPECT_EQ(script->call(rows, 2, {0, 0})["prompt"], "2 2");
  EXPECT_EQ(script->call(reward, {{"response", ""}}, {0, 0}), 12);
  for (int time = 0; time < 2; ++time) {
    script->renew();
    EXPECT_EQ(script->call(rows, 1, {0, 0})["prompt"], "1 1") << "an upvalue, or a module's table, outlived renew";
    EXPECT_EQ(script->call(reward, {{"response", ""}}, {0, 0}), 11);
    EXPECT_EQ(&script->pipeline(), &pipeline);
    EXPECT_EQ(to_json(script->pipeline()), before);
    EXPECT_EQ(pipeline.sources.size(), 2u);
  }
}

TEST_F(ScriptTest, RenewKeepsToTheTextsAndOptionsFirstRead) {
  write("t.toml", "step = 5\n");
  write("words.lua", "return { n = 0 }");
  const std::string text = "local o = hone.options { step = { 1, \"a step\" } }\nlocal words = require \"words\"\n"
                           "local r = hone.reward(function() words.n = words.n + o.step; return words.n end)\n" + kEnd;
  auto script = load(text);
  EXPECT_EQ(script->call("function#1", nullptr, {0, 0}), 5);
  write("t.toml", "step = 7\n");
  write("words.lua", "return { n = 100 }");
  write("t.lua", "broken(");
  script->renew();
  EXPECT_EQ(script->call("function#1", nullptr, {0, 0}), 5) << "what was edited during a run must not be in it by halves";
}

TEST_F(ScriptTest, RenewRefusesAScriptThatIsAnotherTheSecondTime) {
  arguments.trust = true;  // only a trusted script can see anything that changes
  const std::string seen = write("seen", "").string();
  auto script = load("local r = hone.reward(function() return 1 end)\nlocal file = io.open \"" + seen + "\"\n"
                     "if file then file:close() else local s = hone.reward(function() return 2 end) end\n" + kEnd);
  EXPECT_EQ(script->call("function#1", nullptr, {0, 0}), 1);
  script->renew();
  std::filesystem::remove(seen);
  const auto sentence = [&]() -> std::string {
    try {
      script->renew();
    } catch (const UsageError &) {
      return "a UsageError, though the run is under way";
    } catch (const Failure &failure) {
      return failure.what();
    }
    return "nothing";
  };
  EXPECT_SENTENCE(sentence(), "t.lua was loaded again and hands 2 functions to hone, where it handed 1 before");
  EXPECT_EQ(script->call("function#1", nullptr, {0, 0}), 1) << "the state before stays in use";
  EXPECT_THROW(script->call("function#2", nullptr, {0, 0}), Failure);
}

TEST_F(ScriptTest, RenewSaysWhyTheScriptCannotBeLoadedAgain) {
  const std::string data = write("data.jsonl", "{\"prompt\":\"a\"}\n").string();
  auto script = load("local s = hone.stage \"sample\" { prompts = \"data.jsonl\" }\n" + kEnd);
  std::filesystem::remove(data);
  try {
    script->renew();
    ADD_FAILURE() << "loaded without its data";
  } catch (const UsageError &) {
    ADD_FAILURE() << "a UsageError, though the run is under way";
  } catch (const Failure &failure) {
    EXPECT_SENTENCE(failure.what(), "t.lua was loaded again and failed this time: t.lua:2: stage \"sample\": prompts: data file");
  }
}

TEST_F(ScriptTest, AModelOnDiskTellsItsTokenizerAndWhetherItHasAChatTemplate) {
  std::filesystem::create_directories(folder / "model");
  std::ofstream(folder / "model/config.json") << "{}";
  int read = 0;
  host.model_facts = [&](const std::filesystem::path &path) {
    EXPECT_EQ(path, folder / "model");
    ++read;
    return ModelFacts{"BPE", true};
  };
  const std::string ask = "local m = hone.model \"model\"\n";
  const auto script = load(ask + "assert(m.tokenizer == 'BPE' and m.chat_template == true)\n" + kEnd);
  script->renew();
  EXPECT_EQ(read, 1) << "what was read first holds for the whole run";
  load("local m = hone.model \"model\" { name = \"mine\" }\nassert(m.tokenizer == 'BPE')\n" + kEnd);
  EXPECT_SENTENCE(problem(ask + "local x = m.chat_templates\n" + kEnd), "did you mean \"chat_template\"?");
  EXPECT_SENTENCE(problem("local m = hone.model \"tiny\"\nlocal x = m.tokenizer\n" + kEnd), "was not given its settings before .tokenizer");
}

}  // namespace
}  // namespace hone
