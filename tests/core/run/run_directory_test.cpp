// run_directory_test.cpp -- runs, checkpoints, logs and rollouts that survive kill -9, damage and full disks.
#include "core/run/run_directory.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

class RunTest : public testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto &entry : fs::directory_iterator(folder_)) out.push_back(entry.path().filename().string());
    return out;
  }
  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path;
};
using RunDirectoryTest = RunTest;
using Checkpoint = RunTest;
using Rollouts = RunTest;
using GrowingFileTest = RunTest;

void put(const fs::path &path, const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A checkpoint whose files can be told from the step alone.
std::string content(uint32_t step, int file) {
  std::mt19937 random(step * 7 + uint32_t(file));
  std::string out(1000 + random() % 200'000, '\0');
  for (char &c : out) c = char(random());
  return out;
}
void save(StageDirectory &stage, uint32_t step, uint32_t keep) {
  const fs::path part = stage.begin_checkpoint(step);
  put(part / "model.safetensors", content(step, 0));
  fs::create_directories(part / "deeper");
  put(part / "deeper" / "state.json", content(step, 1));
  stage.commit_checkpoint(step, keep);
}
void expect_whole(const StageDirectory &stage, uint32_t at_least) {
  uint32_t step = 0;
  fs::path path;
  if (!stage.newest_checkpoint(step, path)) {
    EXPECT_EQ(at_least, 0u) << "a committed checkpoint is gone";
    return;
  }
  EXPECT_GE(step, at_least);
  EXPECT_EQ(read_file(path / "model.safetensors"), content(step, 0));
  EXPECT_EQ(read_file(path / "deeper" / "state.json"), content(step, 1));
}

TEST_F(RunDirectoryTest, HoldsTheFilesItWasMadeWithAndOpensAgain) {
  {
    RunDirectory run = RunDirectory::create(folder_ / "r", "r1", {{"script.lua", "return 1"}, {"tiny/corpus.lua", "-- x"}});
    run.metrics().append("{\"a\":1}\n");
  }
  RunDirectory run = RunDirectory::open(folder_ / "r");
  EXPECT_EQ(read_file(run.path() / "script.lua"), "return 1");
  EXPECT_EQ(read_file(run.path() / "tiny" / "corpus.lua"), "-- x");
  EXPECT_EQ(run.metrics().length(), 8u);
  EXPECT_EQ(run.stage(2, "first rl/../x").path().parent_path(), run.path());
}

TEST_F(RunDirectoryTest, NumbersRunsWithoutAName) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  const fs::path first = RunDirectory::create("", "r1", {}).path(), second = RunDirectory::create("", "r1", {}).path();
  fs::current_path(before);
  EXPECT_EQ(first, "runs/r1-1");
  EXPECT_EQ(second, "runs/r1-2");
}

TEST_F(RunDirectoryTest, RefusesAFolderInUseAndLeavesNothingHalfMade) {
  fs::create_directory(folder_ / "used");
  put(folder_ / "used" / "thesis.tex", "x");
  EXPECT_NE(refusal_of([&] { RunDirectory::create(folder_ / "used", "r1", {}); }).find("not empty"), std::string::npos);
  EXPECT_NE(refusal_of([&] { RunDirectory::create(folder_ / "other", "r1", {{"../escape", "x"}}); }).find("../escape"), std::string::npos);
  put(folder_ / "file", "x");
  EXPECT_THROW(RunDirectory::create(folder_ / "file", "r1", {}), UsageError);
  RunDirectory::create(folder_ / "run", "r1", {});
  EXPECT_NE(refusal_of([&] { RunDirectory::create(folder_ / "run", "r1", {}); }).find("hone resume"), std::string::npos);
  std::vector<std::string> left = names();
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<std::string>{"file", "run", "used"}));
  EXPECT_EQ(read_file(folder_ / "used" / "thesis.tex"), "x");
}

