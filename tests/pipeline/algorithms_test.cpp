// algorithms_test.cpp -- every algorithm in whole runs: one word swaps it, and what it keeps beside the model (a critic, a refreshed
// reference, the place in the prompts) survives a kill.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Algorithms : public Program {
 protected:
  // A warm-up and one stage of RL, made of a piece of small_pipeline(). stage: its name and settings.
  std::string pipeline(const std::string &stage, const std::string &before = "") {
    std::string text = small_pipeline();
    text.resize(text.find("local rl ="));
    return text + before + "local critic_adamw = hone.optimizer \"adamw\" { learning_rate = 1e-2 }\nlocal rl = hone.stage " + stage +
           "\nreturn hone.pipeline { sft, rl, seed = 7 }\n";
  }
  static std::string with(const std::string &name, const std::string &settings, const std::string &rewards = "rewards = { right, format }") {
    return "\"" + name + "\" { label = \"rl\", model = sft.model, prompts = prompts, optimizer = adamw, steps = o.steps, batch_size = 4,\n  num_generations = 4, " +
           "max_completion_length = 16, save_every = o.save_every, " + rewards + ", " + settings + " }";
  }
  fs::path run_of(const std::string &name, const std::string &text, std::vector<std::string> more = {}) {
    std::vector<std::string> line = {"run", script(text, name + ".lua"), "--plugins", std::string(HONE_BUILD_DIR) + "/tests/strangers", "--out",
                                     (folder / name).string()};
    line.insert(line.end(), more.begin(), more.end());
    const Ended ended = hone(line);
    EXPECT_EQ(ended.code, 0) << name << ": " << ended.err;
    return folder / name;
  }
  static std::vector<json> steps_of(const fs::path &run) {
    std::vector<json> lines;
    for (const json &line : lasting_metrics(run))
      if (line["stage"] == "02-rl") lines.push_back(line);
    return lines;
  }
  void expect_same(const fs::path &run, const fs::path &other) {
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(other));
    EXPECT_EQ(lasting_results(run), lasting_results(other));
    EXPECT_FALSE(lasting_results(run).empty());
  }
};

TEST_F(Algorithms, AnyIsAOneWordChangeFromAnyOther) {
  std::map<json, std::string> by_weights;
  for (const char *name : {"grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce_plus_plus", "reinforce_plus_plus_baseline", "remax", "ppo"}) {
    const fs::path run = run_of(name, pipeline(with(name, "num_iterations = 2")));  // with one, gspo's gradient is grpo's
    if (HasFailure()) return;
    const json weights = lasting_results(run).at("02-rl").at("weights_checksum");
    EXPECT_TRUE(by_weights.emplace(weights, name).second) << name << " trains to the weights of " << by_weights[weights];
    for (const json &step : steps_of(run)) EXPECT_EQ(step.at("sampling/sampling_logp_difference/max"), 0) << name;
  }
}

TEST_F(Algorithms, AStrangersCopyTrainsToTheBitsOfTheBuiltInItMirrors) {
  const fs::path ours = run_of("ours", pipeline(with("dr_grpo", "num_iterations = 2"))), theirs = run_of("theirs", pipeline(with("my_dr_grpo", "num_iterations = 2")));
  expect_same(ours, theirs);
}

// A critic of its own, several updates a step, prompts left out, a reference that moves: all that a checkpoint must hold.
const char *const everything =
    "critic_optimizer = critic_adamw, value_pretraining_steps = 1, num_mini_batches = 2, num_iterations = 2, kl_coef = 0.02, beta = 0.01, "
    "ref_model_sync_steps = 2, dynamic_sampling = true, mask_truncated_completions = true, max_sampling_rounds = 3";

