// process_rewards_test.cpp -- roll-outs label steps, a process reward model learns them, and a policy learns from what it says of each
// step.
#include <zstd.h>

#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

// Three digits are copied, one in a step; the warm-up's data has wrong ones, so the model errs. A third of the prompts is held out.
const char kStages[] = R"lua(local hone = require "hone"
local o = hone.options { save_every = { 100, "steps between checkpoints" }, small = { false, "few rows and steps" },
  algorithm = { "grpo", "objective of the RL stage" } }
local words = { "<pad>", "<bos>", "<eos>", "COPY", "?", ";", "0", "1", "2", "3", "4", "5" }
local function digits(n) return n // 36, n // 6 % 6, n % 6 end
local function task(held_out)
  local n
  repeat n = math.random(0, 215) until (n % 3 == 0) == held_out
  local a, b, c = digits(n)
  return ("COPY %d %d %d ?"):format(a, b, c), ("%d ; %d ; %d"):format(a, b, c), { a, b, c }
end
local function noisy(d) return math.random() < 0.25 and math.random(0, 5) or d end
local warmup = hone.rows { count = o.small and 64 or 6400, seed = 3, make = function(i)
  local prompt, _, d = task(false)
  return { prompt = prompt, response = ("%d ; %d ; %d"):format(noisy(d[1]), noisy(d[2]), noisy(d[3])) }
end }
local function prompts(count, seed)
  return hone.rows { count = count, seed = seed, make = function(i)
    local prompt, answer = task(false)
    return { prompt = prompt, answer = answer }
  end }
end
local adamw = hone.optimizer "adamw" { learning_rate = 3e-3 }
local base = hone.model "llama" { name = "tiny", words = words, hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2,
  num_attention_heads = 4, num_key_value_heads = 2, max_position_embeddings = 32 }
local right = hone.reward { label = "right", score = function(row) return row.response == row.answer and 1 or 0 end }
local warm = hone.stage "sft" { label = "warm", model = base, data = warmup, batch_size = 32, optimizer = adamw, save_every = o.save_every }
local labelled = hone.stage "label_steps" { label = "labelled", model = warm.model, prompts = prompts(o.small and 6 or 600, 4), rewards = { right },
  num_generations = 8, num_rollouts = 8, labels = "hard", step_separators = { ";" }, max_completion_length = 8, batch_size = o.small and 2 or 50, save_every = o.save_every }
local judge = hone.stage "prm" { label = "judge", model = warm.model, data = labelled.data, batch_size = 32, epochs = o.small and 1 or 15, optimizer = adamw,
  save_every = o.save_every }
local prm = hone.reward "prm" { model = judge.model, aggregate = "min" }
local rl = hone.stage(o.algorithm) { label = "rl", model = warm.model, prompts = prompts(64, 5), rewards = { prm }, supervision = "process",
  step_separators = { ";" }, optimizer = hone.optimizer "adamw" { learning_rate = 1e-3 }, steps = o.small and 3 or 40, batch_size = o.small and 2 or 16,
  num_generations = o.small and 4 or 8, max_completion_length = 8, save_every = o.save_every }
return hone.pipeline { warm, labelled, judge, rl, seed = 7 }
)lua";

