// plan_test.cpp -- what `hone plan` finds before anything trains: rewards that cannot work, settings without a meaning, and
// what it says of the rest.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Plan : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    spit(folder / "prompts.jsonl", "{\"prompt\": \"1 2\", \"answer\": \"3\"}\n{\"prompt\": \"2 2\", \"answer\": \"4\"}\n");
    spit(folder / "rows.jsonl", "{\"prompt\": \"1 2\", \"response\": \"3\"}\n{\"prompt\": \"2 2 2\", \"response\": \"3 4\"}\n");
  }
  // A script of one stage over a new model; `rest` is beside `model` and `optimizer` and begins on line 5.
  std::string one(const std::string &stage, const std::string &rest) {
    return script("local hone = require \"hone\"\n"
                  "local m = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\", \"1\", \"2\", \"3\", \"4\" }, hidden_size = 16,\n"
                  "  intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2, max_position_embeddings = 32 }\n"
                  "return hone.pipeline { hone.stage \"" + stage + "\" { model = m, optimizer = hone.optimizer \"sgd\" { learning_rate = 0.5 },\n" +
                  rest + " } }\n");
  }
  // A stage of grpo with this list of rewards.
  std::string with_rewards(const std::string &rewards, const std::string &more = "") {
    return one("grpo", "  prompts = \"prompts.jsonl\", steps = 2, num_generations = 2, batch_size = 2, max_completion_length = 4" + more +
                           ",\n  rewards = { " + rewards + " }");
  }
  void expect_refused(const std::string &path, const std::vector<std::string> &words) {
    for (const char *verb : {"plan", "run"}) {
      std::vector<std::string> line = {verb, path};
      if (line[0] == "run") line.insert(line.end(), {"--out", (folder / "run").string()});
      const Ended ended = hone(line);
      EXPECT_EQ(ended.code, 2) << ended.out << ended.err;
      for (const std::string &word : words) EXPECT_NE(ended.err.find(word), std::string::npos) << "no \"" << word << "\" in: " << ended.err;
      EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
      EXPECT_FALSE(fs::exists(folder / "run"));
    }
  }
  // What plan prints of a script that it accepts.
  std::string accepted(const std::string &path) {
    const Ended ended = hone({"plan", path});
    EXPECT_EQ(ended.code, 0) << ended.err;
    return ended.out;
  }
};

TEST_F(Plan, FindsAFunctionThatRaisesForEveryResponse) {
  expect_refused(with_rewards("function(row) return #row.anser end"), {"script.lua:6: reward function_1", "prompts.jsonl:1", "anser"});
  expect_refused(with_rewards("function(row) return {} end"), {"script.lua:6: reward function_1", "a reward is a number"});
}

TEST_F(Plan, FindsAColumnThatARewardNeedsInEveryRow) {
  spit(folder / "prompts.jsonl", "{\"prompt\": \"1 2\", \"solution\": \"3\"}\n{\"prompt\": \"2 2\", \"solution\": \"4\"}\n");
  expect_refused(with_rewards("hone.reward \"math\" {}"), {"script.lua:6: reward math has no score without an `answer`", "prompts.jsonl:1 and 1 more rows", "no answer"});
  // Each domain has rows of its own.
  spit(folder / "good.jsonl", "{\"prompt\": \"1 2\", \"answer\": \"3\"}\n");
  const std::string math = "hone.reward \"math\" {}";
  expect_refused(one("grpo", "  steps = 1, prompts = { a = \"good.jsonl\", b = \"prompts.jsonl\" },\n  rewards = { a = { " + math + " }, b = { " + math + " } }"),
                 {"script.lua:6: reward math", "prompts.jsonl:1"});
  // Of a stage that drives its own loop, too.
  expect_refused(script("local hone = require \"hone\"\nlocal m = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\", \"1\" }, hidden_size = 16,\n"
                        "  intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2 }\n"
                        "return hone.pipeline { report = hone.stage \"eval\" { models = { m }, prompts = \"prompts.jsonl\", rewards = { hone.reward \"math\" {} } } }\n"),
                 {"script.lua:4: reward math", "prompts.jsonl:1"});
}

