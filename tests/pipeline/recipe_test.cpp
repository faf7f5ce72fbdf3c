// recipe_test.cpp -- the scripts that hone ships: their generators are right, and each of them runs from end to end.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

const fs::path kSource = HONE_SOURCE_DIR;

class Recipe : public Program {
 protected:
  // Few documents, steps and questions; the models are those of the real thing.
  Ended run(const std::string &name, const std::vector<std::string> &settings) {
    std::vector<std::string> arguments = {"run", (kSource / "scripts" / (name + ".lua")).string(), "--out",
                                          (folder / name).string()};
    for (const std::string &setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    return hone(arguments);
  }
  json results(const std::string &name) { return json::parse(slurp(folder / name / "results.json")); }
};

TEST_F(Recipe, GeneratorsMakeRightAndHeldApartData) {
  fs::copy(kSource / "scripts/tiny", folder / "tiny", fs::copy_options::recursive);
  const std::string path = script(slurp(kSource / "tests/pipeline/generators.lua"), "generators.lua");
  const Ended ended = hone({"plan", path});
  EXPECT_EQ(ended.code, 0) << ended.err;
}

TEST_F(Recipe, EveryScriptWithItsValuesPlans) {
  for (const char *name : {"r1", "r1_zero", "distill_vs_rl", "ppo_vs_grpo", "algorithms", "iterative", "failed_attempts"}) {
    const Ended ended = hone({"plan", (kSource / "scripts" / (std::string(name) + ".lua")).string()});
    EXPECT_EQ(ended.code, 0) << name << ": " << ended.err;
  }
}

TEST_F(Recipe, R1RunsAllItsStages) {
  const Ended ended = run("r1", {"corpus=2000", "rl_steps=2", "rl2_steps=2", "small_rl_steps=2", "num_generations=4",
                                 "prompts_per_step=4", "cold_start_rows=40", "rejection_prompts=40", "general_rows=40",
                                 "preference_pairs=60", "preference_prompts=0", "reward_model_steps=3",
                                 "distill_prompts=40", "questions=6", "samples=2", "keep_reward=0"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  std::vector<std::string> names;
  for (const json &row : results("r1")) names.push_back(row.at("name"));
  EXPECT_EQ(names, (std::vector<std::string>{"base", "cold_start", "first_rl", "second_sft", "r1", "hacked",
                                             "small_base", "small_rl", "distilled"}));
  for (const json &row : results("r1")) {
    for (const char *column :
         {"calc/pass@1", "calc_long/pass@1", "general/pass@1", "general/help", "calc/mixing", "calc/length"})
      EXPECT_TRUE(row.contains(column)) << column;
    EXPECT_GE(row.at("calc/pass@1").get<double>(), 0);
    EXPECT_LE(row.at("calc/pass@1").get<double>(), 1);
  }
  EXPECT_NE(ended.out.find("distilled"), std::string::npos) << "the table is not printed";
  EXPECT_TRUE(fs::exists(folder / "r1/report.html"));
}

TEST_F(Recipe, TheFailedAttemptsRun) {
  const Ended ended = run("failed_attempts", {"corpus=2000", "cold_start_rows=40", "steps=2", "prompts_per_step=4", "num_generations=4", "label_prompts=6",
                                              "num_rollouts=2", "search_prompts=24", "search_rounds=1", "simulations=16", "questions=4"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  std::vector<std::string> names;
  for (const json &row : results("failed_attempts")) names.push_back(row.at("name"));
  for (const char *name : {"cold_start", "grpo", "grpo_by_prm", "mcts_self_training"}) EXPECT_EQ(std::count(names.begin(), names.end(), std::string(name)), 1) << name;
}

TEST_F(Recipe, R1ZeroAndDistillationRun) {
  const Ended zero =
      run("r1_zero", {"corpus=2000", "steps=2", "num_generations=4", "prompts_per_step=4", "questions=6", "samples=2"});
  EXPECT_EQ(zero.code, 0) << zero.err;
  const Ended distill = run("distill_vs_rl", {"corpus=2000", "teacher_steps=2", "small_rl_steps=2",
                                              "distill_prompts=40", "cold_start_rows=40", "num_generations=4",
                                              "prompts_per_step=4", "questions=6", "samples=2", "keep_reward=0"});
  EXPECT_EQ(distill.code, 0) << distill.err;
}

}  // namespace
}  // namespace hone_pipeline
