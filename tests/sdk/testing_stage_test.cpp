// testing_stage_test.cpp -- the host for tests of stages, with the example that trains: expert iteration.
#include "hone/testing_stage.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

// Five prompts; of four responses to each, one or two are good, by prompt and round.
struct Sums : hone::testing::StageHost {
  std::vector<std::string> learnt;  // "prompt response" of each row, "restart" for each restart seen before a step
  uint32_t restarts = 0;

  Sums() {
    rows.texts("prompt", {"a", "b", "c", "d", "e"});
    respond = [](int64_t model, std::string_view prompt, uint32_t i) {
      EXPECT_EQ(model, 1000) << "it samples from another model than the one it trains";
      return std::string(prompt) + std::to_string(i) + (i == 0 || (i == 1 && prompt == "b") ? "!" : "?");
    };
    judge = [](std::string_view, std::string_view response) { return response.back() == '!' ? 1.0 : 0.0; };
    learn = [this](int64_t, const hone::TableView &rows) {
      if (trained[0].restarts > restarts) restarts = trained[0].restarts, learnt.push_back("restart");
      for (uint64_t i = 0; i < rows.rows(); ++i) {
        const auto ids = rows.int_list("ids", i);
        learnt.push_back(std::string(rows.text("prompt", i)) + " " + std::string(ids.begin(), ids.end()));
      }
    };
  }
};

const std::map<std::string, hone::testing::Value> kSettings = {{"model", 3}, {"optimizer", 7}, {"rounds", 2}, {"num_generations", 4},
                                                               {"batch_size", 2}, {"train_batch_size", 4}, {"restart", true}};

TEST(ExpertIteration, LearnsTheGoodResponsesOfEachRoundOnce) {
  Sums host;
  const hone::testing::Component stage("expert_iteration", kSettings, host.services());
  ASSERT_EQ(host.trained.size(), 1u);
  EXPECT_EQ(host.trained[0].objective, "sft");
  EXPECT_EQ(host.trained[0].model, 3);
  EXPECT_EQ(host.trained[0].optimizer, 7);
  EXPECT_EQ(hone::testing::run(stage), 2 * (3 + 2u));  // five prompts by two, six good ones by four
  EXPECT_EQ(host.trained[0].steps, 4u);
  ASSERT_EQ(host.learnt.size(), 2 * (1 + 6u));
  const std::vector<std::string> good = {"a a0!", "b b0!", "b b1!", "c c0!", "d d0!", "e e0!"};
  for (const int round : {0, 1}) {
    EXPECT_EQ(host.learnt[round * 7], "restart");
    const auto begin = host.learnt.begin() + round * 7 + 1;
    EXPECT_TRUE(std::is_permutation(begin, begin + 6, good.begin()));
  }
  EXPECT_FALSE(std::equal(host.learnt.begin(), host.learnt.begin() + 7, host.learnt.begin() + 7)) << "each round in the same order";
  EXPECT_EQ(host.emitted.rows(), 12u);
  EXPECT_EQ(host.metrics.at("reward"), 0.25);  // of the last prompt
  EXPECT_EQ(host.metrics.at("round"), 2);
  EXPECT_FALSE(hone::testing::step(stage)) << "there is nothing after the end";
}

TEST(ExpertIteration, GoesOnFromAnySavedPlaceAsIfNeverStopped) {
  Sums whole;
  hone::testing::run(hone::testing::Component("expert_iteration", kSettings, whole.services()));
  for (int stop = 1; stop < 10; ++stop) {
    Sums host;
    std::string saved;
    {
      const hone::testing::Component stage("expert_iteration", kSettings, host.services());
      for (int i = 0; i < stop; ++i) ASSERT_TRUE(hone::testing::step(stage));
      saved = hone::testing::save(stage);
    }
    const hone::testing::StageHost::Trained kept = host.trained[0];  // which a real host would bring back
    host.trained.clear();
    const hone::testing::Component other("expert_iteration", kSettings, host.services());
    host.trained[0] = kept;
    hone::testing::load(other, saved);
    hone::testing::run(other);
    EXPECT_EQ(host.learnt, whole.learnt) << "stopped after " << stop;
    EXPECT_EQ(host.emitted.rows(), whole.emitted.rows());
  }
}

TEST(ExpertIteration, SaysSoWhenNothingIsGood) {
  Sums host;
  host.judge = [](std::string_view, std::string_view) { return std::nan(""); };
  const hone::testing::Component stage("expert_iteration", kSettings, host.services());
  try {
    hone::testing::run(stage);
    FAIL();
  } catch (const hone::Error &error) {
    EXPECT_NE(std::string(error.what()).find("no response of round 1"), std::string::npos) << error.what();
  }
}

}  // namespace
