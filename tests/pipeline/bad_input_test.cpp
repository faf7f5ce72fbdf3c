// bad_input_test.cpp -- wrong scripts, settings, TOML, rows and files: one sentence with file, line or key, exit 1 or 2, and
// nothing half made.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class BadInput : public Program {
 protected:
  // Expects a refusal that names everything in `words`, in one line, and leaves no run directory.
  void expect_refused(const std::vector<std::string> &arguments, const std::vector<std::string> &words, int code = 2) {
    const Ended ended = hone(arguments);
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_EQ(ended.out, "");
    for (const std::string &word : words) EXPECT_NE(ended.err.find(word), std::string::npos) << "no \"" << word << "\" in: " << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
    EXPECT_FALSE(fs::exists(folder / "run")) << "a run directory was left";
    for (const auto &entry : fs::directory_iterator(folder))
      EXPECT_EQ(entry.path().filename().string().find("run."), std::string::npos) << entry.path();
  }
  std::vector<std::string> run(const std::string &text) { return {"run", script(text), "--out", (folder / "run").string()}; }
  static std::string with(std::string text, const std::string &from, const std::string &to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
};

TEST_F(BadInput, ScriptsThatAreWrong) {
  expect_refused({"run", (folder / "nowhere.lua").string()}, {"nowhere.lua"});
  expect_refused(run("local x = = 3"), {"script.lua:1"});
  expect_refused(run("return 3"), {"script.lua", "hone.pipeline"});
  expect_refused(run("while true do end"), {"script.lua:1", "instruction"});
  expect_refused(run("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"), {"script.lua:1", "memory"});
  expect_refused(run("os.execute('true')"), {"script.lua:1", "os"});
  expect_refused(run("local hone = require 'hone' hone.stagee 'sft' {}"), {"script.lua:1", "stagee", "stage"});
}

TEST_F(BadInput, SettingsThatAreUnknownOrOutOfRange) {
  const std::string good = small_pipeline();
  expect_refused(run(with(good, "batch_size = 16", "batchsize = 16")), {"script.lua:", "batchsize", "did you mean \"batch_size\""});
  expect_refused(run(with(good, "batch_size = 16", "batch_size = 0")), {"script.lua:", "batch_size", "0"});
  expect_refused(run(with(good, "batch_size = 16", "batch_size = 'many'")), {"script.lua:", "batch_size", "many"});
  expect_refused(run(with(good, "hone.reward \"format\"", "hone.reward \"formt\"")), {"script.lua:", "formt", "format"});
  expect_refused(run(with(good, "hidden_size = 32", "hidden_sizes = 32")), {"script.lua:", "hidden_sizes", "hidden_size"});
  expect_refused(run(with(good, "vocab_size = 19", "vocab_size = 7")), {"script.lua:", "vocab"});
  expect_refused(run(with(good, "model = base, data = rows", "model = rows, data = rows")), {"script.lua:", "model"});
  expect_refused(run(with(good, "model = base, data = rows", "model = base")), {"script.lua:", "data"});
  expect_refused(run(with(good, "optimizer = adamw, save_every = o.save_every }\nlocal format", "save_every = 1 }\nlocal format")), {"script.lua:", "optimizer"});
  expect_refused(run(with(good, "hone.pipeline { sft, rl,", "hone.pipeline { rl, sft,")), {"script.lua:", "rl"});
}

TEST_F(BadInput, OptionsFromTomlAndTheCommandLine) {
  const std::string path = script(small_pipeline());
  const std::string out = (folder / "run").string();
  expect_refused({"run", path, "--set", "stepps=3", "--out", out}, {"stepps", "steps"});
  expect_refused({"run", path, "--set", "steps=many", "--out", out}, {"steps", "many"});
  spit(folder / "bad.toml", "steps = 3\nalgorithm = \n");
  expect_refused({"run", path, "--config", (folder / "bad.toml").string(), "--out", out}, {"bad.toml", "2"});
  spit(folder / "unknown.toml", "steps = 3\n\nalgoritm = \"rloo\"\n");
  expect_refused({"run", path, "--config", (folder / "unknown.toml").string(), "--out", out}, {"unknown.toml:3", "algoritm", "algorithm"});
  expect_refused({"run", path, "--config", (folder / "nowhere.toml").string(), "--out", out}, {"nowhere.toml"});
}

