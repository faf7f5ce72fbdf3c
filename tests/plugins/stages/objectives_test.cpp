// objectives_test.cpp -- each objective against its formula written again in double, and its derivatives against finite
// differences, over random ragged batches with masked tokens and unscored rows.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <random>

#include "core/base/failure.h"
#include "core/train/objective_columns.h"
#include "tests/support/built_component.h"

namespace hone {
namespace {

using Column = std::vector<float>;
const float nan_score = std::nanf("");

struct Objectives : testing::Test {
  Pool pool{1};
  Host host{pool, 1};
  std::mt19937 random{20250122};

  float uniform(float a, float b) { return std::uniform_real_distribution<float>(a, b)(random); }
  uint32_t whole(uint32_t a, uint32_t b) { return std::uniform_int_distribution<uint32_t>(a, b)(random); }
  Column some(size_t n, float a, float b) {
    Column out(n);
    for (float &x : out) x = uniform(a, b);
    return out;
  }

  // groups of 1 .. 5 rows of 1 .. 9 tokens; some rows unscored, some tokens masked.
  std::vector<TrainRow> ragged(int groups, bool pairs = false) {
    std::vector<TrainRow> rows;
    for (int g = 0; g < groups; ++g) {
      const uint32_t n = pairs ? 2 : whole(1, 5);
      for (uint32_t i = 0; i < n; ++i) {
        TrainRow row;
        const uint32_t tokens = whole(1, 9);
        row.ids.assign(tokens + 1, 0);
        row.group = static_cast<uint32_t>(g);
        row.reward = whole(0, 9) == 0 && !pairs ? nan_score : static_cast<float>(whole(0, 4)) / 4;
        row.chosen = i == static_cast<uint32_t>(g % 2);
        row.margin = pairs ? uniform(0, 1) : 0;
        row.weight = some(tokens, 0, 2);
        for (uint32_t t = 0; t < tokens; ++t) row.masked.push_back(t + 1 < tokens && whole(0, 4) == 0);
        row.logp_old = some(tokens, -4, -0.1f);
        row.logp_ref = some(tokens, -4, -0.1f);
        rows.push_back(row);
      }
    }
    return rows;
  }

  // Columns with log-probs near the old ones, so that some ratios are clipped and some are not.
  ObjectiveColumns columns(const std::vector<TrainRow> &rows, uint32_t source) {
    ObjectiveColumns c = columns_of(rows, source);
    for (uint32_t t = 0; t < c.tokens(); ++t) c.logp[t] = c.logp_old[t] + uniform(-0.5f, 0.5f);
    c.value = some(c.tokens(), -2, 2);
    c.value_old = c.value;
    return c;
  }

  static double total(const ObjectiveCalls &objective, ObjectiveColumns &c) {
    objective.make_room(c);
    return objective.loss(c, 0, c.rows());
  }

  // Central differences of the loss by every entry of a column, against what the objective claims. near_kink: whether
  // the loss has a corner so close to this token that differences mean nothing.
  static void expect_derivative(const ObjectiveCalls &objective, ObjectiveColumns c, Column ObjectiveColumns::*column,
                                Column ObjectiveColumns::*derivative,
                                const std::function<bool(uint32_t)> &near_kink = {}) {
    total(objective, c);
    const Column claimed = c.*derivative;
    size_t checked = 0;
    for (uint32_t t = 0; t < c.tokens(); ++t) {
      if (near_kink && near_kink(t)) continue;
      const float at = (c.*column)[t];
      const float up = at + 1.0f / 512, down = at - 1.0f / 512;
      (c.*column)[t] = up;
      const double high = total(objective, c);
      (c.*column)[t] = down;
      const double low = total(objective, c);
      (c.*column)[t] = at;
      const double slope = (high - low) / (double(up) - double(down));
      ASSERT_NEAR(claimed[t], slope, 1e-5 + 1e-4 * std::fabs(slope)) << "token " << t;
      ++checked;
    }
    EXPECT_GT(checked, c.tokens() / 2) << "too few tokens were far enough from a corner";
  }
};

TEST_F(Objectives, SftAndATeachersResponsesAreTheWeightedMeanOfNegativeLogProbabilities) {
  for (const char *name : {"sft", "distill"}) {
    const nlohmann::json settings = std::string(name) == "sft" ? nlohmann::json::object() : nlohmann::json{{"responses", "teacher"}};
    const BuiltInstance stage(host, "stage", name, settings);
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), name);
    EXPECT_EQ(objective.source(), std::string(name) == "sft" ? HONE_ROWS : HONE_TEACHER);
    ObjectiveColumns c = columns(ragged(12), objective.source());
    double sum = 0, weight = 0;
    for (uint32_t t = 0; t < c.tokens(); ++t) sum += double(c.weight[t]) * c.logp[t], weight += c.weight[t];
    EXPECT_NEAR(total(objective, c), -sum / weight, 1e-9);
    for (uint32_t t = 0; t < c.tokens(); ++t) EXPECT_NEAR(c.dlogp[t], -c.weight[t] / weight, 1e-8);
    expect_derivative(objective, c, &ObjectiveColumns::logp, &ObjectiveColumns::dlogp);
  }
}