TEST_F(Plan, FindsRowsThatAreTooLongForTheModel) {
  std::string longer;
  for (int i = 0; i < 40; ++i) longer += "2 ";
  spit(folder / "prompts.jsonl", "{\"prompt\": \"1 2\", \"answer\": \"3\"}\n{\"prompt\": \"" + longer + "\", \"answer\": \"4\"}\n");
  expect_refused(with_rewards("hone.reward \"math\" {}"), {"prompts.jsonl:2: the prompt has 41 tokens", "32 positions"});
}

TEST_F(Plan, FindsTemperaturesThatLeaveNoNumbers) {
  expect_refused(with_rewards("hone.reward \"math\" {}", ", temperature = 1e-5"), {"script.lua:4: stage grpo", "temperature is 1e-05", "0.001 or more"});
}

TEST_F(Plan, FindsALossOfMultiTokenPredictionThatNothingCanLearn) {
  expect_refused(one("sft", "  data = \"rows.jsonl\", steps = 1, mtp_loss_weight = 0.3"),
                 {"script.lua:4", "mtp_loss_weight is 0.3, but its model (llama) knows no multi-token prediction"});
  expect_refused(one("sft", "  data = \"rows.jsonl\", steps = 1, mtp_loss_weight = -0.3"), {"script.lua:4", "mtp_loss_weight"});
  spit(folder / "pairs.jsonl", "{\"prompt\": \"1\", \"chosen\": \"2\", \"rejected\": \"3\"}\n");
  expect_refused(one("reward_model", "  data = \"pairs.jsonl\", steps = 1, mtp_loss_weight = 0.3"), {"script.lua:4", "mtp_loss_weight"});
}

TEST_F(Plan, BelievesTheFilesAboutLayersOfMultiTokenPrediction) {
  const std::string model = "hone.model \"deepseek_moe\" { words = { \"<bos>\", \"<eos>\", \"1\", \"2\", \"3\", \"4\" }, hidden_size = 16,\n"
                            "  intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2, first_k_dense_replace = 1, kv_lora_rank = 4,\n"
                            "  qk_rope_head_dim = 4, qk_nope_head_dim = 4, v_head_dim = 4, max_position_embeddings = 32 }\n";
  const auto stage = [&](const std::string &of, const std::string &more) {
    return script("local hone = require \"hone\"\nlocal m = " + of + "\nreturn hone.pipeline { hone.stage \"sft\" { model = m, data = \"rows.jsonl\", steps = 1" +
                  more + ",\n  optimizer = hone.optimizer \"sgd\" { learning_rate = 0.5 } } }\n");
  };
  ASSERT_EQ(hone({"run", stage(model, ""), "--out", (folder / "made").string()}).code, 0);
  const fs::path made = folder / "made/01-sft/checkpoints/step-1";
  json config = json::parse(slurp(made / "config.json"));
  config["num_nextn_predict_layers"] = 1;
  spit(made / "config.json", config.dump());
  const std::string of = "hone.model \"" + made.string() + "\"";
  EXPECT_NE(accepted(stage(of, "")).find("sft"), std::string::npos);
  expect_refused(stage(of, ", mtp_loss_weight = 0.3"), {"mtp_loss_weight is 0.3, but its model has no layer of multi-token prediction"});
}

TEST_F(Plan, TakesNoScoreForNoError) {
  EXPECT_NE(accepted(with_rewards("function(row) return nil end")).find("reward function_1 has no score"), std::string::npos);
  EXPECT_EQ(accepted(with_rewards("function(row) return 0 end")).find("note"), std::string::npos);
  // Only some responses are judged; one of those that are made up is.
  EXPECT_EQ(accepted(with_rewards("function(row) return #row.response:match('<answer> (.+) </answer>') end")).find("note"), std::string::npos);
  EXPECT_EQ(accepted(with_rewards("function(row) return row.response == row.answer and 1 or error('not the answer') end")).find("note"), std::string::npos);
  // The first row lacks its answer, the second has one.
  spit(folder / "prompts.jsonl", "{\"prompt\": \"1 2\"}\n{\"prompt\": \"2 2\", \"answer\": \"4\"}\n");
  EXPECT_NE(accepted(with_rewards("hone.reward \"math\" {}")).find("but for other rows"), std::string::npos);
  // Rows without answers, and a reward that would not know what to do with one.
  spit(folder / "prompts.jsonl", "{\"prompt\": \"1 2\"}\n");
  EXPECT_NE(accepted(with_rewards("function(row) return row.response:find('1 2 3') and 1 or nil end")).find("reward function_1 has no score"), std::string::npos);
  // A stage that goes on without scores is the user's own wish.
  EXPECT_NE(accepted(with_rewards("function(row) return #row.anser end", ", max_unscored = 1")).find("reward function_1 fails"), std::string::npos);
}