TEST_F(BadInput, DataRowsThatAreBroken) {
  const std::string good = with(small_pipeline(), "data = rows", "data = \"rows.jsonl\"");
  const std::string row = "{\"prompt\": \"ADD 1 1 ?\", \"response\": \"<answer> 2 </answer>\"}\n";
  expect_refused(run(good), {"rows.jsonl"});
  spit(folder / "rows.jsonl", row + row + "{\"prompt\": \"ADD\n");
  expect_refused(run(good), {"rows.jsonl:3"});
  spit(folder / "rows.jsonl", row + "{\"prompt\": \"ADD 1 1 ?\", \"reponse\": \"2\"}\n");
  expect_refused(run(good), {"rows.jsonl", "response"});
  spit(folder / "rows.jsonl", "");
  expect_refused(run(good), {"rows.jsonl", "no rows"});
  spit(folder / "rows.jsonl", row + "{\"prompt\": \"ADD \xff\", \"response\": \"2\"}\n");
  expect_refused(run(good), {"rows.jsonl:2", "UTF-8"});
  spit(folder / "rows.jsonl", row + "[1, 2]\n");
  expect_refused(run(good), {"rows.jsonl:2", "object"});
}

TEST_F(BadInput, CommandLinesThatAreWrong) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{}, "give a verb: "},
      {{"rum", "x.lua"}, "there is no verb \"rum\"; did you mean \"run\"?"},
      {{"--threads", "2", "help"}, "there is no verb \"help\"; there are "},
      {{"--foo"}, "hone has no option --foo"},
      {{"run"}, "hone run: SCRIPT is required"},
      {{"run", "x.lua", "--outt", "y"}, "hone run has no option --outt; did you mean --out?"},
      {{"plan", "x.lua", "--thread=3"}, "hone plan has no option --thread; did you mean --threads?"},
      {{"plugins", "extra"}, "hone plugins: \"extra\" is one argument too many"},
      {{"run", "x.lua", "--out"}, "hone run: --out needs a value"},
      {{"run", "x.lua", "--set", "steps"}, "--set: \"steps\" is not of the form key=value"},
      {{"replay", "x", "--stage", "a", "--step", "-1", "--row", "0"}, "--step: must be a whole number from 1 to 4294967295, got \"-1\""},
      {{"generate", "--model", "m", "--input", "-", "--temperature", "warm"}, "--temperature: must be a number from 0 to 100, got \"warm\""},
      {{"generate", "--model", "m", "--input", "-", "--dtype", "f64"}, "--dtype: must be f32, bf16, bf16-pairs or bf16-blocks, got \"f64\""},
  };
  for (const auto &[arguments, sentence] : wrong) {
    const Ended ended = hone(arguments);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.err.find("hone: " + sentence), 0u) << ended.err;
  }
  EXPECT_NE(hone({"run", "--help"}).out.find("Usage: hone run"), std::string::npos);
  EXPECT_EQ(hone({"--help"}).code, 0);
  EXPECT_EQ(hone({"run", "--help"}).code, 0);
  EXPECT_EQ(hone({"resume", (folder / "nothing").string()}).code, 2);
  EXPECT_EQ(hone({"report", (folder / "nothing").string()}).code, 2);
  expect_refused({"describe", "reward/maths"}, {"maths", "math"});
  expect_refused({"check", (folder / "nothing.so").string()}, {"nothing.so"});
}

TEST_F(BadInput, AnOutDirectoryThatExistsIsNotTouched) {
  spit(folder / "run" / "precious.txt", "mine");
  const Ended ended = hone({"run", script(small_pipeline()), "--out", (folder / "run").string()});
  EXPECT_NE(ended.code, 0);
  EXPECT_NE(ended.err.find("run"), std::string::npos);
  EXPECT_EQ(slurp(folder / "run" / "precious.txt"), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "run"), fs::directory_iterator()), 1);
}

TEST_F(BadInput, PlacesThatCannotBeWrittenTo) {
  const std::string path = script(small_pipeline());
  spit(folder / "file", "");
  for (const std::string &out : {(folder / "file").string(), (folder / "file" / "below").string(), std::string("/proc/none"),
                                 (folder / std::string(300, 'x')).string()})
    for (const std::vector<std::string> &line : {std::vector<std::string>{"run", path, "--out", out}, {"new-plugin", "reward", "mine", "--out", out}}) {
      const Ended ended = hone(line);
      EXPECT_NE(ended.code, 0) << out;
      EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
      EXPECT_NE(ended.err.find(out), std::string::npos) << ended.err;
      EXPECT_EQ(ended.err.find("filesystem error"), std::string::npos) << ended.err;
    }
  const Ended config = hone({"plan", path, "--config", folder.string()});
  EXPECT_EQ(config.code, 2);
  EXPECT_NE(config.err.find("is a folder"), std::string::npos) << config.err;
}

TEST_F(BadInput, ModelsThatAreNotThere) {
  spit(folder / "rows.jsonl", "{\"text\": \"1 2\"}\n");
  expect_refused({"logprobs", "--model", (folder / "model").string(), "--input", (folder / "rows.jsonl").string()}, {"model", "config.json"});
  spit(folder / "model" / "config.json", "{\"model_type\": \"mamba\"}");
  expect_refused({"logprobs", "--model", (folder / "model").string(), "--input", (folder / "rows.jsonl").string()}, {"mamba"}, 1);
}

}  // namespace
}  // namespace hone_pipeline
