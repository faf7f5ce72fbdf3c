// group_relative_test.cpp -- objectives whose advantages come from a group's own rewards: grpo, dr_grpo, dapo, gspo, cispo,
// reinforce_plus_plus_baseline and rloo, against their formulas.
#include "tests/plugins/stages/policy_gradient_formula.h"

namespace hone::judge {
namespace {

const json scales = {"group", "batch", "none"};
double reward_of(const Response &row) { return row.reward; }

TEST_F(PolicyGradients, GrpoFollowsItsEquation) {
  expect_follows("grpo", Ratio::token, {{"scale_rewards", scales}},
                 [](const Rows &rows, const json &set) { return group_relative(rows, text(set, "scale_rewards", "group"), reward_of); });
}

// DeepSeekMath, section 4.1.3: of a token the normalised rewards of all steps that end at it or later.
TEST_F(PolicyGradients, GrpoOfStepsFollowsItsEquation) {
  for (int i = 0; i < 40; ++i) {
    const std::string scale = any_of(scales);
    const Asked objective(host, "grpo", {{"supervision", "process"}, {"scale_rewards", scale}});
    EXPECT_EQ(objective.needs, HONE_LOGP_OLD | HONE_STEP_REWARD);
    Rows rows = trained(ragged(whole(1, 8)));
    Advantages expected;
    for (const Response &row : rows) {
      std::vector<double> group, batch;
      for (const Response &other : rows)
        for (const Token &t : other.tokens) {
          if (std::isnan(t.step_reward)) continue;
          batch.push_back(t.step_reward);
          if (other.group == row.group) group.push_back(t.step_reward);
        }
      const Moments its = moments(group);
      const double deviation = scale == "none" ? 1 : std::sqrt(scale == "group" ? its.variance : moments(batch).variance);
      std::vector<double> ends;
      for (const Token &t : row.tokens) ends.push_back(std::isnan(t.step_reward) || its.equal ? 0 : (t.step_reward - its.mean) / deviation);
      expected.push_back(to_come(ends, 1));
    }
    expect_column(objective.advantages(rows).advantage, expected, "the advantage");
    const Settings settings("grpo", json::object());
    expect_loss(objective, rows, [&](const Rows &at) { return policy_gradient_loss(settings, Ratio::token, at); });
  }
}

TEST_F(PolicyGradients, DrGrpoFollowsItsEquation) {
  expect_follows("dr_grpo", Ratio::token, json::object(),
                 [](const Rows &rows, const json &) { return group_relative(rows, "none", reward_of); });
}

// DAPO's eq. 13 in its three cases.
double overlong(double length, double longest, double cache) {
  if (cache == 0 || length <= longest - cache) return 0;
  return length <= longest ? (longest - cache - length) / cache : -1;
}

TEST_F(PolicyGradients, DapoFollowsItsEquation) {
  // Responses have at most 9 tokens: lengths below, in and beyond the cache.
  expect_follows("dapo", Ratio::token,
                 {{"scale_rewards", scales},
                  {"overlong_cache", {0, 2, 4}},
                  {"max_completion_length", {4, 5, 7, 9}},
                  {"dynamic_sampling", {true, false}}},
                 [](const Rows &rows, const json &set) {
                   const double longest = set.value("max_completion_length", 256), cache = set.value("overlong_cache", 0);
                   return group_relative(rows, text(set, "scale_rewards", "group"), [&](const Response &row) {
                     return row.reward + overlong(double(row.tokens.size()), longest, cache);
                   });
                 });
}

TEST_F(PolicyGradients, DapoRefusesACacheThatIsLongerThanAResponse) {
  EXPECT_THROW(BuiltInstance(host, "stage", "dapo", {{"overlong_cache", 11}, {"max_completion_length", 10}}), Failure);
  BuiltInstance(host, "stage", "dapo", {{"overlong_cache", 10}, {"max_completion_length", 10}});
}

TEST_F(PolicyGradients, GspoFollowsItsEquation) {
  expect_follows("gspo", Ratio::mean, {{"scale_rewards", scales}},
                 [](const Rows &rows, const json &set) { return group_relative(rows, text(set, "scale_rewards", "group"), reward_of); });
}

TEST_F(PolicyGradients, CispoFollowsItsEquation) {
  expect_follows("cispo", Ratio::weight, {{"scale_rewards", scales}, {"epsilon", {0.1, 0.25, 1.5}}},
                 [](const Rows &rows, const json &set) { return group_relative(rows, text(set, "scale_rewards", "group"), reward_of); });
}

Advantages reinforce_plus_plus_baseline(const Rows &rows, const json &) {
  Advantages out = standardized(group_relative(rows, "none", reward_of));
  for (size_t r = 0; r < rows.size(); ++r) {
    std::vector<double> group;
    for (const Response &other : rows)
      if (other.group == rows[r].group) group.push_back(other.reward);
    if (moments(group).equal) std::fill(out[r].begin(), out[r].end(), 0);  // says nothing, though the step's mean is not 0
  }
  return out;
}

TEST_F(PolicyGradients, ReinforcePlusPlusBaselineFollowsItsEquation) {
  expect_follows("reinforce_plus_plus_baseline", Ratio::token, json::object(), reinforce_plus_plus_baseline);
}

// Rewards so alike that the bound under the variance decides.
TEST_F(PolicyGradients, ReinforcePlusPlusBaselineDividesByNoLessThanItsBound) {
  const Asked objective(host, "reinforce_plus_plus_baseline");
  Rows rows = trained(ragged(6));
  for (Response &row : rows) row.reward = float(1e-5 * row.reward);
  expect_column(objective.advantages(rows).advantage, reinforce_plus_plus_baseline(rows, {}), "the advantage");
}

// The baseline as the paper has it: the mean of the other rows.
TEST_F(PolicyGradients, RlooFollowsItsEquation) {
  expect_follows("rloo", Ratio::product, {{"beta", {0.05, 0.3}}, {"normalize_advantages", {true, false}}},
                 [](const Rows &rows, const json &set) {
                   const double beta = number(set, "beta", 0);
                   const auto reward = [&](const Response &row) {
                     double sum = row.reward;
                     for (const Token &t : row.tokens) sum -= beta * (t.logp_old - t.logp_ref);
                     return sum;
                   };
                   std::vector<double> A;
                   for (size_t r = 0; r < rows.size(); ++r) {
                     double others = 0, n = 0;
                     for (size_t o = 0; o < rows.size(); ++o)
                       if (o != r && rows[o].group == rows[r].group) others += reward(rows[o]), ++n;
                     A.push_back(n > 0 ? reward(rows[r]) - others / n : 0);
                   }
                   if (set.value("normalize_advantages", false)) {
                     const Moments all = moments(A);
                     const double sample = all.n > 1 ? std::sqrt(all.variance * all.n / (all.n - 1)) : 0;
                     for (double &a : A) a = (a - all.mean) / (sample + 1e-4);
                   }
                   Advantages out;
                   for (size_t r = 0; r < rows.size(); ++r) out.emplace_back(rows[r].tokens.size(), A[r]);
                   return out;
                 });
}

}  // namespace
}  // namespace hone::judge