TEST_F(Plan, LeavesRewardsOutWhoseRowsOrModelAreStillToCome) {
  EXPECT_EQ(accepted(script(small_pipeline())).find("note"), std::string::npos);  // one of its rewards is a model of an earlier stage
}

TEST_F(Plan, FindsAnEvalWhoseMetricIsNoRewards) {
  const auto eval = [&](const std::string &settings) {
    return script("local hone = require \"hone\"\nlocal m = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\", \"1\" }, hidden_size = 16,\n"
                  "  intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2 }\n"
                  "local math, format = hone.reward \"math\" {}, hone.reward \"format\" {}\n"
                  "return hone.pipeline { report = hone.stage \"eval\" { models = { m }, " + settings + " } }\n");
  };
  const std::string both = "prompts = \"prompts.jsonl\", rewards = { math, format }";
  expect_refused(eval(both), {"script.lua:5: stage eval: no reward is labelled \"accuracy\" (there are: math, format)", "set metric"});
  expect_refused(eval(both + ", metric = \"maths\""), {"script.lua:5: stage eval: no reward is labelled \"maths\""});
  expect_refused(eval("prompts = { a = \"prompts.jsonl\", b = \"prompts.jsonl\" }, rewards = { a = { math }, b = { format, math } }"),
                 {"script.lua:5: stage eval: no reward of domain \"b\" is labelled \"accuracy\""});
  accepted(eval(both + ", metric = \"math\""));
  accepted(eval("prompts = \"prompts.jsonl\", rewards = { format }"));
  expect_refused(eval("prompts = \"prompts.jsonl\", rewards = { format }, compare = true"), {"script.lua:5: stage eval: compare", "only one"});
  expect_refused(eval("prompts = \"prompts.jsonl\", rewards = { format }, top_p = 0"), {"script.lua:5: stage \"eval\"", "top_p"});
}

TEST_F(Plan, RefusesAModelWhoseFilesAreNone) {
  const auto of = [&](const std::string &config) {
    spit(folder / "model" / "config.json", config);
    return script("local hone = require \"hone\"\nreturn hone.pipeline { hone.stage \"sft\" { model = hone.model \"model\", data = \"rows.jsonl\",\n"
                  "  optimizer = hone.optimizer \"sgd\" { learning_rate = 0.5 } } }\n");
  };
  expect_refused(of("{"), {"script.lua:2", "config.json", "JSON"});
  expect_refused(of("[]"), {"script.lua:2", "config.json"});
  expect_refused(of("{\"model_type\": 3}"), {"script.lua:2", "config.json", "model_type"});
  const std::string whole = of("{\"model_type\": \"llama\", \"vocab_size\": 5, \"hidden_size\": 8, \"intermediate_size\": 8, \"num_hidden_layers\": 1, "
                               "\"num_attention_heads\": 1, \"num_key_value_heads\": 1}");
  expect_refused(whole, {"script.lua:2", "model.safetensors"});
  spit(folder / "model" / "model.safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  expect_refused(whole, {"script.lua:2", "lacks the tensors \"model.embed_tokens.weight\""});
}