class ProcessRewards : public Program {
 protected:
  Ended run(const fs::path &to, const std::vector<std::string> &more, const How &how = {}) {
    std::vector<std::string> arguments{"run", script(kStages), "--out", to.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return hone(arguments, how);
  }
  // What the stages left; the last checkpoint's weights are among it, by checksum.
  static void expect_same(const fs::path &got, const fs::path &expected) {
    EXPECT_EQ(lasting_metrics(got), lasting_metrics(expected));
    EXPECT_EQ(lasting_results(got), lasting_results(expected));
    EXPECT_EQ(slurp(got / "02-labelled/data.jsonl"), slurp(expected / "02-labelled/data.jsonl"));
  }
};

std::vector<json> json_lines(const std::string &text) {
  std::vector<json> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out.push_back(json::parse(line));
  return out;
}

std::vector<json> rollouts(const fs::path &file) {
  const std::string packed = slurp(file);
  std::string text(ZSTD_getFrameContentSize(packed.data(), packed.size()), '\0');
  const size_t size = ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
  EXPECT_FALSE(ZSTD_isError(size)) << file;
  return json_lines(text);
}

// The share of pairs of a right and a wrong step of which the right one has the higher score.
double auc(const std::vector<double> &right, const std::vector<double> &wrong) {
  double above = 0;
  for (const double r : right)
    for (const double w : wrong) above += r > w ? 1 : r == w ? 0.5 : 0;
  return above / static_cast<double>(right.size() * wrong.size());
}

TEST_F(ProcessRewards, TellRightStepsFromWrongOnesOfPromptsNeverSeen) {
  const Ended ended = run(folder / "run", {});
  ASSERT_EQ(ended.code, 0) << ended.err;
  // Steps of prompts that were held out: any digits, right when all so far are the prompt's.
  std::string rows;
  std::vector<bool> truth;
  for (int n = 0; n < 216; n += 3)
    for (int wrong_at = 0; wrong_at < 4; ++wrong_at) {
      const int digit[] = {n / 36, n / 6 % 6, n % 6};
      std::string response;
      for (int j = 0; j < 3; ++j) {
        const int shown = j == wrong_at ? (digit[j] + 1 + n / 3 % 5) % 6 : digit[j];
        response += (j == 0 ? "" : " ") + std::to_string(shown) + (j < 2 ? " ;" : "");
        truth.push_back(j < wrong_at);
        rows +=
            json{{"prompt", "COPY " + std::to_string(digit[0]) + " " + std::to_string(digit[1]) + " " + std::to_string(digit[2]) + " ?"},
                 {"response", response}}
                .dump() +
            "\n";
      }
    }
  spit(folder / "steps.jsonl", rows);
  fs::path judge;
  for (const auto &entry : fs::directory_iterator(folder / "run/03-judge/checkpoints")) judge = std::max(judge, entry.path());
  const Ended scored = hone({"score", "prm", "--input", (folder / "steps.jsonl").string(), "--set", "model=" + judge.string(), "--set",
                             "aggregate=last", "--set", "step_separators=[\";\"]"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  std::vector<double> right, wrong;
  const auto scores = json_lines(scored.out);
  ASSERT_EQ(scores.size(), truth.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    ASSERT_TRUE(scores[i].at("score").is_number()) << scores[i];
    (truth[i] ? right : wrong).push_back(scores[i].at("score"));
  }
  RecordProperty("auc", std::to_string(auc(right, wrong)));
  EXPECT_GT(auc(right, wrong), 0.7) << "0.5 is chance";

  // And the labels that it learnt are those of the digits, as far as a few roll-outs tell.
  std::vector<double> labels_right, labels_wrong;
  for (const json &row : json_lines(slurp(folder / "run/02-labelled/data.jsonl"))) {
    const std::string answer = row.at("answer");
    std::string so_far;
    ASSERT_EQ(row.at("steps").size(), row.at("labels").size());
    for (size_t j = 0; j < row["steps"].size(); ++j) {
      so_far += row["steps"][j].get<std::string>();
      (answer.starts_with(so_far) ? labels_right : labels_wrong).push_back(row["labels"][j]);
    }
  }
  EXPECT_GT(labels_wrong.size(), 50u);
  EXPECT_GT(auc(labels_right, labels_wrong), 0.95);

  // GRPO's advantage of a first token, worked out from what was recorded: all steps of its row, against those of its group.
  std::map<int, std::vector<json>> groups;
  for (const json &row : rollouts(folder / "run/04-rl/rollouts/step-000005.jsonl.zst")) groups[row.at("group")].push_back(row);
  ASSERT_EQ(groups.size(), 16u);
  constexpr int kSemicolon = 5;  // its id
  int several = 0;
  for (const auto &[group, members] : groups) {
    std::vector<double> all;
    for (const json &row : members)
      for (const json &reward : row.at("step_rewards")) all.push_back(reward);
    double mean = 0, variance = 0;
    for (const double reward : all) mean += reward / static_cast<double>(all.size());
    for (const double reward : all) variance += (reward - mean) * (reward - mean) / static_cast<double>(all.size());
    for (const json &row : members) {
      double advantage = 0, least = 1;
      for (const json &reward : row["step_rewards"])
        advantage += (reward.get<double>() - mean) / std::sqrt(variance), least = std::min(least, reward.get<double>());
      EXPECT_NEAR(row.at("advantage"), advantage, 1e-4) << row;
      EXPECT_NEAR(row.at("rewards").at("prm"), least, 1e-6) << "the response's own score is the least of its steps'";
      ASSERT_EQ(row.at("step_start").size(), row["step_rewards"].size());
      for (size_t j = 1; j < row["step_start"].size(); ++j)
        EXPECT_EQ(row.at("ids")[row["step_start"][j].get<size_t>() - 1], kSemicolon) << row;
      several += row["step_start"].size() == 3;
    }
  }
  EXPECT_GT(several, 64) << "of 128 responses; with fewer steps than three there is little to see";

  double first = 0, last = 0;
  for (const json &line : lasting_metrics(folder / "run")) {
    if (line.at("stage") != "04-rl") continue;
    const double steps = line.at("rewards/prm/steps"), mean = line.at("step_reward/mean");
    EXPECT_GE(steps, 1);
    EXPECT_LE(steps, 4);
    EXPECT_EQ(line.at("sampling/sampling_logp_difference/max"), 0);
    if (line.at("step") <= 4) first += mean / 4;
    if (line.at("step") > 36) last += mean / 4;
  }
  EXPECT_GT(last, first + 0.1) << "the policy learns what the model of steps rewards";
}

TEST_F(ProcessRewards, ARunStoppedAnywhereEndsWithTheSameBits) {
  const std::vector<std::string> small = {"--set", "small=true", "--set", "save_every=1"};
  const Ended reference = run(folder / "reference", small);
  ASSERT_EQ(reference.code, 0) << reference.err;
  const int lines = count_lines(folder / "reference/metrics.jsonl");
  ASSERT_GT(lines, 8);
  int resumed_runs = 0;
  for (int after = 1; after < lines; ++after) {
    const fs::path to = folder / ("run-" + std::to_string(after));
    How killed;
    killed.watched = to / "metrics.jsonl";
    killed.after_lines = after;
    const Ended ended = run(to, small, killed);
    if (ended.code == 128 + SIGKILL) {
      ++resumed_runs;
      const Ended resumed = hone({"resume", to.string()});
      ASSERT_EQ(resumed.code, 0) << resumed.err;
    } else {
      ASSERT_EQ(ended.code, 0) << ended.err;
    }
    expect_same(to, folder / "reference");
  }
  EXPECT_GT(resumed_runs, 3) << "the kills came too late";
}

TEST_F(ProcessRewards, PpoLearnsFromStepsToo) {
  const Ended ended = run(folder / "run", {"--set", "small=true", "--set", "algorithm=ppo"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  size_t steps = 0;
  for (const json &line : lasting_metrics(folder / "run"))
    if (line.at("stage") == "04-rl") steps += line.at("step_reward/mean").is_number();
  EXPECT_EQ(steps, 3u);
}

TEST_F(ProcessRewards, WithoutARewardOfStepsThereIsASentence) {
  const auto with = [&](const std::string &rewards, const char *verb, int code, const std::vector<std::string> &words) {
    std::string text = kStages;
    text.replace(text.find("rewards = { prm }"), 17, "rewards = { " + rewards + " }");
    text.replace(text.find("return hone.pipeline { warm, labelled, judge, rl"), 48, "return hone.pipeline { warm, rl");
    const Ended ended = verb == std::string("plan")
                            ? hone({"plan", script(text), "--set", "small=true"})
                            : hone({"run", script(text), "--set", "small=true", "--out", (folder / "run").string()});
    EXPECT_EQ(ended.code, code) << ended.err;
    for (const std::string &word : words) EXPECT_NE(ended.err.find(word), std::string::npos) << "no \"" << word << "\" in: " << ended.err;
  };
  with("right", "plan", 2,
       {"script.lua:", "stage rl", "learns from a reward for each step", "(right) each is a function", "hone.reward \"prm\""});
  with("hone.reward \"length\" {}", "plan", 0, {});
  with("hone.reward \"length\" {}", "run", 1, {"stage rl", "none of its rewards scored a step of the 8 responses of step 1"});
}

TEST_F(ProcessRewards, APlanRefusesRowsWithoutLabels) {
  spit(folder / "rows.jsonl",
       "{\"prompt\": \"COPY 1 2 3 ?\", \"steps\": [\"1 ;\", \"2\"], \"labels\": [1, 0.5]}\n{\"prompt\": \"COPY 1 2 3 ?\", \"steps\": [\"1 "
       ";\", \"2\"], \"labels\": [1]}\n");
  std::string text = kStages;
  text.replace(text.find("data = labelled.data"), 20, "data = \"rows.jsonl\"");
  text.replace(text.find("return hone.pipeline { warm, labelled, judge, rl"), 48, "return hone.pipeline { warm, judge");
  const Ended ended = hone({"plan", script(text), "--set", "small=true"});
  EXPECT_EQ(ended.code, 2) << ended.err;
  EXPECT_NE(ended.err.find("rows.jsonl:2: labels has 1 numbers for 2 steps"), std::string::npos) << ended.err;
}

}  // namespace
}  // namespace hone_pipeline
