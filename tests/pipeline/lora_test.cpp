// lora_test.cpp -- `lora` in whole runs: sft and grpo over one base, a kill, threads, a moved run, and every verb on
// the result.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Lora : public Program {
 protected:
  // warm (in full) -> tuned (an adapter of it) -> rl (an adapter of those two, merged) -> full (all of that, in full)
  static std::string pipeline() {
    std::string text = small_pipeline();
    const size_t from = text.find("local kept");
    text.resize(from);
    const auto insert = [&](const char *before, const std::string &what) { text.insert(text.find(before), what); };
    insert("local format",
           "local tuned = hone.stage \"sft\" { label = \"tuned\", model = sft.model, data = rows, batch_size = 16, "
           "epochs = 1, optimizer = adamw, save_every = o.save_every,\n"
           "  lora = { rank = 4, alpha = 8, target_modules = o.modules } }\n");
    insert("save_every =", "modules = { \"all-linear\", \"target modules\" },\n  ");
    text.replace(text.find("model = sft.model, prompts"), 18,
                 "lora = { rank = 2, alpha = 16, rslora = true }, beta = 0.02, model = tuned.model,");
    return text +
           "local full = hone.stage \"sft\" { label = \"full\", model = rl.model, data = rows, batch_size = 16, steps "
           "= 2, optimizer = adamw }\n"
           "return hone.pipeline { sft, tuned, rl, full, seed = 7,\n"
           "  report = hone.stage \"eval\" { models = { tuned.model, rl.model, full.model }, prompts = prompts, "
           "num_generations = 2, rewards = { right },\n"
           "    max_completion_length = 16, batch_size = 8 } }\n";
  }
  fs::path run_of(const std::string &name, std::vector<std::string> more = {}) {
    std::vector<std::string> line = {"run", script(pipeline()), "--out", (folder / name).string()};
    line.insert(line.end(), more.begin(), more.end());
    const Ended ended = hone(line);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return folder / name;
  }
  void expect_same(const fs::path &run, const fs::path &other) {
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(other));
    EXPECT_EQ(lasting_results(run), lasting_results(other));
    EXPECT_FALSE(lasting_results(run).empty());
  }
  static fs::path newest(const fs::path &stage) {
    fs::path found;
    int most = -1;
    for (const auto &entry : fs::directory_iterator(stage / "checkpoints"))
      if (const int step = std::stoi(entry.path().filename().string().substr(5)); step > most)
        most = step, found = entry.path();
    return found;
  }
};

TEST_F(Lora, TrainsAnAdapterAndLeavesTheBaseAlone) {
  const fs::path run = run_of("run");
  const fs::path tuned = newest(run / "02-tuned"), rl = newest(run / "03-rl");
  for (const fs::path &checkpoint : {tuned, rl}) {
    EXPECT_TRUE(fs::exists(checkpoint / "adapter_model.safetensors"));
    EXPECT_FALSE(fs::exists(checkpoint / "model.safetensors"));
    EXPECT_LT(fs::file_size(checkpoint / "adapter_model.safetensors"),
              fs::file_size(newest(run / "01-warm") / "model.safetensors"));
  }
  // The first adapter's base is the stage before; the second's is that stage with its adapter merged, kept once.
  EXPECT_FALSE(fs::exists(run / "02-tuned" / "base"));
  EXPECT_TRUE(fs::exists(run / "03-rl" / "base" / "model.safetensors"));
  EXPECT_EQ(json::parse(slurp(tuned / "adapter_base.json"))["path"],
            "../../../01-warm/checkpoints/" + newest(run / "01-warm").filename().string());
  EXPECT_EQ(json::parse(slurp(rl / "adapter_base.json"))["path"], "../../base");
  EXPECT_TRUE(fs::exists(newest(run / "04-full") / "model.safetensors"));
  double difference = 0, kl = -1;
  for (const json &line : lasting_metrics(run))
    if (line["stage"] == "03-rl")
      difference = std::max(difference, line["sampling/sampling_logp_difference/max"].get<double>()), kl = line["kl"];
  EXPECT_EQ(difference, 0);
  EXPECT_GT(kl, 0) << "the reference is the policy itself";
}

TEST_F(Lora, AKilledRunGoesOnToTheSameBits) {
  const fs::path whole = run_of("whole"), run = folder / "run";
  const int kills = kill_and_resume({"run", script(pipeline()), "--out", run.string()}, run, 12, [](int round) {
    How how;
    how.after_lines = 1 + round % 4;
    how.delay = std::fmod((round + 1) * 0.7548776662, 1.0) * 0.012;
    return how;
  });
  EXPECT_GT(kills, 3);
  expect_same(run, whole);
}

TEST_F(Lora, ThreadsChangeNoBit) {
  const fs::path one = run_of("one", {"--threads", "1"}), two = run_of("two", {"--threads", "2"});
  expect_same(one, two);
}