TEST_F(RunDirectoryTest, AFullDiskWhileMakingItLeavesNothing) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{5000, 5000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      RunDirectory::create(folder_ / "new" / "run", "r1", {{"a.lua", "small"}, {"big.lua", std::string(100'000, 'x')}});
    } catch (const Failure &failure) {
      _exit(std::string(failure.what()).find("big.lua") != std::string::npos ? 0 : 2);
    }
    _exit(1);
  }
  int status;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(names().empty());
}

TEST_F(RunDirectoryTest, OpenSaysWhatIsNotARun) {
  EXPECT_NE(refusal_of([&] { RunDirectory::open(folder_ / "none"); }).find("there is no run"), std::string::npos);
  EXPECT_NE(refusal_of([&] { RunDirectory::open(folder_); }).find("is not a run"), std::string::npos);
  put(folder_ / "run.json", "{broken");
  EXPECT_NE(refusal_of([&] { RunDirectory::open(folder_); }).find("damaged"), std::string::npos);
  put(folder_ / "run.json", "{\"format\":99}");
  EXPECT_NE(refusal_of([&] { RunDirectory::open(folder_); }).find("format 99"), std::string::npos);
}

TEST_F(RunDirectoryTest, OneProcessAtATimeAndTheOtherIsNamed) {
  RunDirectory run = RunDirectory::create(folder_ / "r", "r1", {});
  run.lock();
  const std::string pid = std::to_string(getpid());
  {
    RunDirectory again = RunDirectory::open(folder_ / "r");
    EXPECT_NE(refusal_of([&] { again.lock(); }).find("pid " + pid), std::string::npos);
  }
  { RunDirectory gone = std::move(run); }
  RunDirectory again = RunDirectory::open(folder_ / "r");
  EXPECT_NO_THROW(again.lock());
}

TEST_F(GrowingFileTest, TruncatesToALengthItHadAndRefusesOneItNeverHad) {
  GrowingFile file(folder_ / "metrics.jsonl");
  file.append("one\n");
  file.append("two\n");
  file.truncate(4);
  file.append("2\n");
  EXPECT_EQ(read_file(folder_ / "metrics.jsonl"), "one\n2\n");
  EXPECT_NE(refusal_of([&] { file.truncate(100); }).find("100"), std::string::npos);
  EXPECT_EQ(GrowingFile(folder_ / "metrics.jsonl").length(), 6u);
}

TEST_F(GrowingFileTest, AFullDiskIsASentenceAndTheFileStaysAsItWas) {
  const pid_t child = fork();
  if (child == 0) {
    GrowingFile file(folder_ / "metrics.jsonl");
    file.append("whole\n");
    const rlimit limit{10, 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string text = refusal_of([&] { file.append("does not fit\n"); });
    _exit(text.find("metrics.jsonl") != std::string::npos && file.length() == 6 ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder_ / "metrics.jsonl"), "whole\n");
}

TEST_F(Checkpoint, KeepsTheNewestFew) {
  StageDirectory stage(folder_);
  uint32_t step;
  fs::path path;
  EXPECT_FALSE(stage.newest_checkpoint(step, path));
  for (uint32_t s : {1, 2, 9, 10}) save(stage, s, 2);
  EXPECT_EQ(stage.checkpoint_steps(), (std::vector<uint32_t>{9, 10}));
  save(stage, 11, 0);
  EXPECT_EQ(stage.checkpoint_steps(), (std::vector<uint32_t>{9, 10, 11}));
  expect_whole(stage, 11);
}

TEST_F(Checkpoint, ReplacesAStepThatIsWrittenAgain) {
  StageDirectory stage(folder_);
  save(stage, 3, 2);
  const fs::path part = stage.begin_checkpoint(3);
  put(part / "model.safetensors", "new");
  stage.commit_checkpoint(3, 2);
  uint32_t step;
  fs::path path;
  ASSERT_TRUE(stage.newest_checkpoint(step, path));
  EXPECT_EQ(read_file(path / "model.safetensors"), "new");
  EXPECT_FALSE(fs::exists(path / "deeper"));
}

TEST_F(Checkpoint, IsPassedOverWhenAnyOfItIsDamaged) {
  const std::vector<std::function<void(const fs::path &)>> damage = {
      [](const fs::path &p) { fs::resize_file(p / "model.safetensors", 500); },
      [](const fs::path &p) { fs::remove(p / "deeper" / "state.json"); },
      [](const fs::path &p) { fs::remove(p / "checksums.json"); },
      [](const fs::path &p) { put(p / "checksums.json", "{\"files\":"); },
      [](const fs::path &p) { put(p / "checksums.json", "[]"); },
      [](const fs::path &p) { put(p / "extra", "x"); },
      [](const fs::path &p) {
        std::string bytes = read_file(p / "model.safetensors");
        bytes[77] ^= 1;
        put(p / "model.safetensors", bytes);
      }};
  for (size_t i = 0; i < damage.size(); ++i) {
    StageDirectory stage(folder_ / std::to_string(i));
    save(stage, 5, 0);
    save(stage, 6, 0);
    damage[i](folder_ / std::to_string(i) / "checkpoints" / "step-6");
    uint32_t step = 0;
    fs::path path;
    ASSERT_TRUE(stage.newest_checkpoint(step, path)) << i;
    EXPECT_EQ(step, 5u) << "damage " << i;
  }
}

TEST_F(Checkpoint, AFullDiskLeavesThePreviousOneIntact) {
  StageDirectory stage(folder_);
  save(stage, 1, 1);
  const pid_t child = fork();
  if (child == 0) {
    StageDirectory inner(folder_);
    signal(SIGXFSZ, SIG_IGN);
    const fs::path part = inner.begin_checkpoint(2);
    put(part / "model.safetensors", content(2, 0));
    const rlimit limit{10, 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string text = refusal_of([&] { inner.commit_checkpoint(2, 1); });
    inner.abandon_checkpoint(2);
    _exit(text.find("checksums.json") != std::string::npos ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  expect_whole(stage, 1);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "checkpoints"), {}), 1);
}

TEST_F(Checkpoint, KillAtAnyMomentLeavesTheNewestWhole) {
  std::mt19937 random(1);
  StageDirectory stage(folder_);
  uint32_t committed = 0;
  for (int round = 0; round < 25; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      for (uint32_t step = committed + 1;; ++step) {
        save(stage, step, 1);
        if (write(ends[1], &step, sizeof step) != sizeof step) _exit(1);
      }
    }
    close(ends[1]);
    uint32_t step = committed;
    for (uint32_t wait = random() % 3; wait > 0 && read(ends[0], &step, sizeof step) == sizeof step; --wait) committed = step;
    usleep(random() % 20'000);  // somewhere inside one of the next
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(ends[0], &step, sizeof step) == sizeof step) committed = step;
    close(ends[0]);
    expect_whole(stage, committed);
    fs::path path;
    if (stage.newest_checkpoint(step, path)) committed = step;
  }
  EXPECT_GT(committed, 3u) << "nothing was ever written, so nothing was tested";
  save(stage, committed + 1, 1);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "checkpoints"), {}), 1) << "leftovers of killed writers stay";
}

