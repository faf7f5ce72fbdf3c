// mcts_test.cpp -- stage mcts in whole runs: what search and self-training are worth, what a node costs, the same bits whatever happens.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class MctsRuns : public Program {
 protected:
  // Running sums modulo 5, a step each ("SUM 3 4 2 ?" -> "2 ; 4 ; = 4"), by a policy that gets about six of ten right.
  std::string sums(const std::string &stages) {
    return script(R"lua(local hone = require "hone"
local words = { "<pad>", "<bos>", "<eos>", "SUM", "?", ";", "=", "0", "1", "2", "3", "4", "5", "6", "7" }
local function rows(count, seed)
  return hone.rows { count = count, seed = seed, make = function()
    local a, b, c = math.random(0, 4), math.random(0, 4), math.random(0, 4)
    local first, last = (a + b) % 5, (a + b + c) % 5
    return { prompt = ("SUM %d %d %d ?"):format(a, b, c), answer = tostring(last),
      response = ("%d ; %d ; = %d"):format(first, last, last) }
  end }
end
local right = hone.reward { label = "accuracy", score = function(row) return row.response:match("= (%d)$") == row.answer and 1 or 0 end }
local model = hone.model "llama" { name = "tiny", words = words, hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2,
  num_attention_heads = 2, num_key_value_heads = 1, max_position_embeddings = 32 }
local function adamw(learning_rate) return hone.optimizer "adamw" { learning_rate = learning_rate } end
local warm = hone.stage "sft" { label = "warm", model = model, data = rows(4000, 1), batch_size = 16, steps = 455,
  optimizer = adamw(3e-3), save_every = 200 }
local function searched(settings)
  local all = { rewards = { right }, step_separators = { ";" }, max_step_length = 8, max_completion_length = 16, depth = 4, children = 4 }
  for name, value in pairs(settings) do all[name] = value end
  return hone.stage "mcts"(all)
end
)lua" + stages);
  }
  static std::string self_training(int prompts, int steps) {
    return "local search = searched { label = \"search\", model = warm.model, prompts = rows(" + std::to_string(prompts) +
           ", 2), simulations = 24, rounds = 2, batch_size = 32, rows = \"all\", optimizer = adamw(1e-3), value_optimizer = adamw(3e-3),\n"
           "  train_steps_per_round = " + std::to_string(steps) + ", save_every = 3 }\n";
  }
  static constexpr uint64_t prompt_tokens = 6;  // with <bos>
};