TEST_F(Objectives, SftOfWeightZeroAloneIsNothing) {
  const BuiltInstance stage(host, "stage", "sft");
  const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "sft");
  TrainRow row;
  row.ids = {0, 0, 0};
  row.weight = {0, 0};
  ObjectiveColumns c = columns_of({row}, HONE_ROWS);
  EXPECT_EQ(total(objective, c), 0);
}

struct GrpoCase {
  const char *aggregation, *scale_rewards;
  double epsilon, epsilon_high, beta;
};

TEST_F(Objectives, GrpoFollowsItsEquation) {
  for (const GrpoCase &s : {GrpoCase{"sequence-mean-token-mean", "group", 0.2, 0, 0}, GrpoCase{"sequence-mean-token-mean", "none", 0.1, 0.3, 0.05},
                            GrpoCase{"token-mean", "group", 0.2, 0.28, 0}, GrpoCase{"token-mean", "none", 0.3, 0, 0.5}}) {
    const BuiltInstance stage(host, "stage", "grpo",
                              {{"aggregation", s.aggregation},
                               {"scale_rewards", s.scale_rewards},
                               {"epsilon", s.epsilon},
                               {"epsilon_high", s.epsilon_high},
                               {"beta", s.beta}});
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "grpo");
    EXPECT_EQ(objective.needs(), HONE_LOGP_OLD | (s.beta > 0 ? HONE_LOGP_REF : 0));
    ObjectiveColumns c = columns(ragged(20), HONE_ON_POLICY);
    objective.advantages(c, true);

    // The equation again, by maps and sums of its own.
    std::map<uint32_t, std::vector<double>> rewards;
    for (uint32_t r = 0; r < c.rows(); ++r) rewards[c.group[r]].push_back(c.reward[r]);
    double expected = 0, weights = 0;
    for (float w : c.weight) weights += w;
    for (uint32_t r = 0; r < c.rows(); ++r) {
      const std::vector<double> &all = rewards[c.group[r]];
      double mean = 0, square = 0;
      for (double x : all) mean += x;
      mean /= static_cast<double>(all.size());
      for (double x : all) square += (x - mean) * (x - mean);
      const double deviation = std::sqrt(square / static_cast<double>(all.size()));
      const double A =
          deviation < 1e-9 ? 0 : (c.reward[r] - mean) / (std::string(s.scale_rewards) == "group" ? deviation : 1);
      double row_sum = 0, row_weight = 0;
      for (uint32_t t = c.row_start[r]; t < c.row_start[r + 1]; ++t) {
        ASSERT_NEAR(c.advantage[t], A, 1e-5);
        const double ratio = std::exp(double(c.logp[t]) - double(c.logp_old[t]));
        const double high = s.epsilon_high > 0 ? s.epsilon_high : s.epsilon;
        const double clipped = std::min(std::max(ratio, 1 - s.epsilon), 1 + high);
        const double d = double(c.logp_ref[t]) - double(c.logp[t]);
        row_sum += c.weight[t] * (s.beta * (std::exp(d) - d - 1) - std::min(ratio * A, clipped * A));
        row_weight += c.weight[t];
      }
      expected += std::string(s.aggregation) != "token-mean" ? row_sum / row_weight / c.rows() : row_sum / weights;
    }
    EXPECT_NEAR(total(objective, c), expected, 1e-6) << s.aggregation;
    const double high = s.epsilon_high > 0 ? s.epsilon_high : s.epsilon;
    expect_derivative(objective, c, &ObjectiveColumns::logp, &ObjectiveColumns::dlogp, [&](uint32_t t) {
      const double ratio = std::exp(double(c.logp[t]) - double(c.logp_old[t]));
      return std::fabs(ratio - (1 - s.epsilon)) < 0.01 || std::fabs(ratio - (1 + high)) < 0.01;
    });
  }
}

