// objective_verb_test.cpp -- `hone objective`: columns in, advantages and derivatives out, and a sentence for bad
// input.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "core/base/failure.h"
#include "core/train/objective_columns.h"
#include "tests/support/built_component.h"
#include "tests/support/refusal.h"

namespace hone {
namespace {

using nlohmann::json;

struct ObjectiveVerb : testing::Test {
  Pool pool{1};
  Host host{pool, 1};
  Registry registry;
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("hone_objective_verb_" + std::to_string(getpid()) + ".json");

  ObjectiveVerb() {
    for (const char *name : {"grpo", "rloo", "sft", "reward_model"})
      registry.components_.push_back(built_component("stage", name));
  }
  ~ObjectiveVerb() override { std::filesystem::remove(file); }

  json run(const std::string &name, const std::string &text, const std::vector<std::string> &set = {}) {
    std::ofstream(file) << text;
    std::ostringstream out;
    EXPECT_EQ(objective_verb(registry, host, name, file.string(), set, out), 0);
    return json::parse(out.str());
  }
  std::string refusal(const std::string &name, const std::string &text, const std::vector<std::string> &set = {}) {
    return refusal_of([&] { run(name, text, set); });
  }
};

TEST_F(ObjectiveVerb, GrpoOfTwoRowsByHand) {
  // Rewards 1 and 0: mean 0.5, deviation 0.5, advantages 1 and -1; ratio 1: d = -A / (rows * tokens).
  const json out = run("grpo", R"({"group": [0, 0], "reward": [1, 0], "logp": [[-1, -2], [-0.5]]})");
  EXPECT_EQ(out["advantages"], json::parse("[[1.0, 1.0], [-1.0]]"));
  EXPECT_NEAR(out["loss"].get<double>(), 0, 1e-12);
  EXPECT_EQ(out["dlogp"], json::parse("[[-0.25, -0.25], [0.5]]"));
}

TEST_F(ObjectiveVerb, SettingsReachTheObjective) {
  const std::string two =
      R"({"group": [4, 4], "reward": [1, 0], "logp": [[-1, -2], [-0.5]], "logp_old": [[-1, -2], [-2.5]]})";
  EXPECT_EQ(run("grpo", two, {"aggregation=token-mean", "scale_rewards=none"})["advantages"],
            json::parse("[[0.5, 0.5], [-0.5]]"));
  // The second row's ratio is e^2: far outside the clip. Its advantage is negative, so the pessimistic bound keeps it.
  EXPECT_NEAR(run("grpo", two)["dlogp"][1][0].get<double>(), std::exp(2) / 2, 1e-5);
  const std::string up =
      R"({"group": [4, 4], "reward": [0, 1], "logp": [[-1, -2], [-0.5]], "logp_old": [[-1, -2], [-2.5]]})";
  EXPECT_EQ(run("grpo", up)["dlogp"][1][0], 0.0);
  EXPECT_NE(run("grpo", up, {"epsilon_high=10"})["dlogp"][1][0], 0.0);
}

TEST_F(ObjectiveVerb, UnscoredRowsAndMaskedTokensComeBackAsZeroes) {
  const json out = run("grpo", R"({"group": [0, 0, 0], "reward": [1, null, 0], "logp": [[-1, -2, -3], [-9], [-0.5]],
                                   "mask": [[1, 0, 1], [1], [1]]})");
  EXPECT_EQ(out["advantages"], json::parse("[[1.0, 0.0, 1.0], [0.0], [-1.0]]"));
  EXPECT_EQ(out["dlogp"], json::parse("[[-0.25, 0.0, -0.25], [0.0], [0.5]]"));
  const json nothing = run("grpo", R"({"group": [0], "reward": [null], "logp": [[-1, -2, -3]]})");
  EXPECT_EQ(nothing["dlogp"], json::parse("[[0.0, 0.0, 0.0]]"));
  EXPECT_EQ(nothing["loss"], 0.0);
}

TEST_F(ObjectiveVerb, PairsNeedNoLogProbabilities) {
  const json out = run("reward_model", R"({"pair": [0, 0], "chosen": [false, true], "value": [[9, 1], [-9, 9, 2]]})");
  EXPECT_NEAR(out["loss"].get<double>(), std::log1p(std::exp(-1)), 1e-9);
  EXPECT_NEAR(out["dvalue"][0][1].get<double>(), 1 / (1 + std::exp(1)), 1e-6);
  EXPECT_EQ(out["dvalue"][0][0], 0.0);
  EXPECT_EQ(out["dvalue"][1][1], 0.0);
}

TEST_F(ObjectiveVerb, BadInputIsOneSentenceThatNamesThePlace) {
  const auto has = [](const std::string &sentence, const std::string &part) {
    EXPECT_NE(sentence.find(part), std::string::npos) << '"' << sentence << "\" should speak of " << part;
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  };
  const std::string good = R"({"group": [0], "reward": [1], "logp": [[-1]]})";
  has(refusal("grpo", "{"), "not JSON");
  has(refusal("grpo", "[1]"), "object of columns");
  has(refusal("grpo", "{}"), "no rows");
  has(refusal("grpo", R"({"group": [], "reward": [], "logp": []})"), "no rows");
  has(refusal("grpo", R"({"group": [0], "reward": [1]})"), "per token");
  has(refusal("grpo", "{\"group\": [\"\xff\"]}"), "UTF-8");
  has(refusal("grpo", R"({"group": [0], "reward": [1], "logq": [[-1]]})"), "did you mean \"logp\"");
  has(refusal("grpo", R"({"group": [0], "reward": [1, 2], "logp": [[-1]]})"), "\"reward\" has 2 rows");
  has(refusal("grpo", R"({"group": [0], "reward": ["a"], "logp": [[-1]]})"), "found \"a\"");
  has(refusal("grpo", R"({"group": [null], "reward": [1], "logp": [[-1]]})"), "found null");
  has(refusal("grpo", R"({"group": [0.5], "reward": [1], "logp": [[-1]]})"), "group of row 0 is 0.5");
  has(refusal("grpo", R"({"group": [-1], "reward": [1], "logp": [[-1]]})"), "group of row 0 is -1");
  has(refusal("grpo", R"({"group": 3, "reward": [1], "logp": [[-1]]})"), "not a list");
  has(refusal("grpo", R"({"group": [0], "reward": [1], "logp": [-1]})"), "one number per token");
  has(refusal("grpo", R"({"group": [0], "reward": [1], "logp": [[null]]})"), "found null");
  has(refusal("grpo", R"({"group": [0], "reward": [1], "logp": [[-1]], "logp_old": [[-1, -2]]})"),
      "2 tokens, but \"logp\" has 1");
  has(refusal("grpo", R"({"group": [0, 1, 0], "reward": [1, 1, 1], "logp": [[-1], [-1], [-1]]})"), "adjacent");
  has(refusal("grpo", R"({"group": [0], "reward": [1e99], "logp": [[-1]]})"), "infinite");
  has(refusal("grpo", R"({"group": [0, 0], "reward": [0, 1], "logp": [[1e30], [-1]], "logp_old": [[-1e30], [-1]]})"),
      "the loss of the rows from row 0");
  has(refusal("grpo", R"({"group": [0], "reward": [1], "logp": [[-1]], "weight": [[-1]]})"), "weight is -1");
  has(refusal("grpo", good, {"beta=0.1"}), "\"logp_ref\"");
  has(refusal("grpo", good, {"beta"}), "name=value");
  has(refusal("grpo", good, {"epsilom=0.1"}), "epsilon");
  has(refusal("grpp", good), "grpo");
  has(refusal("reward_model", R"({"pair": [0, 0], "chosen": [1, 1], "value": [[1], [2]]})"),
      "one chosen and one rejected");
  has(refusal("reward_model", good), "pair");
  EXPECT_THROW(objective_verb(registry, host, "grpo", "/nowhere/batch.json", {}, std::cout), Failure);
}

}  // namespace
}  // namespace hone