TEST_F(MctsRuns, SearchAndSelfTrainingAreWorthTheirTokens) {
  const fs::path to = folder / "train";
  const std::string report = "hone.stage \"eval\" { models = { warm.model, search.model }, prompts = rows(128, 3), rewards = { right },\n"
                             "  num_generations = 8, max_completion_length = 16, temperature = 1, top_p = 1 }";
  const std::string stages = self_training(192, 90) +
                             "local judge = hone.stage \"prm\" { label = \"judge\", model = warm.model, data = search.data, batch_size = 64,\n"
                             "  optimizer = adamw(3e-3), epochs = 2, save_every = 1000 }\n"
                             "return hone.pipeline { warm, search, judge, seed = 7, report = " + report + " }\n";
  const Ended trained = hone({"run", sums(stages), "--out", to.string()});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const json results = json::parse(slurp(to / "results.json"));
  const double before = results.at(0).at("pass@1"), after = results.at(1).at("pass@1");
  EXPECT_LT(before, 0.75);
  EXPECT_GT(after, before + 0.2) << "two rounds of search taught nothing";

  EXPECT_TRUE(fs::exists(to / "03-judge/done")) << "stage prm learns nothing from the rows";
  size_t searches = 0;
  for (const json &row : lasting_metrics(to)) {
    if (!row.contains("search/computed_tokens")) continue;
    ++searches;
    const uint64_t generated = row.at("search/generated_tokens"), computed = row.at("search/computed_tokens");
    const uint64_t reused = row.at("search/reused_tokens");
    // Every token is run once: those of the prompts, and of each step all but its last, which runs when the step is gone on from.
    EXPECT_LE(computed, generated + 32 * prompt_tokens);
    EXPECT_GT(reused, 2 * computed) << "so few that sharing shows nothing";
    EXPECT_LE(row.at("search/value_computed_tokens"), generated + 32 * prompt_tokens);
  }
  EXPECT_EQ(searches, 2 * 192 / 32u);

  const fs::path stage = to / "02-search";
  const int steps = json::parse(slurp(stage / "done")).at("steps");
  const fs::path judge = stage / "checkpoints" / ("step-" + std::to_string(steps)) / "trainer-2";
  const fs::path policy = to / "01-warm/checkpoints/step-455";
  const std::string answers = "local answers = searched { label = \"answers\", mode = \"answer\", model = hone.model(\"" + policy.string() +
                              "\"), value_model = hone.model(\"" + judge.string() +
                              "\"), prompts = rows(128, 3), simulations = 16, num_generations = 8, batch_size = 64 }\n"
                              "return hone.pipeline { answers, seed = 3 }\n";
  const Ended answered = hone({"run", sums(answers), "--out", (folder / "answers").string()});
  ASSERT_EQ(answered.code, 0) << answered.err;
  const json row = json::parse(slurp(folder / "answers/results.json")).at(0);
  EXPECT_GT(row.at("accuracy").get<double>(), row.at("pass@1").get<double>() + 0.1);
  EXPECT_GT(row.at("tokens").get<double>(), row.at("plain_tokens").get<double>());
  EXPECT_EQ(row.at("questions"), 128);
  EXPECT_EQ(count_lines(folder / "answers/01-answers/data.jsonl"), 128);
}

TEST_F(MctsRuns, ThreadsAndKillsChangeNoBit) {
  const std::string path = sums(self_training(64, 4) + "return hone.pipeline { warm, search, seed = 7 }\n");
  const fs::path one = folder / "1", two = folder / "2", killed = folder / "killed";
  for (const fs::path &to : {one, two}) {
    const Ended ended = hone({"run", path, "--threads", to.filename().string(), "--out", to.string()});
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  const auto data = [](const fs::path &run) { return slurp(run / "02-search/data.jsonl"); };
  EXPECT_GT(data(one).size(), 10000u);
  EXPECT_EQ(data(one), data(two));
  EXPECT_EQ(lasting_results(one), lasting_results(two));
  const int kills = kill_and_resume({"run", path, "--threads", "1", "--out", killed.string()}, killed, 12, [](int round) {
    How how;
    how.after_lines = round == 0 ? 457 : 2 + round % 3;
    return how;
  });
  EXPECT_GT(kills, 1);
  EXPECT_EQ(data(killed), data(one));
  EXPECT_EQ(lasting_results(killed), lasting_results(one));
  EXPECT_EQ(lasting_metrics(killed), lasting_metrics(one)) << "tokens computed and reused, too";
}

TEST_F(MctsRuns, WhatCannotWorkIsASentence) {
  const auto refused = [&](const std::string &stages, const std::string &words) {
    const Ended ended = hone({"run", sums(stages + "return hone.pipeline { x }\n"), "--out", (folder / "x").string()});
    EXPECT_NE(ended.code, 0);
    EXPECT_NE(ended.err.find(words), std::string::npos) << ended.err;
    fs::remove_all(folder / "x");
  };
  refused("local x = searched { model = model, value_model = model, prompts = rows(4, 2) }\n", "\"tiny\" has no value head");
  refused("local x = searched { model = model, prompts = rows(4, 2), rounds = 2 }\n", "give an optimizer");
  refused("local x = searched { model = model, prompts = rows(4, 2), mode = \"answer\" }\n", "needs a value_model");
  refused("local x = searched { model = model, prompts = rows(4, 2), threshold = 2 }\n", "found no right solution");
}

}  // namespace
}  // namespace hone_pipeline
