// preference_test.cpp -- what the reward model is shown, and what becomes of its numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "tests/plugins/rewards/open_reward.h"

namespace hone {
namespace {

// A reward model that scores a text by its length, and remembers what it was asked.
struct LengthModel {
  hone_reward_model service{sizeof(hone_reward_model), this, score};
  std::vector<std::string> seen;
  std::vector<int64_t> models;
  bool fail = false;

  static int32_t score(void *ctx, int64_t model, const hone_str *, const hone_str *responses, uint32_t n, float *out, hone_error *err) {
    auto *self = static_cast<LengthModel *>(ctx);
    if (self->fail) {
      std::snprintf(err->text, sizeof err->text, "the model's folder is gone");
      return HONE_FAILED;
    }
    for (uint32_t i = 0; i < n; ++i) {
      self->seen.emplace_back(responses[i].data, responses[i].size);
      self->models.push_back(model);
      out[i] = self->seen.back() == "nan" ? std::numeric_limits<float>::quiet_NaN() : float(responses[i].size);
    }
    return HONE_OK;
  }
  WorkerServices services() { return offering(service); }
};

const nlohmann::json kModel = {{"$path", "/models/rm"}};

TEST(Preference, ShowsOnlyTheAnswer) {
  LengthModel model;
  OpenReward reward("preference", {{"model", kModel}}, model.services());
  EXPECT_EQ(reward("<think>long thoughts</think> <answer> four </answer>"), 4);
  EXPECT_EQ(reward("<think>long thoughts</think> hello"), 5);
  EXPECT_EQ(reward("plain"), 5);
  EXPECT_EQ(model.seen, (std::vector<std::string>{"four", "hello", "plain"}));
  EXPECT_EQ(model.models, (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(reward("<think>never ends"), -1) << "there is nothing to judge, so the model is not asked";
  EXPECT_EQ(model.seen.size(), 3u);
}

TEST(Preference, ShowsTheWholeResponseOnDemand) {
  LengthModel model;
  OpenReward reward("preference", {{"model", kModel}, {"part", "response"}}, model.services());
  EXPECT_EQ(reward("<think>a</think> b"), 18);
}

TEST(Preference, SquashesOnDemand) {
  LengthModel model;
  OpenReward reward("preference", {{"model", kModel}, {"squash", "sigmoid"}, {"center", 3}, {"scale", 2}}, model.services());
  EXPECT_FLOAT_EQ(reward("abc"), 0.5f);
  EXPECT_FLOAT_EQ(reward("abcde"), float(1 / (1 + std::exp(-1.0))));
}

TEST(Preference, AModelThatFailsIsNoScore) {
  LengthModel model;
  OpenReward reward("preference", {{"model", kModel}}, model.services());
  EXPECT_TRUE(std::isnan(reward("nan")));
  EXPECT_NE(reward.why.find("no finite number"), std::string::npos);
  model.fail = true;
  EXPECT_TRUE(std::isnan(reward("x")));
  EXPECT_NE(reward.why.find("folder is gone"), std::string::npos);
}

TEST(Preference, NeedsAModelAndAHostThatRunsIt) {
  LengthModel model;
  EXPECT_THROW(OpenReward("preference", nlohmann::json::object(), model.services()), std::exception);
  try {
    OpenReward reward("preference", {{"model", kModel}});
    FAIL();
  } catch (const std::exception &error) {
    EXPECT_NE(std::string(error.what()).find("hone.host.reward_model/1"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace hone
