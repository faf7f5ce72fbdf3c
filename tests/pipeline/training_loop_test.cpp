// training_loop_test.cpp -- loop stages that train: the bits of an objective's own stage, through kills and signals, and refusals.
#include <set>

#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class TrainingLoop : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    how.environment["HONE_PLUGIN_PATH"] = std::string(HONE_BUILD_DIR) + "/tests/strangers";
  }
  // Sums of two digits for a small model; `stages` goes on from line 23.
  std::string sums(const std::string &stages) {
    return script(R"lua(local hone = require "hone"
local words = { "<pad>", "<bos>", "<eos>", "<answer>", "</answer>", "ADD", "?", "0", "1", "2", "3", "4", "5", "6", "7", "8" }
local function task(i)
  local a, b = (i - 1) // 5 % 5, (i - 1) % 5
  return ("ADD %d %d ?"):format(a, b), tostring(a + b)
end
local prompts = hone.rows { count = 25, make = function(i)
  local prompt, answer = task(i)
  local right = "<answer> " .. answer .. " </answer>"
  return { prompt = prompt, answer = answer, response = right, chosen = right, rejected = "8 8", margin = 0 }
end }
local some = hone.rows { count = 480, seed = 3, make = function(i)
  local prompt, answer = task(math.random(25))
  return { prompt = prompt, response = "<answer> " .. answer .. " </answer>" }
end }
local length = hone.reward { label = "length", score = function(row) return #row.response % 7 / 7 end }
local right = hone.reward { label = "accuracy", score = function(row) return row.response == "<answer> " .. row.answer .. " </answer>" and 1 or 0 end }
local adamw = hone.optimizer "adamw" { learning_rate = 3e-3 }
local model = hone.model "deepseek_moe" { name = "tiny", words = words, hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 2,
  kv_lora_rank = 16, qk_nope_head_dim = 8, qk_rope_head_dim = 8, v_head_dim = 8, intermediate_size = 32, moe_intermediate_size = 16,
  n_routed_experts = 4, num_experts_per_tok = 2, n_shared_experts = 1, n_group = 1, topk_group = 1, first_k_dense_replace = 1,
  max_position_embeddings = 32 }
)lua" + stages);
  }
  Ended run(const std::string &stages, const fs::path &to) { return hone({"run", sums(stages), "--out", to.string()}, how); }
  static std::string trains(const std::string &more) { return "local x = hone.stage \"trains\" { label = \"x\", model = model, prompts = prompts, " + more + " }\n"; }

  void expect_same(const fs::path &run, const fs::path &reference) {
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(reference));
    EXPECT_EQ(lasting_results(run), lasting_results(reference));
    EXPECT_EQ(slurp(run / "results.json"), slurp(reference / "results.json"));
    for (const auto &stage : fs::directory_iterator(reference))
      EXPECT_EQ(slurp(run / stage.path().filename() / "data.jsonl"), slurp(stage.path() / "data.jsonl")) << stage.path();
  }
  static json weights_of(const fs::path &run) { return lasting_results(run).at("01-x").at("weights_checksum"); }

  // A refusal in one sentence, with all these words.
  void expect_refused(const Ended &ended, const std::vector<std::string> &words, int code) {
    EXPECT_EQ(ended.code, code) << ended.err;
    for (const std::string &word : words) EXPECT_NE(ended.err.find(word), std::string::npos) << "no \"" << word << "\" in: " << ended.err;
  }
  How how;
};

// The same prompts, responses and updates by two ways: the loop that drives objectives, and a stage's own loop.
TEST_F(TrainingLoop, ATrainStepGivesTheBitsOfTheObjectivesOwnStage) {
  const std::string optimizer = "optimizer = hone.optimizer \"adamw\" { learning_rate = 3e-3, schedule = \"linear\", warmup_steps = 1 }, ";
  const std::string online = "rewards = { length }, num_generations = 4, temperature = 0.7, ", common = optimizer + "batch_size = 4, steps = 3, ";
  struct Case {
    std::string objective, its_own, settings, rows;
  };
  for (const Case &c : {Case{"grpo", online + "prompts = prompts, max_completion_length = 16, beta = 0.1, ", online + "objective_settings = { beta = 0.1 }, ", "online"},
                        Case{"sft", "data = prompts, ", "", "data"}, Case{"reward_model", "data = prompts, ", "", "pairs"}}) {
    const fs::path own = folder / (c.objective + "-own"), loop = folder / (c.objective + "-loop");
    Ended ended = run("local x = hone.stage \"" + c.objective + "\" { label = \"x\", model = model, shuffle = false, " + c.its_own + common +
                          "}\nreturn hone.pipeline { x, seed = 5 }\n", own);
    ASSERT_EQ(ended.code, 0) << ended.err;
    ended = run(trains(common + c.settings + "objective = \"" + c.objective + "\", rows = \"" + c.rows + "\"") + "return hone.pipeline { x, seed = 5 }\n", loop);
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(weights_of(loop), weights_of(own)) << c.objective;
    const auto expected = lasting_metrics(own), got = lasting_metrics(loop);
    ASSERT_EQ(got.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      for (const char *name : {"loss", "grad_norm", "learning_rate_factor", "kl", "entropy", "sampling/sampling_logp_difference/max"})
        EXPECT_EQ(got[i].value(name, json()), expected[i].value(name, json())) << c.objective << " step " << i + 1 << ": " << name;
      EXPECT_GT(got[i].at("grad_norm").get<double>(), 0) << "nothing was learnt, so equal weights show nothing";
    }
  }
}