TEST_F(Plan, RefusesAModelOnDiskThatARunCouldNotLoad) {
  const fs::path from = fs::path(HONE_SOURCE_DIR) / "tests/core/model/goldens/llama_tied", model = folder / "model";
  fs::create_directories(model);
  for (const char *name : {"config.json", "model.safetensors"}) fs::copy_file(from / name, model / name);
  const std::string sft = script("local hone = require \"hone\"\nreturn hone.pipeline { hone.stage \"sft\" { model = hone.model \"model\", data = \"texts.jsonl\", steps = 1,\n"
                                 "  optimizer = hone.optimizer \"sgd\" { learning_rate = 0.5 } } }\n"), whole = slurp(model / "model.safetensors");
  spit(folder / "texts.jsonl", "{\"text\": \"w1 w2\"}\n");
  expect_refused(sft, {"script.lua:2", "model: has no tokenizer.json"});
  const auto words = [&](int n) {
    json vocabulary;
    for (int i = 0; i < n; ++i) vocabulary["w" + std::to_string(i)] = i;
    spit(model / "tokenizer.json", json{{"version", "1.0"}, {"added_tokens", json::array()}, {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                                        {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "w0"}}}}.dump());
  };
  const int size = json::parse(slurp(model / "config.json")).at("vocab_size");
  words(size);
  accepted(sft);
  words(size + 1);
  expect_refused(sft, {"script.lua:2", "model: its tokenizer has " + std::to_string(size + 1) + " tokens", "vocab_size is " + std::to_string(size)});
  words(size);
  // As many bytes of a type that is no weight's: the header alone tells.
  std::string integers = whole;
  const size_t at = integers.find("\"F32\"");
  ASSERT_NE(at, std::string::npos);
  spit(model / "model.safetensors", integers.replace(at, 5, "\"I32\""));
  expect_refused(sft, {"script.lua:2", "model.safetensors", "has dtype I32; hone reads"});
}

TEST_F(Plan, RefusesSettingsThatMeanNothingToTheStage) {
  const std::string sft = "  data = \"rows.jsonl\", batch_size = 2, ", grpo = "  prompts = \"prompts.jsonl\", steps = 1, rewards = { hone.reward \"format\" {} }, ";
  for (const char *extra : {"num_generations = 8", "teacher = m", "rewards = { hone.reward \"format\" {} }", "max_completion_length = 9", "verify = false",
                            "temperature = 0.7", "keep_reward = 1"})
    expect_refused(one("sft", sft + extra), {"script.lua:4: stage sft trains on rows of data", "`" + std::string(extra).substr(0, std::string(extra).find(' ')) + "`",
                                             "it takes batch_size, cache, data"});
  for (const char *extra : {"prompt_weight = 0.5", "cache = true", "teacher = m", "keep_reward = 1"})
    expect_refused(one("grpo", grpo + extra), {"script.lua:4: stage grpo trains on rollouts of its own", std::string(extra).substr(0, std::string(extra).find(' '))});
  expect_refused(one("grpo", grpo + "data = \"rows.jsonl\""), {"script.lua:4: stage grpo", "`prompts`, not `data`"});
  expect_refused(one("distill", "  responses = \"teacher\", prompts = \"prompts.jsonl\", teacher = m, steps = 1, max_unscored = 1"), {"script.lua:4: stage distill", "`max_unscored` means nothing without `rewards`"});
  const std::string base = "local hone = require \"hone\"\nlocal m = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\", \"1\", \"2\", \"3\", \"4\" },\n"
                           "  hidden_size = 16, intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2 }\n"
                           "local o = hone.optimizer \"sgd\" { learning_rate = 0.5 }\n"
                           "local first = hone.stage \"sft\" { model = m, optimizer = o, data = \"rows.jsonl\" }\n";
  expect_refused(script(base + "return hone.pipeline { first, hone.stage \"sample\" { model = first.model, prompts = \"prompts.jsonl\", isolation = \"none\" } }\n"),
                 {"script.lua:6: stage sample", "`isolation` means nothing without `rewards`"});
  expect_refused(script(base + "return hone.pipeline { first, hone.stage \"sft\" { model = first.model, optimizer = o, data = \"rows.jsonl\", cache = true } }\n"),
                 {"script.lua:6: stage sft", "`cache` is for a new model"});
}