TEST_F(Objectives, RlooFollowsItsEquation) {
  for (const double beta : {0.0, 0.1}) {
    const BuiltInstance stage(host, "stage", "rloo", {{"beta", beta}, {"epsilon", 0.4}});
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "rloo");
    ObjectiveColumns c = columns(ragged(20), HONE_ON_POLICY);
    objective.advantages(c, true);
    std::vector<double> reward(c.rows()), moved(c.rows(), 0);
    for (uint32_t r = 0; r < c.rows(); ++r) {
      reward[r] = c.reward[r];
      for (uint32_t t = c.row_start[r]; t < c.row_start[r + 1]; ++t) {
        reward[r] -= beta * (double(c.logp_old[t]) - double(c.logp_ref[t]));
        moved[r] += c.weight[t] * (double(c.logp[t]) - double(c.logp_old[t]));
      }
    }
    double expected = 0;
    for (uint32_t r = 0; r < c.rows(); ++r) {
      double others = 0, n = 0;  // the baseline as the paper has it: the mean of the other rows
      for (uint32_t o = 0; o < c.rows(); ++o)
        if (o != r && c.group[o] == c.group[r]) others += reward[o], ++n;
      const double A = n > 0 ? reward[r] - others / n : 0;
      for (uint32_t t = c.row_start[r]; t < c.row_start[r + 1]; ++t) ASSERT_NEAR(c.advantage[t], A, 1e-5);
      const double ratio = std::exp(moved[r]);
      expected -= std::min(ratio * A, std::min(std::max(ratio, 0.6), 1.4) * A) / c.rows();
    }
    EXPECT_NEAR(total(objective, c), expected, 1e-6);
    expect_derivative(objective, c, &ObjectiveColumns::logp, &ObjectiveColumns::dlogp, [&](uint32_t t) {
      uint32_t r = 0;
      while (c.row_start[r + 1] <= t) ++r;
      const double ratio = std::exp(moved[r]);
      return std::fabs(ratio - 0.6) < 0.03 || std::fabs(ratio - 1.4) < 0.03;
    });
  }
}

TEST_F(Objectives, GroupsOfEqualRewardsGiveExactlyNoGradient) {
  for (const char *name : {"grpo", "rloo"}) {
    const BuiltInstance stage(host, "stage", name);
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), name);
    std::vector<TrainRow> rows = ragged(10);
    for (TrainRow &row : rows)
      row.reward = 0.1f * static_cast<float>(row.group);  // 0.1 has no exact float: rounding must not show
    ObjectiveColumns c = columns(rows, HONE_ON_POLICY);
    objective.advantages(c, true);
    EXPECT_EQ(total(objective, c), 0) << name;
    for (float d : c.dlogp) EXPECT_EQ(d, 0.0f) << name;
  }
}

// A sum of weighted scores is a float: 0.1 + 0.6 and 0.7 differ in its last bits, which is no reason to prefer one.
TEST_F(Objectives, RewardsThatDifferByRoundingAreEqual) {
  const BuiltInstance stage(host, "stage", "grpo");
  const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "grpo");
  std::vector<TrainRow> rows = ragged(6);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = i % 2 ? 0.7f : std::nextafter(0.7f, 1.0f);
  ObjectiveColumns c = columns(rows, HONE_ON_POLICY);
  objective.advantages(c, true);
  for (float a : c.advantage) EXPECT_EQ(a, 0.0f);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = i % 2 ? 0.7f : 0.70002f;  // small, but meant
  c = columns(rows, HONE_ON_POLICY);
  objective.advantages(c, true);
  EXPECT_NE(std::count_if(c.advantage.begin(), c.advantage.end(), [](float a) { return a != 0; }), 0);
}

TEST_F(Objectives, RowsWithoutAnAdvantageMoveNothingHoweverFarThePolicyHasMoved) {
  for (const char *name : {"grpo", "rloo"}) {
    const BuiltInstance stage(host, "stage", name);
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), name);
    TrainRow row;
    row.ids.assign(1001, 0);
    row.reward = 1;
    row.weight.assign(1000, 1.0f);
    row.masked.assign(1000, false);
    row.logp_old.assign(1000, -900.0f);
    ObjectiveColumns c = columns_of({row, row}, HONE_ON_POLICY);
    std::fill(c.logp.begin(), c.logp.end(), -0.1f);
    objective.advantages(c, true);
    EXPECT_EQ(total(objective, c), 0) << name;
    for (float d : c.dlogp) EXPECT_EQ(d, 0.0f) << name;
  }
}

