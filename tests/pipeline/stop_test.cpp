// stop_test.cpp -- texts that end a response: in rollouts, in sample and eval, and in `hone generate`.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Stop : public Program {
 protected:
  // A stage over a model that was trained for one step: it says anything.
  std::string with(const std::string &stage, const std::string &settings) {
    return script("local hone = require \"hone\"\n"
                  "local m = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\", \"1\", \"2\", \"3\", \"4\" }, hidden_size = 16,\n"
                  "  intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2, max_position_embeddings = 64 }\n"
                  "local sgd = hone.optimizer \"sgd\" { learning_rate = 0.01 }\n"
                  "local rows = hone.rows { count = 16, make = function(i) return { prompt = tostring(i % 4 + 1), answer = '2' } end }\n"
                  "local first = hone.stage \"sft\" { model = m, optimizer = sgd, steps = 1, data = hone.rows { count = 4,\n"
                  "  make = function() return { text = '1 2 3 4' } end } }\n"
                  "local short = hone.reward { label = \"short\", score = function(row) return -row.num_tokens end }\n"
                  "local last = hone.stage \"" + stage + "\" { model = first.model, prompts = rows, rewards = { short }, num_generations = 4,\n"
                  "  max_completion_length = 24, batch_size = 4, " + settings + " }\n"
                  "return hone.pipeline { seed = 3, first, last }\n");
  }
  fs::path run(const std::string &stage, const std::string &settings, const std::string &name) {
    const fs::path at = folder / name;
    const Ended ended = hone({"run", with(stage, settings), "--out", at.string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    return at;
  }
  static std::vector<json> lines_of(const std::string &text) {
    std::vector<json> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(json::parse(line));
    return all;
  }
  // Every response ends with its first "2 3", if it has one, and many have one.
  static void expect_stopped(const std::vector<std::string> &responses) {
    ASSERT_FALSE(responses.empty());
    size_t stopped = 0;
    for (const std::string &response : responses) {
      const size_t at = response.find("2 3");
      if (at == std::string::npos) continue;
      ++stopped;
      EXPECT_EQ(at + 3, response.size()) << response;
    }
    EXPECT_GT(stopped * 8, responses.size());
  }
};

TEST_F(Stop, EndsWhatGenerateSamples) {
  const fs::path model = run("sample", "", "run") / "01-sft" / "checkpoints" / "step-1";
  std::string prompts;
  for (int i = 0; i < 60; ++i) prompts += "{\"prompt\": \"1\"}\n";
  How how;
  how.input = prompts;
  const auto sample = [&](const std::vector<std::string> &more) {
    std::vector<std::string> line = {"generate", "--model", model.string(), "--input", "-", "--max-tokens", "24"};
    line.insert(line.end(), more.begin(), more.end());
    const Ended ended = hone(line, how);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return lines_of(ended.out);
  };
  const std::vector<json> free = sample({}), stopped = sample({"--stop", "2 3", "--stop", "4 4 4"});
  std::vector<std::string> texts;
  for (size_t i = 0; i < stopped.size(); ++i) {
    texts.push_back(stopped[i]["text"]);
    EXPECT_EQ(stopped[i]["tokens"].size(), stopped[i]["logprobs"].size());
    EXPECT_EQ(free[i]["text"].get<std::string>().rfind(texts[i], 0), 0u) << "the text up to there is another";
    const size_t at = texts[i].find("4 4 4");
    EXPECT_TRUE(at == std::string::npos || at + 5 == texts[i].size()) << texts[i];
  }
  expect_stopped(texts);
}

TEST_F(Stop, EndsRolloutsWhichTrainAndReplayAsEver) {
  const fs::path at = run("grpo", "optimizer = sgd, steps = 2, stop = { \"2 3\" }", "run");
  const std::vector<json> metrics = lasting_metrics(at);
  EXPECT_EQ(metrics.back()["sampling/sampling_logp_difference/max"], 0);
  EXPECT_LT(metrics.back()["completions/clipped_ratio"], 0.8);
  for (int row = 0; row < 16; ++row) {
    const Ended ended = hone({"replay", at.string(), "--stage", "grpo", "--step", "2", "--row", std::to_string(row)});
    EXPECT_EQ(ended.code, 0) << ended.err;
  }
}

TEST_F(Stop, EndsWhatSampleAndEvalSample) {
  std::vector<std::string> kept;
  for (const json &row : lines_of(slurp(run("sample", "stop = { \"2 3\" }", "sampled") / "02-sample" / "data.jsonl"))) kept.push_back(row["response"]);
  expect_stopped(kept);
  std::vector<std::string> recorded;
  for (const json &row : lines_of(slurp(run("eval", "stop = { \"2 3\" }, temperature = 1, top_p = 1, record = 16", "measured") / "02-eval" / "data.jsonl")))
    recorded.push_back(row["response"]);
  expect_stopped(recorded);
}

TEST_F(Stop, TakesTextsOnly) {
  for (const char *stage : {"grpo", "sample", "eval"})
    for (const char *wrong : {"stop = { 3 }", "stop = { \"\" }", "stop = \"2\""}) {
      const Ended ended = hone({"plan", with(stage, std::string(wrong) + (stage == std::string("grpo") ? ", optimizer = sgd, steps = 1" : ""))});
      EXPECT_EQ(ended.code, 2) << ended.out;
      EXPECT_NE(ended.err.find("script.lua:9"), std::string::npos) << ended.err;
      EXPECT_NE(ended.err.find("stop"), std::string::npos) << ended.err;
    }
  const Ended verb = hone({"generate", "--model", "no model is read", "--input", "-", "--stop", ""});
  EXPECT_EQ(verb.code, 2);
  EXPECT_NE(verb.err.find("--stop"), std::string::npos) << verb.err;
}

}  // namespace
}  // namespace hone_pipeline