TEST_F(Plan, DescribesOnlyWhatAStageTakes) {
  const std::string sft = hone({"describe", "stage/sft"}).out, grpo = hone({"describe", "grpo"}).out;
  for (const char *name : {"\n  data ", "\n  prompt_weight ", "\n  batch_size ", "\n  cache "}) EXPECT_NE(sft.find(name), std::string::npos) << name << sft;
  for (const char *name : {"\n  num_generations ", "\n  rewards ", "\n  teacher ", "\n  verify ", "\n  temperature "}) EXPECT_EQ(sft.find(name), std::string::npos) << name;
  for (const char *name : {"\n  prompts ", "\n  rewards ", "\n  batch_size ", "\n  verify "}) EXPECT_NE(grpo.find(name), std::string::npos) << name << grpo;
  for (const char *name : {"\n  data ", "\n  keep_reward ", "\n  prompt_weight "}) EXPECT_EQ(grpo.find(name), std::string::npos) << name;
}

TEST_F(Plan, PrintsWhatSettingsStandFor) {
  const std::string out = accepted(script(small_pipeline()));
  EXPECT_EQ(out.find('$'), std::string::npos) << out;
  for (const char *text : {"a new deepseek_moe \"tiny\" (script.lua:", "adamw { ", "learning_rate = 0.003", "the model of stage 01-warm", "\"right\": a function (script.lua:",
                           "format { ", " times 0.5", "40 rows", "sums: "})
    EXPECT_NE(out.find(text), std::string::npos) << text << " is not in:\n" << out;
  EXPECT_EQ(out.find("teacher"), std::string::npos) << out;
}

TEST_F(Plan, CountsTheWorkOfRows) {
  // 7 steps of 2 rows, which have 1 + 2 + 1 + 1 and 1 + 3 + 2 + 1 tokens with the beginning and the end; 6 flops for a parameter.
  const std::string out = accepted(one("sft", "  data = \"rows.jsonl\", batch_size = 2, steps = 7"));
  double active = 0, work = 0;
  const size_t at = out.find(" parameters, "), then = out.find("work      about ");
  ASSERT_TRUE(at != std::string::npos && then != std::string::npos) << out;
  ASSERT_EQ(std::sscanf(out.c_str() + at, " parameters, %lf k active", &active), 1) << out;
  ASSERT_EQ(std::sscanf(out.c_str() + then, "work      about %lf GFLOP", &work), 1) << out;
  EXPECT_NEAR(work * 1e9, 7 * (5 + 7) * 6 * active * 1e3, 0.02 * work * 1e9);
  EXPECT_NE(out.find("work in all: about"), std::string::npos);
  EXPECT_EQ(out.find("without 0"), std::string::npos) << out;
}

TEST_F(Plan, CountsMultiTokenPredictionWhereItIsTrained) {
  const auto planned = [&](int depths, const std::string &more) {
    return accepted(script("local hone = require \"hone\"\n"
                           "local m = hone.model \"deepseek_moe\" { words = { \"<bos>\", \"<eos>\", \"1\", \"2\", \"3\", \"4\" }, hidden_size = 16,\n"
                           "  intermediate_size = 16, moe_intermediate_size = 8, num_hidden_layers = 1, num_attention_heads = 2, first_k_dense_replace = 1,\n"
                           "  n_routed_experts = 4, num_experts_per_tok = 2, n_shared_experts = 1, n_group = 1, topk_group = 1, kv_lora_rank = 4,\n"
                           "  qk_rope_head_dim = 4, qk_nope_head_dim = 4, v_head_dim = 4, max_position_embeddings = 32, num_nextn_predict_layers = " + std::to_string(depths) + " }\n"
                           "return hone.pipeline { hone.stage \"sft\" { model = m, optimizer = hone.optimizer \"sgd\" { learning_rate = 0.5 },\n"
                           "  data = \"rows.jsonl\", batch_size = 2, steps = 7" + more + " } }\n"));
  };
  const auto number = [](const std::string &out, const std::string &line) {
    double value = 0;
    const size_t at = out.find(line);
    EXPECT_TRUE(at != std::string::npos && std::sscanf(out.c_str() + at + line.size(), "%lf", &value) == 1) << out;
    return value;
  };
  const auto work = [&](const std::string &out) { return 1e9 * number(out, "work      about "); };
  const std::string none = planned(0, ""), idle = planned(1, ""), trained = planned(1, ", mtp_loss_weight = 0.3");
  EXPECT_EQ(work(idle), work(none)) << "what is not trained is not run";
  // Two norms and the projection, the block's norms and its attention, the router with its bias, two of four experts and the
  // shared one, the last norm, and the head once more.
  const double of_depth = (16 + 16 + 16 * 32) + (16 + 16) + (2 * 8 * 16 + 8 * 16 + 4 + 2 * 8 * 4 + 16 * 8) + (4 * 16 + 4) + 3 * (3 * 8 * 16) + 16 + 6 * 16;
  EXPECT_NEAR(work(trained) - work(none), 7 * (5 + 7) * 6 * of_depth, 0.02 * work(none));
}