TEST_F(Objectives, OneTokenRowsAndOneRowGroupsAreFine) {
  for (const char *name : {"grpo", "rloo"}) {
    const BuiltInstance stage(host, "stage", name);
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), name);
    TrainRow row;
    row.ids = {0, 0};
    row.reward = 1;
    row.logp_old = {-1};
    ObjectiveColumns c = columns_of({row}, HONE_ON_POLICY);
    c.logp = {-1};
    objective.advantages(c, true);
    EXPECT_EQ(total(objective, c), 0);
    EXPECT_EQ(c.dlogp[0], 0);
  }
}

TEST_F(Objectives, RewardModelFollowsItsEquation) {
  for (const double centre : {0.0, 0.05}) {
    const BuiltInstance stage(host, "stage", "reward_model", {{"center_rewards_coefficient", centre}});
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "reward_model");
    EXPECT_EQ(objective.source(), HONE_PAIRS);
    EXPECT_FALSE(objective.has_advantages());
    ObjectiveColumns c = columns(ragged(15, true), HONE_PAIRS);
    double expected = 0;
    for (uint32_t r = 0; r < c.rows(); r += 2) {
      const uint32_t good = c.chosen[r] ? r : r + 1, bad = c.chosen[r] ? r + 1 : r;
      const double v_good = c.value[c.row_start[good + 1] - 1], v_bad = c.value[c.row_start[bad + 1] - 1];
      expected -= std::log(1 / (1 + std::exp(-(v_good - v_bad - c.margin[good])))) / (c.rows() / 2.0);
      expected += centre * (v_good + v_bad) * (v_good + v_bad) / (c.rows() / 2.0);
    }
    EXPECT_NEAR(total(objective, c), expected, 1e-6);
    expect_derivative(objective, c, &ObjectiveColumns::value, &ObjectiveColumns::dvalue);
    for (float d : c.dlogp) EXPECT_EQ(d, 0);
  }
}

TEST_F(Objectives, RewardModelStaysFiniteForExtremeValues) {
  const BuiltInstance stage(host, "stage", "reward_model");
  const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), "reward_model");
  ObjectiveColumns c = columns(ragged(2, true), HONE_PAIRS);
  for (const float extreme : {1e4f, -1e4f}) {
    for (uint32_t t = 0; t < c.tokens(); ++t) c.value[t] = t % 2 ? extreme : -extreme;
    EXPECT_TRUE(std::isfinite(total(objective, c)));
  }
}

TEST_F(Objectives, AStepCutIntoMicroBatchesAddsUpToTheSame) {
  for (const char *name : {"grpo", "rloo", "sft"}) {
    const BuiltInstance stage(host, "stage", name);
    const ObjectiveCalls objective(stage.methods<hone_objective>(), stage.self(), name);
    ObjectiveColumns c = columns(ragged(15), objective.source());
    objective.advantages(c, true);
    const double whole_loss = total(objective, c);
    const Column whole_dlogp = c.dlogp;
    objective.make_room(c);
    double sum = 0;
    for (uint32_t r = 0, end; r < c.rows(); r = end) {
      for (end = r + 1; end < c.rows() && c.group[end] == c.group[r];) ++end;
      sum += objective.loss(c, r, end);
    }
    EXPECT_NEAR(sum, whole_loss, 1e-12) << name;
    EXPECT_EQ(c.dlogp, whole_dlogp) << name;
  }
}

TEST_F(Objectives, SettingsOutsideTheirRangeAreRefused) {
  EXPECT_THROW(BuiltInstance(host, "stage", "grpo", {{"epsilon", -0.1}}), Failure);
  EXPECT_THROW(BuiltInstance(host, "stage", "grpo", {{"aggregation", "token-sum"}}), Failure);
  EXPECT_THROW(BuiltInstance(host, "stage", "grpo", {{"epsilom", 0.1}}), Failure);
  EXPECT_THROW(BuiltInstance(host, "stage", "rloo", {{"beta", -1}}), Failure);
}

}  // namespace
}  // namespace hone
