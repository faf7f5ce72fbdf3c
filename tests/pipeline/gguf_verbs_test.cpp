// gguf_verbs_test.cpp -- a GGUF file that hone exported is, to every verb and to stages, the directory that it came from.
#include "tests/pipeline/bpe_model.h"

namespace hone_pipeline {
namespace {

class GgufVerbs : public BpeModel {
 protected:
  Ended ask(const std::string &verb, const fs::path &model, const std::string &rows, std::vector<std::string> more = {}) {
    How how;
    how.input = rows;
    std::vector<std::string> line = {verb, "--model", model.string()};
    if (verb != "chat") line.insert(line.end(), {"--input", "-"});
    line.insert(line.end(), more.begin(), more.end());
    return hone(line, how);
  }
};

TEST_F(GgufVerbs, AnExportedFileIsTheModelThatItIsOf) {
  const fs::path from = directory(), to = folder / "model.gguf", back = folder / "back";
  ASSERT_EQ(hone({"export", "--model", from.string(), "--to", "gguf", to.string()}).code, 0);
  ASSERT_EQ(hone({"export", "--model", to.string(), "--to", "hf", back.string()}).code, 0);
  const std::string conversation = "{\"messages\": [{\"role\": \"user\", \"content\": \"1 22  333?\"}], \"add_generation_prompt\": true}\n";
  struct Asked {
    std::string verb, rows;
    std::vector<std::string> more;
  };
  const std::vector<Asked> all = {
      {"tokenize", "{\"text\": \"Hello  123 <|im_end|> \\u00e9\\ud83d\\ude00 345\"}\n", {}},
      {"logprobs", "{\"text\": \"number 7 and 12  345\"}\n{\"tokens\": [5, 17, 300, 2]}\n", {}},
      {"render", conversation, {}},
      {"generate", conversation + "{\"prompt\": \"number 3\"}\n", {"--max-tokens", "12", "--temperature", "0"}},
      {"generate", "{\"prompt\": \"number 3\"}\n", {"--max-tokens", "12", "--seed", "5"}},
      {"chat", "number 1\nnumber 2\n", {"--max-tokens", "8", "--temperature", "0"}},
  };
  for (const Asked &asked : all) {
    const Ended first = ask(asked.verb, from, asked.rows, asked.more);
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_FALSE(first.out.empty()) << asked.verb;
    for (const fs::path &model : {to, back}) {
      const Ended second = ask(asked.verb, model, asked.rows, asked.more);
      EXPECT_EQ(second.code, 0) << second.err;
      EXPECT_EQ(second.out, first.out) << asked.verb << " " << model;
    }
  }
}

TEST_F(GgufVerbs, StagesTrainAndEvaluateItAndAnAdapterMayStandOnIt) {
  const fs::path to = folder / "model.gguf";
  ASSERT_EQ(hone({"export", "--model", directory().string(), "--to", "gguf", to.string()}).code, 0);
  const std::string text =
      "local hone = require \"hone\"\n"
      "local o = hone.options { model = { \"\", \"a model\" }, lora = { false, \"an adapter\" } }\n"
      "local model, right = hone.model(o.model), hone.reward \"math\" { label = \"accuracy\" }\n"
      "local rows = hone.rows { count = 4, make = function(i) return { messages = { { role = \"user\", content = \"number \" .. i } }, answer = \"7\" } end }\n"
      "local lora = o.lora and { rank = 2 } or nil\n"
      "local rl = hone.stage \"grpo\" { model = model, prompts = rows, rewards = { right, function(row) return #row.response / 100 end }, steps = 2, batch_size = 2,\n"
      "  num_generations = 4, max_completion_length = 8, optimizer = hone.optimizer \"adamw\" { learning_rate = 1e-2 }, lora = lora, beta = 0.1 }\n"
      "return hone.pipeline { rl, seed = 1, report = hone.stage \"eval\" { models = { model, rl.model }, prompts = rows, rewards = { right },\n"
      "  num_generations = 2, max_completion_length = 8 } }\n";
  for (const char *lora : {"false", "true"}) {
    const fs::path run = folder / (std::string("lora-") + lora);
    const Ended ended = hone({"run", script(text), "--set", "model=" + to.string(), "--set", std::string("lora=") + lora, "--out", run.string()});
    ASSERT_EQ(ended.code, 0) << ended.err;
    const fs::path trained = run / "01-grpo/checkpoints/step-2";
    EXPECT_EQ(fs::exists(trained / "adapter_model.safetensors"), std::string(lora) == "true");
    EXPECT_EQ(ask("logprobs", trained, "{\"text\": \"number 7\"}\n").code, 0);
    EXPECT_EQ(ask("tokenize", trained, "{\"text\": \"number 7\"}\n").code, 0);
    EXPECT_EQ(ask("render", trained, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n").code, 0);
  }
}

// ctrl-C while the file is written: it ends between two tensors, not when all are there.
TEST_F(GgufVerbs, AnInterruptedExportLeavesNothing) {
  const fs::path from = directory(256, "hidden_size = 512, intermediate_size = 4096");  // some 57 MB, of which a signal meets some
  const auto begun = [&] {
    for (const auto &entry : fs::directory_iterator(folder))
      if (entry.path().filename().string().starts_with("out")) return true;
    return false;
  };
  for (const char *to : {"gguf", "hf"}) {
    const std::string out = (folder / "out").string();
    How how;
    how.ready = begun;
    how.signal = SIGINT;
    const Ended ended = hone({"export", "--model", from.string(), "--to", to, out}, how);
    EXPECT_EQ(ended.code, 128 + SIGINT) << to << ": " << ended.err;
    EXPECT_NE(ended.err.find("interrupted"), std::string::npos) << ended.err;
    EXPECT_FALSE(begun()) << to << ": something was left";
    EXPECT_EQ(hone({"export", "--model", from.string(), "--to", to, out}).code, 0) << to;
    fs::remove_all(out);
  }
}

}  // namespace
}  // namespace hone_pipeline