// The whole program's memory, of models large enough that its own is little beside theirs.
TEST_F(Plan, ForetellsTheMostMemoryWithinATenth) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a sanitizer has memory of its own";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer has memory of its own";
#endif
#endif
  std::string words;
  for (int i = 0; i < 2000; ++i) words += ", \"w" + std::to_string(i) + "\"";
  std::string rows, prompts;
  for (int r = 0; r < 8; ++r) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += (i ? " w" : "w") + std::to_string((r * 37 + i * 11) % 2000);
    rows += "{\"prompt\": \"w1\", \"response\": \"" + text + "\"}\n";
    prompts += "{\"prompt\": \"" + text + "\"}\n";
  }
  spit(folder / "rows.jsonl", rows), spit(folder / "prompts.jsonl", prompts);
  const auto stage = [&](const std::string &what) {
    return script("local hone = require \"hone\"\n"
                  "local m = hone.model \"llama\" { words = { \"<bos>\", \"<eos>\"" + words + " }, hidden_size = 512,\n"
                  "  intermediate_size = 1536, num_hidden_layers = 8, num_attention_heads = 8, max_position_embeddings = 256 }\n"
                  "return hone.pipeline { hone.stage " + what + " }\n");
  };
  const std::string shared = " model = m, steps = 2, optimizer = hone.optimizer \"adamw\" { learning_rate = 1e-6 }, ";
  const std::string grpo = "\"grpo\" {" + shared + "prompts = \"prompts.jsonl\", batch_size = 4, num_generations = 4, max_completion_length = 50,\n"
                           "  rewards = { function(row) return #row.response % 7 end }, save_every = 100";
  for (const std::string &what : {"\"sft\" {" + shared + "data = \"rows.jsonl\", batch_size = 8 }", grpo + " }", grpo + ", beta = 0.1 }",
                                  grpo + ", gradient_checkpointing = true }", grpo + ", lora = { rank = 4 } }", "\"ppo\"" + grpo.substr(6) + " }"})
    for (const std::string dtype : {"f32", "bf16"}) {
      const std::string path = stage(what);
      const Ended plan = hone({"plan", path, "--dtype", dtype});
      ASSERT_EQ(plan.code, 0) << plan.err;
      const size_t at = plan.out.find("memory    ");
      double foretold = 0;
      char unit[4] = "";
      ASSERT_TRUE(at != std::string::npos && std::sscanf(plan.out.c_str() + at, "memory    %lf %3s", &foretold, unit) == 2) << plan.out;
      foretold *= std::string(unit) == "GiB" ? 1073741824.0 : 1048576.0;
      fs::remove_all(folder / "run");
      const Ended run = hone({"run", path, "--dtype", dtype, "--out", (folder / "run").string()});
      ASSERT_EQ(run.code, 0) << run.err;
      EXPECT_NEAR(foretold, run.peak_bytes, 0.1 * run.peak_bytes) << what << " in " << dtype << ": " << foretold / 1048576 << " MiB foretold, " << run.peak_bytes / 1048576 << " taken";
    }
}

}  // namespace
}  // namespace hone_pipeline