TEST_F(Checkpoint, DoneIsRememberedWithItsSummary) {
  StageDirectory stage(folder_);
  EXPECT_FALSE(stage.done());
  stage.mark_done({{"results", {1, 2}}});
  EXPECT_TRUE(stage.done());
  EXPECT_EQ(stage.summary()["results"][1], 2);
  put(folder_ / "done", "{");
  EXPECT_NE(refusal_of([&] { stage.summary(); }).find("damaged"), std::string::npos);
}

TEST_F(Rollouts, ReadBackToTheSameBits) {
  std::mt19937 random(3);
  RolloutRecord record;
  record.step = 12;
  record.row = 7;
  record.group = 2;
  record.prompt = "2 + 2 = \"?\"\n";
  record.response = "4 ✓";
  record.prompt_ids = {1, 2, 3};
  record.ids = {50'000, 0, -1};
  for (int i = 0; i < 20'000; ++i) {
    const float value = std::bit_cast<float>(uint32_t(random()));
    record.logprobs.push_back(std::isfinite(value) ? value : -0.0f);
  }
  record.logprobs.push_back(std::numeric_limits<float>::denorm_min());
  record.reward = 0.1 + 0.2;
  record.advantage = std::nan("");
  record.rewards = {{"math", 1}, {"format", std::nan("")}};
  record.truncated = true;
  record.columns = {{"level", 3}};
  record.step_start = {0, 2};
  record.step_rewards = {0.1 + 0.2, std::nan("")};
  RolloutRecord other;
  other.response = "\xff not UTF-8";
  StageDirectory stage(folder_);
  stage.write_rollouts(12, {record, other});
  const auto back = stage.read_rollouts(12);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].prompt, record.prompt);
  EXPECT_EQ(back[0].response, record.response);
  EXPECT_EQ(back[0].prompt_ids, record.prompt_ids);
  EXPECT_EQ(back[0].ids, record.ids);
  ASSERT_EQ(back[0].logprobs.size(), record.logprobs.size());
  EXPECT_EQ(std::memcmp(back[0].logprobs.data(), record.logprobs.data(), record.logprobs.size() * 4), 0);
  EXPECT_EQ(back[0].reward, record.reward);
  EXPECT_TRUE(std::isnan(back[0].advantage));
  EXPECT_EQ(back[0].rewards.at("math"), 1);
  EXPECT_TRUE(std::isnan(back[0].rewards.at("format")));
  EXPECT_TRUE(back[0].truncated);
  EXPECT_EQ(back[0].columns, record.columns);
  EXPECT_EQ(back[0].step_start, record.step_start);
  ASSERT_EQ(back[0].step_rewards.size(), 2u);
  EXPECT_EQ(back[0].step_rewards[0], record.step_rewards[0]);
  EXPECT_TRUE(std::isnan(back[0].step_rewards[1]));
  EXPECT_TRUE(back[1].step_start.empty() && back[1].step_rewards.empty()) << "nobody asked for steps";
  EXPECT_EQ(back[1].response, "\xEF\xBF\xBD not UTF-8");
}