std::string expert_iteration(int rounds, int save_every) {
  return R"lua(local warm = hone.stage "sft" { label = "warm", model = model, data = some, batch_size = 16, optimizer = adamw, save_every = 3 }
local expert = hone.stage "expert_iteration" { label = "expert", model = warm.model, prompts = prompts, rewards = { right }, optimizer = adamw,
  rounds = )lua" + std::to_string(rounds) + R"lua(, num_generations = 32, max_completion_length = 8, batch_size = 25, train_batch_size = 8, save_every = )lua" + std::to_string(save_every) + " }\n";
}

TEST_F(TrainingLoop, ExpertIterationRaisesTheReward) {
  const fs::path to = folder / "run";
  const Ended ended = run(expert_iteration(5, 100) + "return hone.pipeline { warm, expert, seed = 7, report = hone.stage \"eval\" { models = { warm.model, expert.model }, "
                          "prompts = prompts, rewards = { right }, num_generations = 8, max_completion_length = 8 } }\n", to);
  ASSERT_EQ(ended.code, 0) << ended.err;
  const json results = json::parse(slurp(to / "results.json"));
  const double before = results.at(0).at("pass@1"), after = results.at(1).at("pass@1");
  EXPECT_GT(before, 0.02) << "without a right response there is nothing to learn from";
  EXPECT_LT(before, 0.5);
  EXPECT_GT(after, before + 0.3);
  EXPECT_NE(ended.err.find("its model: " + (to / "02-expert" / "checkpoints").string()), std::string::npos) << ended.err;
}

// Two kinds of loops that train, one of them two models, with a beginning anew; checkpoints every few steps.
std::string everything() {
  return expert_iteration(2, 4) + R"lua(local two = hone.stage "trains" { label = "two", model = expert.model, prompts = prompts, rewards = { length }, optimizer = adamw,
  objective = "grpo", objective_settings = { beta = 0.05 }, second = "sft", versions = true, restarts = true, steps = 12, save_every = 5 }
return hone.pipeline { warm, expert, two, seed = 7, report = hone.stage "eval" { models = { expert.model, two.model }, prompts = prompts,
  rewards = { right }, num_generations = 2, max_completion_length = 8 } }
)lua";
}

TEST_F(TrainingLoop, KillNineAtAnyMomentEndsWithTheBitsOfARunNeverStopped) {
  const fs::path whole = folder / "reference", to = folder / "run";
  const Ended reference = run(everything(), whole);
  ASSERT_EQ(reference.code, 0) << reference.err;
  int kills = 0, resumed = 0;
  for (int round = 0; kills < 10 && round < 40; ++round) {
    How killed = how;
    killed.watched = to / "metrics.jsonl";
    killed.after_lines = static_cast<int>(std::fmod((round + 1) * 0.6180339887, 1.0) * 13);
    killed.delay = std::fmod((round + 1) * 0.7548776662, 1.0) * 0.02;
    const bool started = fs::exists(to / "run.json");
    const Ended ended = started ? hone({"resume", to.string()}, killed) : hone({"run", sums(everything()), "--out", to.string()}, killed);
    if (ended.code == 128 + SIGKILL) {
      ++kills;
      resumed += started;
      continue;
    }
    ASSERT_EQ(ended.code, 0) << ended.err;
    expect_same(to, whole);
    if (HasFailure()) return;
    fs::remove_all(to);
  }
  EXPECT_EQ(kills, 10);
  EXPECT_GT(resumed, 4) << "kills fell into runs that had hardly begun";
  if (!fs::exists(to / "run.json")) return;
  const Ended ended = hone({"resume", to.string()}, how);
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_same(to, whole);
}

