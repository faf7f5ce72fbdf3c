// durability_test.cpp -- a run that is killed, interrupted or out of disk goes on to the same bits.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Durability : public Program {
 protected:
  // The run never stopped, made once per process.
  fs::path reference() {
    const Ended ended = hone({"run", script(small_pipeline()), "--set", steps, "--out", (folder / "reference").string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    seconds = ended.seconds;
    return folder / "reference";
  }
  void expect_same(const fs::path &run, const fs::path &reference) {
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(reference));
    EXPECT_EQ(lasting_results(run), lasting_results(reference));
    EXPECT_EQ(slurp(run / "results.json"), slurp(reference / "results.json"));
  }
  double seconds = 0;
  std::string steps = "steps=5";
};

TEST_F(Durability, KillNineAtTwentyMomentsEndsWithTheBitsOfARunNeverStopped) {
  steps = "steps=40";  // long enough for kills to fall into sampling, training, checkpoints and every kind of stage
  const fs::path whole = reference(), run = folder / "run";
  int kills = 0, resumed = 0;
  // A moment anywhere in what a whole run takes; the fractions are those of a golden-ratio walk, which fills [0, 1) evenly.
  for (int round = 0; kills < 20 && round < 60; ++round) {
    How how;
    how.signal_after = 0.02 + std::fmod((round + 1) * 0.6180339887, 1.0) * seconds * 0.4;
    const bool started = fs::exists(run / "run.json");
    const Ended ended = started ? hone({"resume", run.string()}, how) : hone({"run", script(small_pipeline()), "--set", steps, "--out", run.string()}, how);
    if (ended.code == 128 + SIGKILL) {
      ++kills;
      resumed += started;
      continue;
    }
    ASSERT_EQ(ended.code, 0) << ended.err;
    expect_same(run, whole);  // it got through: the bits are the same, and the next round starts over
    if (HasFailure()) return;
    fs::remove_all(run);
  }
  EXPECT_EQ(kills, 20);
  EXPECT_GT(resumed, 5) << "kills fell into runs that had hardly begun";
  if (fs::exists(run / "run.json")) {
    const Ended ended = hone({"resume", run.string()});
    ASSERT_EQ(ended.code, 0) << ended.err;
    expect_same(run, whole);
  }
}

TEST_F(Durability, InterruptAndTerminateSaveAndExitWithTheirCodes) {
  steps = "steps=60";
  const fs::path whole = reference();
  for (const auto &[signal, code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}}) {
    const fs::path run = folder / ("run-" + std::to_string(signal));
    bool interrupted = false;
    for (double fraction : {0.5, 0.35, 0.2, 0.65}) {  // a busy machine may be past the moment already
      fs::remove_all(run);
      How how;
      how.signal = signal;
      how.signal_after = seconds * fraction;
      const Ended ended = hone({"run", script(small_pipeline()), "--out", run.string(), "--set", steps, "--set", "save_every=1000"}, how);
      if (ended.code == 0 || !fs::exists(run / "run.json")) continue;
      EXPECT_EQ(ended.code, code) << ended.err;
      EXPECT_NE(ended.err.find("hone resume"), std::string::npos) << ended.err;
      interrupted = true;
      break;
    }
    ASSERT_TRUE(interrupted);
    const Ended resumed = hone({"resume", run.string()});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    expect_same(run, whole);
  }
}

TEST_F(Durability, AFullDiskIsASentenceAndLeavesThePreviousCheckpoint) {
  const fs::path whole = reference(), run = folder / "run";
  How full;
  full.file_limit = 60 * 1024;  // less than a model, more than a log
  const Ended stopped = hone({"run", script(small_pipeline()), "--out", run.string()}, full);
  EXPECT_EQ(stopped.code, 1) << stopped.err;
  EXPECT_NE(stopped.err.find("File too large"), std::string::npos) << stopped.err;
  const Ended resumed = hone({"resume", run.string()});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same(run, whole);
}

TEST_F(Durability, ASecondProcessIsKeptOutOfARunAtWork) {
  const std::string path = script(small_pipeline());
  const fs::path run = folder / "run";
  std::thread first([&] { EXPECT_EQ(hone({"run", path, "--out", run.string(), "--set", "steps=60"}).code, 0); });
  for (int i = 0; i < 5000 && !fs::exists(run / "01-warm"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const Ended second = hone({"resume", run.string()});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find("process"), std::string::npos) << second.err;
  first.join();
}

TEST_F(Durability, OneAndTwoThreadsEndWithTheSameBits) {
  const std::string path = script(small_pipeline());
  ASSERT_EQ(hone({"run", path, "--threads", "1", "--out", (folder / "one").string()}).code, 0);
  ASSERT_EQ(hone({"run", path, "--threads", "2", "--out", (folder / "two").string()}).code, 0);
  ASSERT_EQ(hone({"run", path, "--threads", "3", "--out", (folder / "three").string()}).code, 0);
  expect_same(folder / "one", folder / "two");
  expect_same(folder / "one", folder / "three");
}

TEST_F(Durability, EveryInstructionSetEndsWithTheSameBits) {
  const std::string path = script(small_pipeline());
  std::vector<fs::path> runs;
  for (const char *isa : {"avx512", "avx2", "plain"}) {
    How how;
    how.environment["HONE_ISA"] = isa;
    const fs::path run = folder / isa;
    const Ended ended = hone({"run", path, "--out", run.string()}, how);
    ASSERT_EQ(ended.code, 0) << ended.err;
    runs.push_back(run);
  }
  expect_same(runs[0], runs[1]);
  expect_same(runs[0], runs[2]);
}

TEST_F(Durability, APerturbedKernelStopsTheRun) {
  How how;
  how.environment["HONE_KERNELS"] = std::string(HONE_BUILD_DIR) + "/tests/perturbed";
  const Ended ended = hone({"run", script(small_pipeline()), "--out", (folder / "run").string()}, how);
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("log-prob"), std::string::npos) << ended.err;
}

TEST_F(Durability, ReplayRegeneratesAnyRowBitForBit) {
  const fs::path run = reference();
  for (const auto &[stage, step, row] : {std::tuple{"rl", 1, 0}, {"rl", 4, 13}, {"02-rl", 5, 15}, {"second", 2, 7}}) {
    const Ended ended = hone({"replay", run.string(), "--stage", stage, "--step", std::to_string(step), "--row", std::to_string(row)});
    EXPECT_EQ(ended.code, 0) << ended.err << ended.out;
    EXPECT_TRUE(json::parse(ended.out).at("identical").get<bool>()) << ended.out;
  }
  const Ended missing = hone({"replay", run.string(), "--stage", "rl", "--step", "99", "--row", "0"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.err.find("99"), std::string::npos);
}

TEST_F(Durability, ReplayNoticesARolloutThatWasChanged) {
  const fs::path run = reference();
  // Another seed samples other responses: replay must say so, not repeat what is recorded.
  const fs::path arguments = run / "script" / "script.lua";
  std::string text = slurp(arguments);
  text.replace(text.find("seed = 7"), 8, "seed = 8");
  spit(arguments, text);
  const Ended ended = hone({"replay", run.string(), "--stage", "rl", "--step", "2", "--row", "3"});
  EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
}

}  // namespace
}  // namespace hone_pipeline
