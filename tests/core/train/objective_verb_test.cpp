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
    for (const char *name : {"grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce_plus_plus", "reinforce_plus_plus_baseline",
                             "remax", "ppo", "dpo", "sft", "reward_model", "prm", "distill"})
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

// Every column there is, for rows of 3, 2, 1, 4, 2, 3, 2 and 2 tokens in groups, which are pairs too, of two.
const char *const batch = R"({
  "group": [7, 7, 3, 3, 5, 5, 9, 9], "pair": [7, 7, 3, 3, 5, 5, 9, 9], "chosen": [true, false, false, true, true, false, true, false],
  "margin": [0.5, 0, 0, 0, 0.25, 0, 0, 0],
  "reward": [1, 0.25, null, 1, 0.5, 0, 0.75, 0.25], "reward_baseline": [0.5, 0.5, 1, 1, 0.25, 0.25, 0, 0],
  "mask": [[1, 0, 1], [1, 1], [1], [0, 1, 1, 1], [0, 1], [1, 1, 0], [0, 0], [1, 1]],
  "logp": [[-1, -2, -3], [-0.5, -1.5], [-2], [-1, -1, -2, -1], [-3, -1], [-2, -1, -1], [-1, -1], [-1, -3]],
  "logp_old": [[-1.1, -2, -2.9], [-0.6, -1.4], [-2], [-1, -1.1, -2.1, -1], [-3, -1.2], [-1.9, -1, -1], [-1, -1], [-1.1, -2.8]],
  "logp_ref": [[-1.5, -2, -2.5], [-0.5, -1], [-2], [-1, -1.5, -2, -1.5], [-3, -2], [-2, -1.5, -1], [-1, -1], [-1, -2]],
  "logp_rollout": [[-1, -2, -3], [-0.5, -1.5], [-2], [-1, -1, -2, -1], [-3, -1], [-2, -1, -1], [-1, -1], [-1, -3]],
  "logp_teacher": [[-0.5, -1, -2], [-1, -1], [-2], [-1, -0.5, -1, -2], [-3, -2], [-1, -3, -1], [-1, -1], [-2, -3]],
  "value": [[0.5, 0, 1], [0.25, -0.5], [0], [0, 1, 2, -1], [0, 0.5], [1, 0, 0], [0, 0], [0.5, 1]],
  "value_old": [[0.4, 0, 1.5], [0.25, -0.25], [0], [0, 1, 1.5, -1], [0, 0.25], [1, 0.5, 0], [0, 0], [0.25, 1]],
  "entropy": [[1, 2, 0.5], [1, 1], [1], [2, 1, 1, 0], [1, 2], [3, 1, 1], [1, 1], [0.5, 1]],
  "step_reward": [[null, 1, 0.5], [0.25, 1], [1], [null, null, 1, 0], [1, null], [0, 1, 1], [1, 1], [null, 0.75]]})";

struct Verb {
  const char *name;
  std::vector<std::string> set;
};
// Each objective, and those of two kinds in both, reading as many columns as they can.
const std::vector<Verb> verbs = {{"grpo", {}},
                                 {"grpo", {"supervision=process", "beta=0.1", "entropy_coef=0.01",
                                           "importance_sampling_mode=token_truncate"}},
                                 {"dr_grpo", {}},
                                 {"dapo", {}},
                                 {"gspo", {"epsilon=0.2"}},
                                 {"cispo", {}},
                                 {"rloo", {"beta=0.1"}},
                                 {"reinforce_plus_plus", {"kl_coef=0.1"}},
                                 {"reinforce_plus_plus_baseline", {"beta=0.1"}},
                                 {"remax", {"kl_coef=0.1"}},
                                 {"ppo", {"entropy_coef=0.01", "supervision=process"}},
                                 {"dpo", {}},
                                 {"sft", {}},
                                 {"reward_model", {}},
                                 {"prm", {}},
                                 {"distill", {}},
                                 {"distill", {"responses=teacher"}}};

const std::vector<std::string> answers = {"advantages", "targets", "dlogp", "dvalue", "dentropy"};

// What takes no part is answered with zeroes, and taking it out of the batch by hand changes no other number.
TEST_F(ObjectiveVerb, EachObjectiveLeavesMaskedTokensAndUnscoredRowsOut) {
  for (const Verb &verb : verbs) {
    SCOPED_TRACE(verb.name + json(verb.set).dump());
    const json full = json::parse(batch), out = run(verb.name, batch, verb.set);
    const bool pairs = verb.name == std::string("dpo") || verb.name == std::string("reward_model");
    const auto left_out = [&](size_t r) {
      const auto gone = [&](size_t row) { return full["reward"][row].is_null() || full["mask"][row] == json{0, 0}; };
      return gone(r) || (pairs && gone(r ^ 1));
    };
    json less = json::object();
    for (const auto &[name, column] : full.items()) {
      if (name == "mask") continue;
      for (size_t r = 0; r < column.size(); ++r) {
        if (left_out(r)) continue;
        json cell = column[r];
        if (cell.is_array()) {
          cell = json::array();
          for (size_t t = 0; t < column[r].size(); ++t)
            if (full["mask"][r][t] == 1) cell.push_back(column[r][t]);
        }
        less[name].push_back(cell);
      }
    }
    const json of_less = run(verb.name, less.dump(), verb.set);
    EXPECT_EQ(out["loss"], of_less["loss"]);
    EXPECT_NE(out["loss"], 0.0);
    bool moves = false;
    for (const std::string &name : answers) {
      ASSERT_EQ(out.contains(name), of_less.contains(name)) << name;
      if (!out.contains(name)) continue;
      ASSERT_EQ(out[name].size(), 8u) << name;
      for (size_t r = 0, kept = 0; r < 8; ++r) {
        ASSERT_EQ(out[name][r].size(), full["logp"][r].size()) << name << " of row " << r;
        for (size_t t = 0, at = 0; t < out[name][r].size(); ++t) {
          const bool zero = left_out(r) || full["mask"][r][t] == 0;
          EXPECT_EQ(out[name][r][t], zero ? json(0.0) : of_less[name][kept][at++]) << name << " of row " << r << ", token " << t;
          moves = moves || (out[name][r][t] != 0.0 && name[0] == 'd');
        }
        kept += !left_out(r);
      }
    }
    EXPECT_TRUE(moves);
  }
}

TEST_F(ObjectiveVerb, ABatchInWhichNothingTrainsHasALossOfZeroAndNoFailure) {
  for (const Verb &verb : verbs)
    for (const char *how : {"mask", "reward"}) {
      SCOPED_TRACE(verb.name + json(verb.set).dump() + how);
      json none = json::parse(batch);
      for (json &cell : none[how]) cell = how == std::string("mask") ? json(std::vector<int>(cell.size(), 0)) : json(nullptr);
      const json out = run(verb.name, none.dump(), verb.set);
      EXPECT_EQ(out["loss"], 0.0);
      for (const std::string &name : answers)
        for (size_t r = 0; r < 8 && out.contains(name); ++r)
          EXPECT_EQ(out[name][r], json(std::vector<double>(none["logp"][r].size(), 0.0))) << name;
    }
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