TEST_F(Algorithms, WhatIsKeptBesideTheModelSurvivesKillsAndThreadsChangeNoBit) {
  const std::string text = pipeline(with("ppo", everything));
  const std::vector<std::string> steps = {"--set", "steps=6"};
  const fs::path whole = run_of("whole", text, steps);
  if (HasFailure()) return;
  expect_same(run_of("one", text, {"--set", "steps=6", "--threads", "1"}), whole);

  const fs::path run = folder / "killed";
  const int kills = kill_and_resume({"run", script(text, "whole.lua"), "--set", "steps=6", "--out", run.string()}, run, 14, [](int round) {
    How how;
    how.after_lines = 1 + round % 2;
    how.delay = std::fmod((round + 1) * 0.7548776662, 1.0) * 0.03;
    return how;
  });
  EXPECT_GT(kills, 2);
  expect_same(run, whole);

  const fs::path last = whole / "02-rl" / "checkpoints" / "step-6";
  EXPECT_TRUE(fs::exists(last / "critic" / "model.safetensors"));
  EXPECT_TRUE(fs::exists(last / "critic" / "optimizer.safetensors"));
  EXPECT_TRUE(fs::exists(last / "reference" / "model.safetensors"));
}

TEST_F(Algorithms, ARowOfALaterRoundOfSamplingIsReplayed) {
  const fs::path run = run_of("run", pipeline(with("ppo", everything)), {"--set", "steps=6"});
  int replayed = 0;
  for (const json &step : steps_of(run)) {
    const int prompts = step.at("sampling/prompts").get<int>(), number = step.at("step").get<int>();
    if (prompts <= 4 || replayed > 1) continue;
    const Ended ended = hone({"replay", run.string(), "--stage", "rl", "--step", std::to_string(number), "--row", std::to_string(4 * prompts - 1)});
    EXPECT_EQ(ended.code, 0) << ended.err << ended.out;
    EXPECT_TRUE(json::parse(ended.out).at("identical").get<bool>());
    ++replayed;
  }
  EXPECT_GT(replayed, 0) << "no step needed a second round; the test shows nothing";
}

TEST_F(Algorithms, ACriticBeginsAsARewardModelWhereOneIsGiven) {
  const std::string judge = "local judge = hone.stage \"reward_model\" { label = \"judge\", model = sft.model, data = pairs_of, batch_size = 8, steps = 20, optimizer = critic_adamw }\n";
  const auto first_value = [&](const std::string &name, const std::string &settings) {
    std::string text = pipeline(with("ppo", settings));
    text.insert(text.find("local rl ="), judge);
    text.replace(text.find("{ sft, rl,"), 10, "{ sft, judge, rl,");
    for (const json &line : lasting_metrics(run_of(name, text, {"--set", "steps=2"})))
      if (line["stage"] == "03-rl" && line["step"] == 1) return line.at("value/mean").get<double>();
    return std::nan("");
  };
  EXPECT_EQ(first_value("copy", "temperature = 1"), 0) << "a new value head begins at 0";
  EXPECT_GT(std::fabs(first_value("judge", "critic = judge.model")), 1e-3);
}

TEST_F(Algorithms, AnAdapterHasAnAdapterForItsCritic) {
  const fs::path whole = run_of("whole", pipeline(with("ppo", "lora = { rank = 2 }")));
  const fs::path last = whole / "02-rl" / "checkpoints" / "step-5";
  EXPECT_TRUE(fs::exists(last / "critic" / "adapter_model.safetensors"));
  EXPECT_FALSE(fs::exists(last / "critic" / "model.safetensors"));
  const fs::path run = folder / "killed";
  How how;
  how.watched = run / "metrics.jsonl";
  how.after_lines = 9;
  ASSERT_EQ(hone({"run", script(pipeline(with("ppo", "lora = { rank = 2 }")), "whole.lua"), "--out", run.string()}, how).code, 128 + SIGKILL);
  ASSERT_EQ(hone({"resume", run.string()}).code, 0);
  expect_same(run, whole);
}

TEST_F(Algorithms, AReferenceThatIsRefreshedIsTheModelOfThatStep) {
  const auto kl = [&](const std::string &name, const std::string &sync) {
    std::vector<double> all;
    for (const json &step : steps_of(run_of(name, pipeline(with("grpo", "beta = 0.01, ref_model_sync_steps = " + sync)), {"--set", "steps=6"}))) all.push_back(step.at("kl"));
    return all;
  };
  const std::vector<double> refreshed = kl("refreshed", "3"), kept = kl("kept", "0");
  for (int step = 0; step < 3; ++step) EXPECT_EQ(refreshed[step], kept[step]);
  EXPECT_EQ(refreshed[0], 0);
  EXPECT_GT(refreshed[2], 0);
  EXPECT_EQ(refreshed[3], 0) << "step 4 begins with its reference";
  EXPECT_GT(kept[3], 0);
}

