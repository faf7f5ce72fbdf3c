// prm_test.cpp -- what a process reward model is asked about a response, and what becomes of its values.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/plugins/rewards/open_reward.h"

namespace hone {
namespace {

// A step's value is its length less 3, plus what all steps before it are long, over 10; and it remembers what it was asked.
struct LengthModel {
  hone_reward_model service{sizeof(hone_reward_model), this, nullptr, score};
  std::vector<std::vector<std::string>> seen;

  static int32_t score(void *ctx, int64_t, const hone_str *, const uint32_t *n_steps, const hone_str *steps, uint32_t n, float *out,
                       hone_error *) {
    for (uint32_t i = 0; i < n; ++i) {
      auto &own = static_cast<LengthModel *>(ctx)->seen.emplace_back();
      float before = 0;
      for (uint32_t j = 0; j < n_steps[i]; ++j, ++steps) {
        own.emplace_back(steps->data, steps->size);
        *out++ = own.back() == "nan" ? std::nanf("") : float(steps->size) - 3 + before / 10;
        before += float(steps->size);
      }
    }
    return HONE_OK;
  }
  WorkerServices services() { return offering(service); }
};

const nlohmann::json kModel = {{"$path", "/models/prm"}};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
using Texts = std::vector<std::string>;

ScoreRow cut(const std::string &text, const std::vector<uint32_t> &at) {
  ScoreRow row;
  row.prompt = "p", row.text = text, row.columns = "{}";
  row.step_text = at;
  for (uint32_t j = 0; j < at.size(); ++j) row.step_start.push_back(j), row.ids.push_back(7);
  return row;
}

TEST(Prm, ScoresTheStepsThatTheHostCutAndAggregatesThem) {
  const double a = sigmoid(2 - 3.0), b = sigmoid(5 - 3 + 0.2), c = sigmoid(1 - 3 + 0.7);
  for (const auto &[aggregate, expected] :
       {std::pair<const char *, double>{"min", std::min(a, c)}, {"product", a * b * c}, {"last", c}, {"mean", (a + b + c) / 3}}) {
    LengthModel model;
    OpenReward reward("prm", {{"model", kModel}, {"aggregate", aggregate}}, model.services());
    const PartScores scores = reward.all({cut("abcdefgh", {0, 2, 7}), cut("", {0}), cut("xyz", {0})});
    EXPECT_FLOAT_EQ(scores.score[0], float(expected)) << aggregate;
    ASSERT_EQ(scores.steps[0].size(), 3u);
    for (size_t j = 0; j < 3; ++j) EXPECT_FLOAT_EQ(scores.steps[0][j], float((const double[]){a, b, c}[j]));
    EXPECT_EQ(scores.score[1], 0) << "an empty response";
    EXPECT_EQ(scores.steps[1], std::vector<float>{0});
    EXPECT_FLOAT_EQ(scores.steps[2][0], 0.5f);
    EXPECT_EQ(model.seen, (std::vector<Texts>{{"ab", "cdefg", "h"}, {"xyz"}})) << "in one call, the empty one left out";
  }
}

TEST(Prm, CutsTheTextItselfWhereNobodyAskedForSteps) {
  LengthModel model;
  OpenReward reward("prm", {{"model", kModel}, {"aggregate", "last"}, {"step_separators", {"\n", "</step>"}}}, model.services());
  for (const char *text : {"one\ntwo </step> three", "one\n\n two\n\n", "\n one", "one"}) reward(text);
  EXPECT_EQ(model.seen, (std::vector<Texts>{{"one\n", "two </step>", " three"}, {"one\n", "\n two\n\n"}, {"\n one"}, {"one"}}));
}

TEST(Prm, AValueThatIsNoNumberIsNoScore) {
  LengthModel model;
  OpenReward reward("prm", {{"model", kModel}}, model.services());
  EXPECT_TRUE(std::isnan(reward("nan")));
  EXPECT_NE(reward.why.find("no finite number"), std::string::npos) << reward.why;
}

TEST(Prm, SaysWhatItLacks) {
  LengthModel model;
  model.service.score_steps = nullptr;
  const auto refused = [&](const nlohmann::json &settings) -> std::string {
    try {
      OpenReward reward("prm", settings, model.services());
    } catch (const std::exception &failure) {
      return failure.what();
    }
    return "";
  };
  EXPECT_NE(refused({{"model", kModel}}).find("use a newer hone"), std::string::npos);
  model.service.score_steps = LengthModel::score;
  EXPECT_NE(refused({{"model", kModel}, {"step_separators", {1}}}).find("step_separators must be a list of texts"), std::string::npos);
}

}  // namespace
}  // namespace hone
