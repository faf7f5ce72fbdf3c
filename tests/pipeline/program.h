// program.h -- runs the built program as a user would: arguments, environment, limits, signals; and looks at what it left.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace hone_pipeline {

namespace fs = std::filesystem;
using nlohmann::json;

struct Ended {
  int code = -1;     // exit code, or 128 + the signal that ended it
  std::string out, err;
  double seconds = 0, peak_bytes = 0;  // the most memory it had
};

struct How {
  std::map<std::string, std::string> environment;
  uint64_t file_limit = 0;      // RLIMIT_FSIZE in bytes; 0: none
  // A signal is sent once `watched` has this many lines more than at the start, and then `delay` seconds later: by progress, not
  // by the clock, so that a busy machine does not change what a test means. watched empty: never.
  fs::path watched;
  int after_lines = 0;
  std::function<bool()> ready;  // in place of `watched`: the signal is sent once this is true
  double delay = 0;
  int signal = SIGKILL;
  std::string input;
  fs::path program = fs::path(HONE_BUILD_DIR) / "bin" / "hone";
  fs::path folder;              // working directory; "": the test's own
};

inline std::string slurp(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void spit(const fs::path &path, const std::string &text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline int count_lines(const fs::path &path) {
  const std::string text = fs::exists(path) ? slurp(path) : "";
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

// Output goes through files, so that nothing blocks and a killed program's words are kept.
inline Ended hone(const std::vector<std::string> &arguments, const How &how = {}) {
  static int counter = 0;
  const fs::path stem = fs::temp_directory_path() / ("hone-program-" + std::to_string(getpid()) + "-" + std::to_string(counter++));
  const fs::path out = stem.string() + ".out", err = stem.string() + ".err", in = stem.string() + ".in";
  spit(in, how.input);
  const auto began = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    const auto redirect = [](const fs::path &path, int to, int flags) { dup2(open(path.c_str(), flags, 0644), to); };
    redirect(in, 0, O_RDONLY);
    redirect(out, 1, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(err, 2, O_WRONLY | O_CREAT | O_TRUNC);
    for (const auto &[name, value] : how.environment) setenv(name.c_str(), value.c_str(), 1);
    if (!how.folder.empty() && chdir(how.folder.c_str()) != 0) _exit(126);
    if (how.file_limit > 0) {
      const rlimit limit{how.file_limit, how.file_limit};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    std::vector<char *> argv{const_cast<char *>(how.program.c_str())};
    for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  bool signalled = how.watched.empty() && !how.ready;
  const int lines_before = how.watched.empty() ? 0 : count_lines(how.watched);
  const auto ready = [&] {
    return how.ready ? how.ready() : fs::exists(how.watched) && count_lines(how.watched) - lines_before >= how.after_lines;
  };
  int status = 0;
  rusage usage{};
  for (;;) {
    if (wait4(child, &status, WNOHANG, &usage) == child) break;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (!signalled && ready()) {
      std::this_thread::sleep_for(std::chrono::duration<double>(how.delay));
      kill(child, how.signal);
      signalled = true;
    }
    if (seconds > 500) kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Ended ended;
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  ended.peak_bytes = 1024.0 * static_cast<double>(usage.ru_maxrss);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ended.out = slurp(out);
  ended.err = slurp(err);
  for (const fs::path &path : {out, err, in}) fs::remove(path);
  return ended;
}

// Begins a run and kills it again and again, resuming it each time, until it gets through or `rounds` are over; then lets it end. Answers
// how often it was killed. moment: when a round is killed, by its after_lines (of metrics.jsonl) and delay, and in what environment.
inline int kill_and_resume(const std::vector<std::string> &begin, const fs::path &run, int rounds, const std::function<How(int round)> &moment) {
  const std::vector<std::string> resume = {"resume", run.string()};
  int kills = 0;
  for (; kills < rounds; ++kills) {
    How how = moment(kills);
    how.watched = run / "metrics.jsonl";
    const Ended ended = hone(fs::exists(run / "run.json") ? resume : begin, how);
    if (ended.code == 0) break;
    EXPECT_EQ(ended.code, 128 + SIGKILL) << ended.err;
    if (ended.code != 128 + SIGKILL) return kills;
  }
  How undisturbed;
  undisturbed.environment = moment(0).environment;
  const Ended ended = hone(resume, undisturbed);
  EXPECT_EQ(ended.code, 0) << ended.err;
  return kills;
}

// A folder of its own for each test, removed when it passes.
class Program : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto *info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = fs::temp_directory_path() / ("hone-" + std::string(info->name()) + "-" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directories(folder);
    setenv("XDG_CACHE_HOME", (fs::temp_directory_path() / "hone-test-cache").c_str(), 1);
  }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(folder);
  }
  // Writes a script beside the test's data and returns its path.
  std::string script(const std::string &text, const std::string &name = "script.lua") {
    spit(folder / name, text);
    return (folder / name).string();
  }
  fs::path folder;
};

// metrics.jsonl without what is a time.
inline std::vector<json> lasting_metrics(const fs::path &run) {
  std::vector<json> lines;
  std::istringstream text(slurp(run / "metrics.jsonl"));
  for (std::string line; std::getline(text, line);) {
    json row = json::parse(line);
    for (const char *time : {"step_time", "time/sample", "time/score", "time/train"}) row.erase(time);
    lines.push_back(row);
  }
  return lines;
}

// What every stage left: checksums of weights and emitted rows, results, by folder.
inline json lasting_results(const fs::path &run) {
  json all;
  for (const auto &entry : fs::directory_iterator(run)) {
    if (!fs::exists(entry.path() / "done")) continue;
    json summary = json::parse(slurp(entry.path() / "done"));
    // Lengths of metrics.jsonl vary with the digits of times.
    for (const char *time : {"seconds", "cached", "metrics_begin", "metrics_length"}) summary.erase(time);
    all[entry.path().filename().string()] = summary;
  }
  return all;
}

// All stages of a small pipeline in about a second: words, a dense and a routed model, every kind of stage.
inline const char *small_pipeline() {
  return R"lua(
local hone = require "hone"
local o = hone.options {
  algorithm = { "grpo", "objective of the RL stage" },
  steps = { 5, "steps of the RL stage" },
  save_every = { 1, "steps between checkpoints" },
}
local words = { "<pad>", "<bos>", "<eos>", "<think>", "</think>", "<answer>", "</answer>", "ADD", "?", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" }
local function task(i)
  local a, b = math.random(0, 4), math.random(0, 4)
  return string.format("ADD %d %d ?", a, b), tostring(a + b), a, b
end
local rows = hone.rows { count = 96, seed = 3, make = function(i)
  local prompt, answer, a, b = task(i)
  return { prompt = prompt, response = "<think> " .. a .. " " .. b .. " </think> <answer> " .. answer .. " </answer>", answer = answer }
end }
local prompts = hone.rows { count = 40, seed = 4, make = function(i)
  local prompt, answer = task(i)
  return { prompt = prompt, answer = answer }
end }
local pairs_of = hone.rows { count = 24, seed = 5, make = function(i)
  local prompt, answer = task(i)
  return { prompt = prompt, chosen = "<answer> " .. answer .. " </answer>", rejected = "<answer> 9 </answer>" }
end }
local adamw = hone.optimizer "adamw" { learning_rate = 3e-3, schedule = "cosine", warmup_steps = 2 }
local base = hone.model "deepseek_moe" {
  name = "tiny", words = words, vocab_size = 19, hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 2,
  kv_lora_rank = 16, qk_nope_head_dim = 8, qk_rope_head_dim = 8, v_head_dim = 8, intermediate_size = 32, moe_intermediate_size = 16,
  n_routed_experts = 4, num_experts_per_tok = 2, n_shared_experts = 1, n_group = 1, topk_group = 1, first_k_dense_replace = 1,
  max_position_embeddings = 64,
}
local sft = hone.stage "sft" { label = "warm", model = base, data = rows, batch_size = 16, epochs = 1, optimizer = adamw, save_every = o.save_every }
local format = hone.reward "format" { label = "format", weight = 0.5 }
local right = hone.reward { label = "right", score = function(row) return row.response:find("<answer> " .. row.answer, 1, true) and 1 or 0 end }
local rl = hone.stage(o.algorithm) { label = "rl", model = sft.model, prompts = prompts, rewards = { right, format }, optimizer = adamw,
  steps = o.steps, batch_size = 4, num_generations = 4, max_completion_length = 16, save_every = o.save_every }
local kept = hone.stage "sample" { label = "kept", model = rl.model, prompts = prompts, rewards = { format }, num_generations = 2,
  max_completion_length = 16, mode = "all", batch_size = 8, save_every = o.save_every }
local judge = hone.stage "reward_model" { label = "judge", model = sft.model, data = pairs_of, batch_size = 8, optimizer = adamw, save_every = o.save_every }
local preference = hone.reward "preference" { label = "preference", model = judge.model, part = "response" }
local second = hone.stage(o.algorithm) { label = "second", model = sft.model, prompts = { sums = prompts, more = rows },
  rewards = { sums = { right, preference }, more = { format } }, optimizer = adamw, steps = 2, batch_size = 4, num_generations = 4,
  max_completion_length = 16, save_every = o.save_every, num_iterations = 2 }
return hone.pipeline { sft, rl, kept, judge, second, seed = 7,
  report = hone.stage "eval" { models = { base, rl.model, second.model }, prompts = prompts, num_generations = 2, rewards = { right },
    max_completion_length = 16, batch_size = 8, save_every = o.save_every } }
)lua";
}

}  // namespace hone_pipeline
