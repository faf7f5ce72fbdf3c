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
    return folder / "reference";
  }
  void expect_same(const fs::path &run, const fs::path &reference) {
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(reference));
    EXPECT_EQ(lasting_results(run), lasting_results(reference));
    EXPECT_EQ(slurp(run / "results.json"), slurp(reference / "results.json"));
  }
  std::string steps = "steps=5";
};

TEST_F(Durability, KillNineAtTwentyMomentsEndsWithTheBitsOfARunNeverStopped) {
  steps = "steps=40";
  const fs::path whole = reference(), run = folder / "run";
  int kills = 0, resumed = 0;
  for (int round = 0; kills < 20 && round < 60; ++round) {
    // Some steps further on, and anywhere within a step, its checkpoint or the next start: a golden-ratio walk fills both evenly.
    How how;
    how.watched = run / "metrics.jsonl";
    how.after_lines = static_cast<int>(std::fmod((round + 1) * 0.6180339887, 1.0) * 9);
    how.delay = std::fmod((round + 1) * 0.7548776662, 1.0) * 0.012;
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
  // Within sft, RL, sampling and evaluation; a run of 6 + 60 + 5 + 3 + 2 + ... lines.
  for (const auto &[signal, code, lines] : {std::tuple{SIGINT, 130, 20}, {SIGTERM, 143, 45}, {SIGINT, 130, 2}, {SIGTERM, 143, 67}}) {
    const fs::path run = folder / ("run-" + std::to_string(lines));
    How how;
    how.signal = signal;
    how.watched = run / "metrics.jsonl";
    how.after_lines = lines;
    const Ended ended = hone({"run", script(small_pipeline()), "--out", run.string(), "--set", steps, "--set", "save_every=1000"}, how);
    EXPECT_EQ(ended.code, code) << lines << ": " << ended.err;
    EXPECT_NE(ended.err.find("hone resume"), std::string::npos) << ended.err;
    const Ended resumed = hone({"resume", run.string()});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    expect_same(run, whole);
  }
}

TEST_F(Durability, AFullDiskIsASentenceAndLeavesThePreviousCheckpoint) {
  steps = "steps=60";
  const fs::path whole = reference(), run = folder / "run";
  const auto newest = [&] {
    int step = 0;
    for (const auto &entry : fs::directory_iterator(run / "02-rl" / "checkpoints")) {
      const std::string name = entry.path().filename().string();
      if (name.rfind("step-", 0) == 0) step = std::max(step, std::stoi(name.substr(5)));
    }
    return step;
  };
  How stop;  // within the second stage, with checkpoints behind it
  stop.signal = SIGTERM;
  stop.watched = run / "metrics.jsonl";
  stop.after_lines = 25;
  ASSERT_EQ(hone({"run", script(small_pipeline()), "--set", steps, "--out", run.string()}, stop).code, 143);
  const int before = newest();
  ASSERT_GT(before, 0);
  ASSERT_LT(before, 60);
  How full;
  full.file_limit = 60 * 1024;  // less than a model, more than a log
  const Ended stopped = hone({"resume", run.string()}, full);
  EXPECT_EQ(stopped.code, 1) << stopped.err;
  EXPECT_NE(stopped.err.find("File too large"), std::string::npos) << stopped.err;
  EXPECT_EQ(newest(), before) << "the previous checkpoint is not the newest";
  const Ended resumed = hone({"resume", run.string()});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same(run, whole);
}

TEST_F(Durability, AKillBetweenTheLastCheckpointAndTheMarkIsHarmless) {
  const fs::path whole = reference();
  for (const char *stage : {"01-warm", "02-rl", "03-kept", "04-judge", "05-second", "06-eval"}) {
    const fs::path run = folder / stage;
    fs::copy(whole, run, fs::copy_options::recursive);
    bool later = false;
    for (const char *other : {"01-warm", "02-rl", "03-kept", "04-judge", "05-second", "06-eval"}) {
      if (later) fs::remove_all(run / other);
      later = later || std::string(other) == stage;
    }
    fs::remove(run / stage / "done");
    const Ended resumed = hone({"resume", run.string()});
    ASSERT_EQ(resumed.code, 0) << stage << ": " << resumed.err;
    expect_same(run, whole);
  }
}

TEST_F(Durability, AResumeRefusesAScriptThatWasEdited) {
  const fs::path run = reference();
  fs::remove(run / "06-eval" / "done");
  std::string text = slurp(run / "settings.toml");
  text.replace(text.find("grpo"), 4, "rloo");
  spit(run / "settings.toml", text);
  const Ended ended = hone({"resume", run.string()});
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("rloo"), std::string::npos) << ended.err;
}