TEST_F(Rollouts, AreListedInOrderOfSteps) {
  StageDirectory stage(folder_);
  EXPECT_TRUE(stage.rollout_steps().empty());
  for (uint32_t step : {10, 2, 3'000'000, 1}) stage.write_rollouts(step, {});
  EXPECT_EQ(stage.rollout_steps(), (std::vector<uint32_t>{1, 2, 10, 3'000'000}));
  EXPECT_TRUE(stage.read_rollouts(1).empty());
}

TEST_F(Rollouts, ADamagedFileIsASentence) {
  StageDirectory stage(folder_);
  RolloutRecord record;
  record.response = std::string(5000, 'x') + "y";
  record.columns = nlohmann::json::object();
  stage.write_rollouts(1, {record});
  const fs::path path = folder_ / "rollouts" / "step-000001.jsonl.zst";
  const std::string whole = read_file(path);
  for (size_t size = 0; size < whole.size(); ++size) {
    put(path, whole.substr(0, size));
    if (size == 0) continue;  // an empty file holds no lines
    EXPECT_NE(refusal_of([&] { stage.read_rollouts(1); }).find("damaged"), std::string::npos) << size;
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bad = whole;
    bad[i] ^= 0x10;
    put(path, bad);
    try {
      const auto back = stage.read_rollouts(1);
      ASSERT_EQ(back.size(), 1u);
      EXPECT_EQ(back[0].response, record.response);  // a bit without meaning
    } catch (const Failure &) {
    }
  }
  EXPECT_THROW(stage.read_rollouts(2), Failure);
}

}  // namespace
}  // namespace hone