TEST_F(Lora, EveryVerbTakesAnAdaptersCheckpoint) {
  const fs::path run = run_of("run"), rl = newest(run / "03-rl");
  spit(folder / "prompts.jsonl",
       "{\"prompt\": \"ADD 1 2 ?\", \"answer\": \"3\"}\n{\"prompt\": \"ADD 0 4 ?\", \"answer\": \"4\"}\n");
  const Ended generated =
      hone({"generate", "--model", rl.string(), "--input", (folder / "prompts.jsonl").string(), "--max-tokens", "6"});
  EXPECT_EQ(generated.code, 0) << generated.err;
  EXPECT_EQ(count_lines(folder / "prompts.jsonl"), std::count(generated.out.begin(), generated.out.end(), '\n'));
  spit(folder / "texts.jsonl", "{\"text\": \"ADD 1 2 ? <think> 1 2\"}\n");
  const auto logprobs = [&](const fs::path &model) {
    const Ended ended = hone({"logprobs", "--model", model.string(), "--input", (folder / "texts.jsonl").string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    return json::parse(ended.out)["logprobs"];
  };
  EXPECT_NE(logprobs(rl), logprobs(run / "03-rl" / "base")) << "the adapter is not there";
  EXPECT_EQ(hone({"eval", "--model", rl.string(), "--task", (folder / "prompts.jsonl").string(), "--reward", "math",
                  "--max-tokens", "6"})
                .code,
            0);
  const Ended replayed = hone({"replay", run.string(), "--stage", "rl", "--step", "4", "--row", "5"});
  EXPECT_EQ(replayed.code, 0) << replayed.out << replayed.err;
  EXPECT_EQ(json::parse(replayed.out)["identical"], true);
  // A script that begins with it.
  std::string from = pipeline();
  from = "local hone = require \"hone\"\nlocal m = hone.model(\"" + rl.string() +
         "\")\n"
         "return hone.pipeline { hone.stage \"sft\" { model = m, lora = { rank = 1 }, steps = 2, batch_size = 2, "
         "optimizer = hone.optimizer \"sgd\" { learning_rate = 0.1 },\n"
         "  data = hone.rows { count = 4, make = function(i) return { prompt = \"ADD 1 1 ?\", response = \"<answer> 2 "
         "</answer>\" } end } } }\n";
  const Ended more = hone({"run", script(from, "more.lua"), "--out", (folder / "more").string()});
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_TRUE(fs::exists(folder / "more" / "01-sft" / "base" / "model.safetensors"))
      << "the adapter it began with is merged into its base";
}

TEST_F(Lora, ARunCanBeMovedAndAChangedBaseIsRefused) {
  run_of("run");
  fs::rename(folder / "run", folder / "elsewhere");
  const fs::path run = folder / "elsewhere", rl = newest(run / "03-rl");
  spit(folder / "texts.jsonl", "{\"text\": \"ADD 1 2 ?\"}\n");
  const auto ask = [&] {
    return hone({"logprobs", "--model", rl.string(), "--input", (folder / "texts.jsonl").string()});
  };
  EXPECT_EQ(ask().code, 0) << ask().err;
  fs::copy_file(newest(run / "01-warm") / "model.safetensors", run / "03-rl" / "base" / "model.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(ask().code, 1);
  EXPECT_NE(ask().err.find("base model has changed"), std::string::npos) << ask().err;
  fs::remove(run / "03-rl" / "done");
  for (const char *later : {"04-full", "05-eval"}) fs::remove_all(run / later);
  const Ended resumed = hone({"resume", run.string()});
  EXPECT_EQ(resumed.code, 1);
  EXPECT_NE(resumed.err.find("base model has changed"), std::string::npos) << resumed.err;
}

TEST_F(Lora, ExportsTheMergedModelAndRefusesOneThatChangesNothing) {
  const fs::path run = run_of("run"), rl = newest(run / "03-rl"), out = folder / "out";
  const Ended ended = hone({"export", "--model", rl.string(), "--to", "hf", out.string()});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_FALSE(fs::exists(out / "adapter_config.json"));
  spit(folder / "texts.jsonl", "{\"text\": \"ADD 1 2 ? <think> 1 2\"}\n");
  const auto logprobs = [&](const fs::path &model) {
    return json::parse(hone({"logprobs", "--model", model.string(), "--input", (folder / "texts.jsonl").string()}).out)["logprobs"];
  };
  const json merged = logprobs(out), apart = logprobs(rl), base = logprobs(run / "03-rl" / "base");
  double error = 0, moved = 0;
  for (size_t i = 1; i < merged.size(); ++i) {
    error = std::max(error, std::abs(merged[i].get<double>() - apart[i].get<double>()));
    moved = std::max(moved, std::abs(base[i].get<double>() - apart[i].get<double>()));
  }
  EXPECT_LT(error, 1e-4);
  EXPECT_GT(moved, 1e-2);

  std::string still = pipeline();
  still.resize(still.find("local rl ="));
  still += "local idle = hone.stage \"sft\" { label = \"idle\", model = sft.model, data = rows, batch_size = 16, steps = 1,\n"
           "  optimizer = hone.optimizer \"sgd\" { learning_rate = 1e-30 }, lora = { rank = 2 } }\n"
           "return hone.pipeline { sft, idle, seed = 7 }\n";
  const Ended idle = hone({"run", script(still, "still.lua"), "--out", (folder / "still").string()});
  ASSERT_EQ(idle.code, 0) << idle.err;
  const Ended refused = hone({"export", "--model", newest(folder / "still" / "02-idle").string(), "--to", "hf", (folder / "none").string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("delta is zero"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(folder / "none"));
}

// Of a stage that drives its own loop, each trained model has its adapter; of a reward model, the head trains beside
// it.
TEST_F(Lora, LoopsAndRewardModelsTrainAdaptersToo) {
  std::string text = small_pipeline();
  text.resize(text.find("local rl ="));
  text +=
      "local steady = hone.optimizer \"adamw\" { learning_rate = 3e-3 }\nlocal judge = hone.stage \"reward_model\" { "
      "label = \"judge\", model = sft.model, data = pairs_of, batch_size = 8, optimizer = adamw, lora = { rank = 2 } "
      "}\n"
      "local preference = hone.reward \"preference\" { label = \"preference\", model = judge.model, part = "
      "\"response\" }\n"
      "local two = hone.stage \"trains\" { label = \"two\", model = judge.model, prompts = prompts, rewards = { "
      "preference }, optimizer = steady, objective = \"grpo\",\n"
      "  objective_settings = { beta = 0.05 }, second = \"sft\", versions = true, restarts = true, steps = 6, "
      "save_every = 2, lora = { rank = 2 } }\n"
      "return hone.pipeline { sft, judge, two, seed = 7 }\n";
  How how;
  how.environment["HONE_PLUGIN_PATH"] = std::string(HONE_BUILD_DIR) + "/tests/strangers";
  const fs::path whole = folder / "whole", run = folder / "run";
  const Ended ended = hone({"run", script(text), "--out", whole.string()}, how);
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(fs::exists(newest(whole / "03-two") / "adapter_model.safetensors"));
  EXPECT_TRUE(fs::exists(newest(whole / "03-two") / "trainer-2" / "adapter_model.safetensors"));
  EXPECT_NE(slurp(newest(whole / "02-judge") / "adapter_model.safetensors").find("base_model.model.score.weight"),
            std::string::npos);
  How kill = how;
  kill.after_lines = 3;
  kill.delay = 0.004;
  EXPECT_GT(kill_and_resume({"run", script(text), "--out", run.string()}, run, 20, [&](int) { return kill; }), 2);
  expect_same(run, whole);
}

// The base's products are rounded to bf16, the adapter's are not; in every pass alike.
TEST_F(Lora, SamplerAndTrainerAgreeInBf16) {
  const fs::path run = run_of("run", {"--dtype", "bf16"});
  int steps = 0;
  for (const json &line : lasting_metrics(run)) {
    if (line["stage"] != "03-rl") continue;
    EXPECT_EQ(line["sampling/sampling_logp_difference/max"], 0);
    ++steps;
  }
  EXPECT_EQ(steps, 5);
}

TEST_F(Lora, ThePlanTellsWhatTrains) {
  const Ended plan = hone({"plan", script(pipeline())});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("parameters of an adapter"), std::string::npos) << plan.out;
  // The numbers are those of the file that training writes.
  const fs::path run = run_of("run");
  const std::string file = slurp(newest(run / "02-tuned") / "adapter_model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof header);
  const auto numbers = static_cast<double>(file.size() - 8 - header) / 4;
  const double told = std::stod(plan.out.substr(plan.out.find("trains ", plan.out.find("02-tuned")) + 7)) * 1000;
  EXPECT_NEAR(told, numbers, 0.005 * numbers) << "three digits of it";
  const Ended wrong = hone({"plan", script(pipeline()), "--set", "modules=q_porj"});
  EXPECT_EQ(wrong.code, 2);
  for (const char *word : {"script.lua", "stage tuned", "q_porj", "kv_b_proj", "down_proj"})
    EXPECT_NE(wrong.err.find(word), std::string::npos) << wrong.err;
  std::string cached = pipeline();
  cached.replace(cached.find("lora = { rank = 2"), 17, "cache = true, lora = { rank = 2");
  EXPECT_EQ(hone({"plan", script(cached)}).code, 2);
  const Ended described = hone({"describe", "stage/sft"});
  EXPECT_NE(described.out.find("lora"), std::string::npos) << described.out << described.err;
}

}  // namespace
}  // namespace hone_pipeline