TEST_F(Algorithms, OnPolicyDistillationNeedsNoRewardsAndComesNearerToItsTeacher) {
  const std::string teacher =
      "local teacher = hone.stage \"sft\" { label = \"teacher\", model = sft.model, data = rows, batch_size = 16, epochs = 12, optimizer = adamw }\n";
  std::string text = pipeline(with("distill", "teacher = teacher.model, temperature = 1", "max_flat_steps = 3"), teacher);
  text.replace(text.find("{ sft, rl,"), 10, "{ sft, teacher, rl,");
  const fs::path run = run_of("run", text, {"--set", "steps=40"});
  std::vector<double> kl;
  for (const json &line : lasting_metrics(run))
    if (line["stage"] == "03-rl") kl.push_back(line.at("teacher_kl"));
  ASSERT_EQ(kl.size(), 40u);
  double first = 0, last = 0;
  for (int i = 0; i < 5; ++i) first += kl[i] / 5, last += kl[35 + i] / 5;
  EXPECT_GT(first, 0.05);
  EXPECT_LT(last, first / 2);
}

TEST_F(Algorithms, ARunThatCollapsesStopsWithASentenceOrWarns) {
  const std::string flat = "rewards = { function(row) return 1 end }";
  for (const auto &[settings, rewards, says] :
       {std::tuple{std::string("max_flat_steps = 3"), flat, "for 3 steps up to step 3 no response had an advantage"},
        {std::string("min_entropy = 100"), std::string("rewards = { right }"), "below min_entropy = 100"},
        {std::string("max_kl = 1e-9, beta = 0.01"), std::string("rewards = { format }"), "above max_kl = "}}) {
    const std::string stopped = script(pipeline(with("grpo", settings, rewards)), "stopped.lua");
    const Ended ended = hone({"run", stopped, "--out", (folder / "stopped").string()});
    EXPECT_EQ(ended.code, 1) << settings;
    EXPECT_NE(ended.err.find(says), std::string::npos) << ended.err;
    const Ended warned = hone({"run", script(pipeline(with("grpo", settings + ", on_collapse = \"warn\"", rewards)), "warned.lua"), "--out", (folder / "warned").string()});
    EXPECT_EQ(warned.code, 0) << warned.err;
    const size_t at = warned.err.find(says);
    EXPECT_NE(at, std::string::npos) << warned.err;
    EXPECT_EQ(warned.err.find(says, at + 1), std::string::npos) << "told more than once: " << warned.err;
    fs::remove_all(folder / "stopped"), fs::remove_all(folder / "warned");
  }
}

TEST_F(Algorithms, PlanCountsTheCriticAndRefusesWhatMeansNothing) {
  const auto plan = [&](const std::string &text) { return hone({"plan", script(text, "plan.lua")}); };
  const Ended own = plan(pipeline(with("ppo", "temperature = 1"))), shared = plan(pipeline(with("ppo", "share_critic = true")));
  EXPECT_EQ(own.code, 0) << own.err;
  EXPECT_EQ(shared.code, 0) << shared.err;
  EXPECT_NE(own.out, shared.out) << "a critic of its own takes no memory";
  for (const auto &[name, setting, says] : {std::tuple{"grpo", "value_pretraining_steps = 2", "`value_pretraining_steps` means nothing to it"},
                                            {"grpo", "ref_model_sync_steps = 2", "`ref_model_sync_steps` means nothing to it"},
                                            {"ppo", "critic = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\" } }", "its critic reads the model's responses by their tokens, but has another vocabulary"},
                                            {"distill", "teacher = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\" } }", "its teacher reads the model's responses by their tokens"},
                                            {"ppo", "share_critic = true, value_pretraining_steps = 2", "`value_pretraining_steps` is of a critic of its own"},
                                            {"dapo", "num_iterations = 1", "num_generations is 1"}}) {
    std::string text = pipeline(with(name, setting));
    if (std::string(name) == "dapo") text.replace(text.find("num_generations = 4"), 19, "num_generations = 1");
    const Ended refused = plan(text);
    EXPECT_EQ(refused.code, 2) << setting;
    EXPECT_NE(refused.err.find(says), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace hone_pipeline