TEST_F(Durability, AModelTakenFromTheCacheIsTheOneThatWasTrained) {
  std::string text = small_pipeline();
  text.replace(text.find("epochs = 1"), 10, "epochs = 1, cache = true");
  How how;
  how.environment["XDG_CACHE_HOME"] = (folder / "cache").string();
  ASSERT_EQ(hone({"run", script(text), "--out", (folder / "trained").string()}, how).code, 0);
  const Ended taken = hone({"run", script(text), "--out", (folder / "taken").string()}, how);
  ASSERT_EQ(taken.code, 0) << taken.err;
  EXPECT_NE(taken.err.find("taken from"), std::string::npos) << taken.err;
  expect_same(folder / "taken", folder / "trained");
  fs::remove(folder / "taken" / "01-warm" / "done");  // killed before the mark
  for (const char *later : {"02-rl", "03-kept", "04-judge", "05-second", "06-eval"}) fs::remove_all(folder / "taken" / later);
  const Ended resumed = hone({"resume", (folder / "taken").string()}, how);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same(folder / "taken", folder / "trained");
}

TEST_F(Durability, AModelTakenFromTheCacheKeepsItsChatTemplate) {
  const json golden = json::parse(slurp(fs::path(HONE_SOURCE_DIR) / "tests/core/text/goldens/smollm.json"));
  fs::create_directories(folder / "bpe" / "additional_chat_templates");
  spit(folder / "bpe" / "tokenizer.json", golden.at("tokenizer").dump());
  spit(folder / "bpe" / "chat_template.jinja", "{{ messages[0].content }}");
  spit(folder / "bpe" / "additional_chat_templates" / "tool_use.jinja", "{{ tools }}");
  spit(folder / "bpe" / "generation_config.json", R"({"eos_token_id": [2, 5]})");
  const std::string text =
      "local hone = require 'hone'\n"
      "local base = hone.model 'llama' { tokenizer = 'bpe/tokenizer.json', vocab_size = 403, hidden_size = 16, intermediate_size = 16, num_hidden_layers = 1,\n"
      "  num_attention_heads = 2, max_position_embeddings = 64 }\n"
      "local rows = hone.rows { count = 4, make = function(i) return { text = 'number ' .. i } end }\n"
      "return hone.pipeline { hone.stage 'sft' { model = base, data = rows, batch_size = 2, epochs = 1, cache = true,\n"
      "  optimizer = hone.optimizer 'adamw' {} }, seed = 1 }\n";
  How how;
  how.environment["XDG_CACHE_HOME"] = (folder / "cache").string();
  for (const char *name : {"trained", "taken"}) {
    const Ended ended = hone({"run", script(text), "--out", (folder / name).string()}, how);
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(ended.err.find("taken from") != std::string::npos, std::string(name) == "taken") << ended.err;
    const fs::path made = folder / name / "01-sft/checkpoints/step-2";
    EXPECT_EQ(slurp(made / "chat_template.jinja"), "{{ messages[0].content }}") << name;
    EXPECT_EQ(slurp(made / "additional_chat_templates/tool_use.jinja"), "{{ tools }}") << name;
    EXPECT_EQ(slurp(made / "generation_config.json"), R"({"eos_token_id": [2, 5]})") << name;
  }
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

// Those that this CPU can run; "plain" is one of them, wherever it runs.
std::vector<std::string> instruction_sets() {
  std::vector<std::string> sets;
  for (const std::string isa : {"plain", "avx2", "avx512", "avx512bf16", "amx"}) {
    How how;
    how.environment["HONE_ISA"] = isa;
    if (hone({"doctor"}, how).out.find("cpu, " + isa + " (") != std::string::npos) sets.push_back(isa);
  }
  return sets;
}

TEST_F(Durability, EveryInstructionSetEndsWithTheSameBits) {
  const std::string path = script(small_pipeline());
  const std::vector<std::string> sets = instruction_sets();
  ASSERT_EQ(sets.at(0), "plain");
  for (const std::string dtype : {"f32", "bf16-pairs", "bf16-blocks"}) {
    std::vector<fs::path> runs;
    for (const std::string &isa : sets) {
      How how;
      how.environment["HONE_ISA"] = isa;
      const fs::path run = folder / (dtype + "-" + isa);
      const Ended ended = hone({"run", path, "--dtype", dtype, "--out", run.string()}, how);
      ASSERT_EQ(ended.code, 0) << ended.err;
      runs.push_back(run);
    }
    for (size_t i = 1; i < runs.size(); ++i) expect_same(runs[0], runs[i]);
  }
}

// bf16 is the order of addition that is faster where a run begins; it goes on in the same one elsewhere.
TEST_F(Durability, ARunInBf16GoesOnAndIsReplayedInItsOwnOrderOnAnyInstructionSet) {
  const std::string path = script(small_pipeline()), fastest = instruction_sets().back();
  const fs::path whole = folder / "whole", run = folder / "run";
  How there, here;
  there.environment["HONE_ISA"] = fastest;
  here.environment["HONE_ISA"] = "plain";
  ASSERT_EQ(hone({"run", path, "--dtype", "bf16", "--set", "steps=30", "--out", whole.string()}, there).code, 0);
  How stopped = there;
  stopped.signal = SIGINT;
  stopped.watched = run / "metrics.jsonl";
  stopped.after_lines = 12;
  ASSERT_EQ(hone({"run", path, "--dtype", "bf16", "--set", "steps=30", "--out", run.string()}, stopped).code, 130);
  const Ended resumed = hone({"resume", run.string()}, here);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  expect_same(run, whole);
  const Ended replayed = hone({"replay", run.string(), "--stage", "rl", "--step", "4", "--row", "3"}, here);
  EXPECT_EQ(replayed.code, 0) << replayed.err;
  EXPECT_TRUE(json::parse(replayed.out).at("identical").get<bool>()) << replayed.out;
}

TEST_F(Durability, AnInstructionSetThatIsNotThereIsOneSentence) {
  How how;
  how.environment["HONE_ISA"] = "avx1024";
  const Ended ended = hone({"run", script(small_pipeline()), "--out", (folder / "run").string()}, how);
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("HONE_ISA is \"avx1024\""), std::string::npos) << ended.err;
  EXPECT_EQ(ended.err.find("kernel table"), std::string::npos) << ended.err;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST_F(Durability, APerturbedKernelStopsTheRun) {
  How how;
  how.environment["HONE_KERNELS"] = std::string(HONE_BUILD_DIR) + "/tests/perturbed";
  const Ended ended = hone({"run", script(small_pipeline()), "--out", (folder / "run").string()}, how);
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("log-prob"), std::string::npos) << ended.err;
}