TEST_F(TrainingLoop, OneAndTwoThreadsEndWithTheSameBits) {
  const std::string path = sums(everything());
  for (const char *threads : {"1", "2"}) {
    const Ended ended = hone({"run", path, "--threads", threads, "--out", (folder / threads).string()}, how);
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  expect_same(folder / "2", folder / "1");
}

// A step that has trained is finished before the signal is heeded; nothing of it is trained twice, and nothing is lost.
TEST_F(TrainingLoop, ASignalWaitsForTheEndOfAStepThatHasTrained) {
  const std::string stages = trains("rewards = { length }, optimizer = adamw, objective = \"grpo\", steps = 9, save_every = 100, lingers = 40") + "return hone.pipeline { x }\n";
  const Ended reference = run(stages, folder / "reference");
  ASSERT_EQ(reference.code, 0) << reference.err;
  const fs::path to = folder / "run", stage = to / "01-x";
  for (const int lines : {2, 3}) {  // at this many rows emitted, each after a step's training and before its end
    How interrupted = how;
    interrupted.signal = SIGTERM;
    interrupted.watched = stage / "data.jsonl";
    interrupted.after_lines = lines;
    const Ended ended = fs::exists(to) ? hone({"resume", to.string()}, interrupted) : hone({"run", sums(stages), "--out", to.string()}, interrupted);
    ASSERT_EQ(ended.code, 143) << ended.err;
    const int done = count_lines(to / "metrics.jsonl");
    EXPECT_EQ(count_lines(stage / "data.jsonl"), done) << "a step is half there";
    EXPECT_TRUE(fs::exists(stage / "checkpoints" / ("step-" + std::to_string(done)))) << done << " steps were made";
  }
  const Ended resumed = hone({"resume", to.string()}, how);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same(to, folder / "reference");
}

// After it, a step is the first: as if the rows before had never been.
TEST_F(TrainingLoop, ARestartForgetsWeightsOptimizerAndSteps) {
  const std::string rows = "rows = \"data\", batch_size = 4, optimizer = hone.optimizer \"adamw\" { learning_rate = 3e-3, warmup_steps = 2 }, ";
  const std::string later = "local prompts = hone.rows { from = prompts, map = function(row) return row end, skip = 8 }\n", end = "return hone.pipeline { x }\n";
  for (const auto &[name, stages] : {std::pair<std::string, std::string>{"restarted", trains(rows + "steps = 3, restarts = true") + end},
                                     {"alone", later + trains(rows + "steps = 1") + end}, {"not", trains(rows + "steps = 3") + end}}) {
    const Ended ended = run(stages, folder / name);
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  EXPECT_EQ(weights_of(folder / "restarted"), weights_of(folder / "alone"));
  EXPECT_NE(weights_of(folder / "restarted"), weights_of(folder / "not"));
}

TEST_F(TrainingLoop, ACheckpointIsAModelDirectoryForEachTrainer) {
  const fs::path to = folder / "run";
  const Ended ended = run(trains("rewards = { length }, optimizer = adamw, objective = \"grpo\", second = \"sft\", versions = true, steps = 4, keep_checkpoints = 1, save_every = 1") +
                          "return hone.pipeline { x }\n", to);
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(std::distance(fs::directory_iterator(to / "01-x" / "checkpoints"), fs::directory_iterator()), 1);
  std::set<std::string> outputs;
  for (const char *model : {"", "trainer-2"}) {
    How input = how;
    input.input = "{\"text\": \"ADD 1 2 ? <answer> 3 </answer>\"}\n";
    const Ended scored = hone({"logprobs", "--model", (to / "01-x" / "checkpoints" / "step-4" / model).string(), "--input", "-"}, input);
    EXPECT_EQ(scored.code, 0) << scored.err;
    outputs.insert(scored.out);
  }
  EXPECT_EQ(outputs.size(), 2u) << "the two trainers have one model";
}

TEST_F(TrainingLoop, RowsOfOtherWeightsStopTheRunUnlessTheySaySo) {
  const std::string grpo = "rewards = { length }, optimizer = adamw, objective = \"grpo\", ";
  const auto end = [&](const std::string &more) {
    static int n = 0;
    return run(trains(grpo + more) + "return hone.pipeline { x }\n", folder / std::to_string(n++));
  };
  expect_refused(end("sampling_temperature = 0.5"), {"script.lua:23", "train_step", "agree to the last bit"}, 1);
  expect_refused(end("trainings = 2"), {"agree to the last bit", "policy_version"}, 1);
  expect_refused(end("trainings = 2, forgives = true, steps = 1"), {"agree to the last bit"}, 1);
  EXPECT_EQ(end("trainings = 2, verify = false").code, 0);
  const Ended older = end("trainings = 2, versions = true");
  EXPECT_EQ(older.code, 0) << older.err;
  EXPECT_NE(lasting_metrics(folder / "4").at(0).at("ratio/mean"), 1) << "the second step was not off policy";
}

TEST_F(TrainingLoop, APlanChecksTheTrainersAndCountsTheirMemory) {
  const auto plan = [&](const std::string &stages) { return hone({"plan", sums(stages)}, how); };
  const std::string end = "return hone.pipeline { x }\n";
  const Ended planned = plan(trains("rewards = { length }, optimizer = adamw, objective = \"grpo\", objective_settings = { beta = 0.1 }, second = \"sft\"") + end);
  ASSERT_EQ(planned.code, 0) << planned.err;
  EXPECT_NE(planned.out.find("trains    grpo with adamw, sft with adamw"), std::string::npos) << planned.out;
  // What a loop trains on is known to it alone: its activations are not counted.
  const auto memory = [](const Ended &ended) {
    double mebibytes = 0;
    EXPECT_EQ(std::sscanf(ended.out.c_str() + ended.out.find("memory"), "memory %lf MiB", &mebibytes), 1) << ended.out;
    return mebibytes;
  };
  const double loop = memory(plan(trains("rows = \"data\", optimizer = adamw") + end)),
               stage = memory(plan("local x = hone.stage \"sft\" { model = model, data = some, optimizer = adamw }\n" + end));
  EXPECT_GT(loop, 0.8 * stage);
  EXPECT_LT(loop, stage);

  const std::string rows = "rows = \"data\", optimizer = adamw";
  expect_refused(plan(trains(rows + ", objective = \"grop\"") + end), {"script.lua:23", "grop", "did you mean \"grpo\""}, 2);
  expect_refused(plan(trains(rows + ", objective = \"eval\"") + end), {"script.lua:23", "eval", "no objective"}, 2);
  expect_refused(plan(trains(rows + ", objective = \"grpo\", objective_settings = { epsilno = 1 }") + end), {"script.lua:23", "epsilno", "did you mean \"epsilon\""}, 2);
  expect_refused(plan(trains(rows + ", objective = \"grpo\", objective_settings = { epsilon = 7 }") + end), {"script.lua:23", "epsilon", "7"}, 2);
  expect_refused(plan(trains(rows + ", unit_tokens = -1") + end), {"script.lua:23", "unit_tokens"}, 2);
  expect_refused(plan(trains(rows + ", temperature = 200") + end), {"script.lua:23", "temperature", "200"}, 2);
  expect_refused(plan(trains("rows = \"data\"") + end), {"script.lua:23", "gave it no optimizer"}, 2);
  expect_refused(plan("local s = hone.optimizer \"adamw\" { schedule = \"cosine\" }\nlocal x = hone.stage \"expert_iteration\" { model = model, prompts = prompts, "
                      "rewards = { right }, optimizer = s }\n" + end), {"script.lua:23", "cosine", "script.lua:24", "constant"}, 2);
  expect_refused(plan(trains("rows = \"data\", asks = \"never\"") + "return hone.pipeline { x, hone.stage \"eval\" { models = { x.model } } }\n"),
                 {"script.lua:24", "trains no model", "optimizer"}, 2);
  expect_refused(plan("local x = hone.stage \"sample\" { model = model, prompts = prompts }\nlocal y = x.model\n"), {"script.lua:24", "trains no model"}, 2);
}

TEST_F(TrainingLoop, TrainersAreAskedForInTimeAndAgainAfterAResume) {
  const std::string rows = "rows = \"data\", optimizer = adamw, steps = 400, save_every = 1, ", end = "return hone.pipeline { x }\n";
  expect_refused(run(trains(rows + "asks = \"late\"") + end, folder / "late"), {"script.lua:23", "too late"}, 1);
  expect_refused(run(trains(rows + "asks = \"never\"") + "return hone.pipeline { x, hone.stage \"sft\" { model = x.model, data = some, optimizer = adamw } }\n", folder / "never"),
                 {"script.lua:23", "script.lua:24", "no trainer"}, 1);
  const fs::path to = folder / "forgets";
  How stop = how;
  stop.signal = SIGTERM;
  stop.watched = to / "metrics.jsonl";
  stop.after_lines = 3;
  ASSERT_EQ(hone({"run", sums(trains(rows + "asks = \"first\", second = \"sft\", forgets = true") + end), "--out", to.string()}, stop).code, 143);
  expect_refused(hone({"resume", to.string()}, how), {"script.lua:23", "2 trained models", "asked for 1"}, 1);
}

TEST_F(TrainingLoop, RowsThatAnObjectiveCannotLearnFromAreSentences) {
  const auto end = [&](const std::string &more) {
    static int n = 0;
    return run(trains("optimizer = adamw, " + more) + "return hone.pipeline { x }\n", folder / ("rows-" + std::to_string(n++)));
  };
  expect_refused(end("objective = \"grpo\""), {"script.lua:23", "train_step", "\"reward\""}, 1);                     // not scored
  expect_refused(end("objective = \"reward_model\", rows = \"data\""), {"train_step", "pairs", "\"group\""}, 1);
  expect_refused(end("objective = \"grpo\", rows = \"data\""), {"train_step", "\"group\""}, 1);
}

}  // namespace
}  // namespace hone_pipeline
