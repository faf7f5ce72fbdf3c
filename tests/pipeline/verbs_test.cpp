// verbs_test.cpp -- the verbs that run a model over rows agree with each other and with what a run recorded.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

std::vector<json> lines(const std::string &text) {
  std::vector<json> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(json::parse(line));
  return out;
}

class Verbs : public Program {
 protected:
  fs::path model() {
    const Ended ended = hone({"run", script(small_pipeline()), "--out", (folder / "run").string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_NE(ended.out.find("rl"), std::string::npos) << ended.out;
    for (const auto &entry : fs::directory_iterator(folder / "run/02-rl/checkpoints"))
      if (entry.path().filename() == "step-5") return entry.path();
    ADD_FAILURE() << "no checkpoint";
    return {};
  }
};

TEST_F(Verbs, GenerateLogprobsAndTokenizeAgreeBitForBit) {
  const std::string path = model().string();
  How how;
  how.input = "{\"prompt\": \"ADD 1 2 ?\"}\n{\"prompt\": \"ADD 4 4 ?\"}\n{\"prompt\": \"ADD 0 3 ?\"}\n";
  const Ended generated = hone({"generate", "--model", path, "--input", "-", "--seed", "5", "--max-tokens", "12"}, how);
  ASSERT_EQ(generated.code, 0) << generated.err;
  const auto rows = lines(generated.out);
  ASSERT_EQ(rows.size(), 3u);
  // A row does not depend on its company: its seed is its number, so the first row alone is the same.
  How alone;
  alone.input = "{\"prompt\": \"ADD 1 2 ?\"}\n";
  EXPECT_EQ(lines(hone({"generate", "--model", path, "--input", "-", "--seed", "5", "--max-tokens", "12"}, alone).out)[0], rows[0]);

  How texts;
  texts.input = "{\"text\": \"<bos> ADD 1 2 ?\"}\n";
  const json prompt = lines(hone({"tokenize", "--model", path, "--input", "-"}, texts).out)[0];
  EXPECT_EQ(prompt.at("text"), "<bos> ADD 1 2 ?");
  json all = prompt.at("ids");
  for (const json &id : rows[0].at("tokens")) all.push_back(id);
  How tokens;
  tokens.input = json{{"tokens", all}}.dump() + "\n";
  const json scored = lines(hone({"logprobs", "--model", path, "--input", "-"}, tokens).out)[0];
  EXPECT_EQ(scored.at("tokens"), all);
  ASSERT_EQ(scored.at("logprobs").size(), all.size() - 1);  // the first token has none
  for (size_t i = 0; i < rows[0]["tokens"].size(); ++i)
    EXPECT_EQ(scored["logprobs"][prompt["ids"].size() - 1 + i], rows[0]["logprobs"][i]) << i;
}

TEST_F(Verbs, GreedyDecodingTakesTheLikeliestTokenAndBf16StaysNearF32) {
  const std::string path = model().string();
  How how;
  how.input = "{\"prompt\": \"ADD 1 2 ?\"}\n";
  const json greedy = lines(hone({"generate", "--model", path, "--input", "-", "--temperature", "0", "--max-tokens", "8"}, how).out)[0];
  EXPECT_EQ(lines(hone({"generate", "--model", path, "--input", "-", "--temperature", "0", "--max-tokens", "8", "--seed", "9"}, how).out)[0], greedy);
  How text;
  text.input = "{\"text\": \"<bos> ADD 1 2 ? <think> 1 2 </think> <answer> 3 </answer>\"}\n";
  const json exact = lines(hone({"logprobs", "--model", path, "--input", "-"}, text).out)[0];
  const json rounded = lines(hone({"logprobs", "--model", path, "--input", "-", "--dtype", "bf16"}, text).out)[0];
  bool differs = false;
  for (size_t i = 0; i < exact["logprobs"].size(); ++i) {
    EXPECT_NEAR(exact["logprobs"][i].get<double>(), rounded["logprobs"][i].get<double>(), 0.3);
    differs = differs || exact["logprobs"][i] != rounded["logprobs"][i];
  }
  EXPECT_TRUE(differs) << "bf16 gave the very bits of f32";
}

TEST_F(Verbs, NameTheLineAndColumnOfARowThatTheyRefuse) {
  const std::string path = model().string(), rows = (folder / "rows.jsonl").string();
  const auto expect = [&](const std::string &verb, const std::string &row, const std::string &said) {
    spit(rows, "\n{\"prompt\": \"ADD 1 2 ?\", \"text\": \"ADD\"}\n\n" + row + "\n");
    const Ended ended = hone({verb, "--model", path, "--input", rows});
    EXPECT_EQ(ended.code, 1) << verb;
    EXPECT_NE(ended.err.find(rows + ":4: " + said), std::string::npos) << verb << ": " << ended.err;
  };
  for (const char *verb : {"logprobs", "tokenize"}) {
    expect(verb, "{\"text\": \"ADD nonsense\"}", "text: the word \"nonsense\"");
    expect(verb, "{\"prompt\": \"ADD\"}", "row has no column \"text\"");
  }
  expect("generate", "{\"prompt\": \"ADD nonsense\"}", "prompt: the word \"nonsense\"");
  expect("logprobs", "{\"tokens\": [1, 99999]}", "tokens: 99999 is not a token id");
}

TEST_F(Verbs, AStagesLogprobsAreThoseThatSamplingRecorded) {
  const std::string path = model().string();
  spit(folder / "prompts.jsonl", "{\"prompt\": \"ADD 1 2 ?\"}\n{\"prompt\": \"ADD 4 4 ?\"}\n");
  const std::string text = "local hone = require \"hone\"\nreturn hone.pipeline { hone.stage \"recheck\" { model = hone.model(\"" + path +
                           "\"), prompts = \"prompts.jsonl\", temperature = 0.7 } }\n";
  How how;
  how.environment["HONE_PLUGIN_PATH"] = std::string(HONE_BUILD_DIR) + "/tests/strangers";
  const Ended ended = hone({"run", script(text, "recheck.lua"), "--out", (folder / "again").string()}, how);
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(json::parse(slurp(folder / "again/results.json")).at(0).at("rows"), 4.0);
}

TEST_F(Verbs, ARolloutThatGoesOnFromAResponsesFirstTokensEndsInTheSameBits) {
  spit(folder / "prompts.jsonl", "{\"prompt\": \"ADD 1 2 ?\"}\n{\"prompt\": \"ADD 4 4 ?\"}\n");
  const std::string text = "local hone = require \"hone\"\nreturn hone.pipeline { hone.stage \"continues\" { model = hone.model(\"" + model().string() +
                           "\"), prompts = \"prompts.jsonl\" } }\n";
  How how;
  how.environment["HONE_PLUGIN_PATH"] = std::string(HONE_BUILD_DIR) + "/tests/strangers";
  const Ended ended = hone({"run", script(text, "continues.lua"), "--out", (folder / "continued").string()}, how);
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_GT(json::parse(slurp(folder / "continued/results.json")).at(0).at("rows").get<double>(), 4) << "too few cuts to show anything";
}

TEST_F(Verbs, EvalScoresATaskFile) {
  const std::string path = model().string();
  spit(folder / "task.jsonl", "{\"question\": \"ADD 1 2 ?\", \"answer\": \"3\"}\n{\"question\": \"ADD 2 2 ?\", \"answer\": \"4\"}\n");
  const Ended ended = hone({"eval", "--model", path, "--task", (folder / "task.jsonl").string(), "--prompt-column", "question", "--samples", "3", "--max-tokens", "16"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const json row = lines(ended.out).at(0);
  EXPECT_EQ(row.at("questions"), 2.0);
  for (const char *name : {"pass@1", "pass@1_ci", "pass@3", "format", "mixing", "length"}) EXPECT_TRUE(row.at(name).is_number()) << name;
  EXPECT_EQ(ended.err.find("hone-eval-"), std::string::npos) << "names a folder that is gone: " << ended.err;
  const Ended kept = hone({"eval", "--model", path, "--task", (folder / "task.jsonl").string(), "--prompt-column", "question", "--samples", "3", "--max-tokens", "16", "--out", (folder / "kept").string()});
  ASSERT_EQ(kept.code, 0) << kept.err;
  EXPECT_EQ(kept.out, ended.out);
  EXPECT_TRUE(fs::exists(folder / "kept/report.html"));
}

TEST_F(Verbs, ScoreAndObjectiveAnswerForEveryRow) {
  spit(folder / "rows.jsonl", "{\"prompt\": \"q\", \"response\": \"so \\\\boxed{1/2}\", \"answer\": \"0.5\"}\n{\"prompt\": \"q\", \"response\": \"7\", \"answer\": \"8\"}\n");
  const Ended scored = hone({"score", "math", "--input", (folder / "rows.jsonl").string()});
  ASSERT_EQ(scored.code, 0) << scored.err;
  EXPECT_EQ(lines(scored.out).at(0).at("score"), 1.0);
  EXPECT_EQ(lines(scored.out).at(1).at("score"), 0.0);
  spit(folder / "batch.json", R"({"group": [0, 0], "reward": [1, 0], "logp": [[-1, -2], [-0.5]], "logp_old": [[-1, -2], [-0.5]]})");
  const Ended objective = hone({"objective", "grpo", "--input", (folder / "batch.json").string(), "--set", "beta=0"});
  ASSERT_EQ(objective.code, 0) << objective.err;
  const json out = json::parse(objective.out);
  EXPECT_NEAR(out.at("advantages")[0][0].get<double>(), 1, 1e-3);
  EXPECT_NEAR(out.at("advantages")[1][0].get<double>(), -1, 1e-3);
  EXPECT_NEAR(out.at("dlogp")[0][1].get<double>(), -0.25, 1e-3);  // 1/2 of the rows, 1/2 of its tokens
}

TEST_F(Verbs, PlanTouchesNothingAndReportIsOnePage) {
  const Ended plan = hone({"plan", script(small_pipeline())});
  EXPECT_EQ(plan.code, 0) << plan.err;
  for (const char *word : {"01-warm", "02-rl", "06-eval", "grpo", "parameters"}) EXPECT_NE(plan.out.find(word), std::string::npos) << word;
  EXPECT_FALSE(fs::exists(folder / "runs"));
  model();
  const std::string page = slurp(folder / "run/report.html");
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_EQ(page.find("src=\"http"), std::string::npos);
  EXPECT_EQ(page.find("href=\"http"), std::string::npos);
  EXPECT_EQ(hone({"report", (folder / "run").string()}).code, 0);
}

}  // namespace
}  // namespace hone_pipeline