TEST_F(Durability, VerifyAllStopsStagesThatDoNotVerifyToo) {
  std::string lax = small_pipeline();
  for (const char *of_a_stage_that_trains : {"rewards = { right, format }", "rewards = { sums ="}) {
    const size_t at = lax.find(of_a_stage_that_trains);
    ASSERT_NE(at, std::string::npos);
    lax.insert(at, "verify = false, ");
  }
  How how;
  how.environment["HONE_KERNELS"] = std::string(HONE_BUILD_DIR) + "/tests/perturbed";
  const std::string path = script(lax);
  const Ended unverified = hone({"run", path, "--out", (folder / "one").string()}, how);
  EXPECT_EQ(unverified.code, 0) << unverified.err;
  const Ended verified = hone({"run", path, "--verify", "all", "--out", (folder / "two").string()}, how);
  EXPECT_EQ(verified.code, 1);
  EXPECT_NE(verified.err.find("log-prob"), std::string::npos) << verified.err;
  EXPECT_EQ(hone({"run", path, "--verify", "some"}, how).code, 2);
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

TEST_F(Durability, ReplayNoticesAnotherSampler) {
  const fs::path run = reference();
  How how;
  how.environment["HONE_KERNELS"] = std::string(HONE_BUILD_DIR) + "/tests/perturbed";
  how.environment["HONE_TEST_PERTURBATION"] = "0.001";
  const Ended ended = hone({"replay", run.string(), "--stage", "rl", "--step", "1", "--row", "3"}, how);
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_FALSE(json::parse(ended.out).at("identical").get<bool>()) << ended.out;
}

}  // namespace
}  // namespace hone_pipeline
