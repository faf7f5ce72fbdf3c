// returns_test.cpp -- objectives whose advantages differ from token to token: reinforce_plus_plus, remax, ppo and on-policy
// distillation, against their formulas.
#include "tests/plugins/stages/policy_gradient_formula.h"

namespace hone::judge {
namespace {

Advantages returns_of(const Rows &rows, double kl_coef, double gamma) {
  Advantages out;
  for (const Response &row : rows) out.push_back(to_come(token_rewards(row, kl_coef), gamma));
  return out;
}

TEST_F(PolicyGradients, ReinforcePlusPlusFollowsItsEquation) {
  expect_follows(
      "reinforce_plus_plus", Ratio::token, {{"kl_coef", {0.02, 0.3}}, {"gamma", {0, 0.5, 0.95, 1}}},
      [](const Rows &rows, const json &set) { return standardized(returns_of(rows, number(set, "kl_coef", 0), number(set, "gamma", 1))); });
}

// Rewards so alike that the bound under the variance decides.
TEST_F(PolicyGradients, ReinforcePlusPlusDividesByNoLessThanItsBound) {
  const Asked objective(host, "reinforce_plus_plus");
  Rows rows = trained(ragged(6));
  for (Response &row : rows) row.reward = float(1e-5 * row.reward);
  expect_column(objective.advantages(rows).advantage, standardized(returns_of(rows, 0, 1)), "the advantage");
}

TEST_F(PolicyGradients, ReMaxFollowsItsEquation) {
  EXPECT_EQ(Asked(host, "remax").needs, HONE_LOGP_OLD | HONE_BASELINE);
  expect_follows("remax", Ratio::token, {{"kl_coef", {0.02, 0.3}}}, [](const Rows &rows, const json &set) {
    Advantages out = returns_of(rows, number(set, "kl_coef", 0), 1);
    for (size_t r = 0; r < rows.size(); ++r)
      for (double &a : out[r]) a -= rows[r].baseline;
    return out;
  });
}

TEST_F(PolicyGradients, DistillationOnPolicyFollowsItsEquation) {
  EXPECT_EQ(Asked(host, "distill").needs, HONE_LOGP_OLD | HONE_LOGP_TEACHER);
  expect_follows("distill", Ratio::token, {{"responses", {"student"}}}, [](const Rows &rows, const json &) {
    Advantages out;
    for (const Response &row : rows) {
      out.emplace_back();
      for (const Token &t : row.tokens) out.back().push_back(t.logp_teacher - t.logp_old);
    }
    return out;
  });
}

struct Gae {
  Advantages advantage, target;
};
// Eq. 16 of arXiv 1506.02438 as its definition: every delta from a token on, discounted by (gamma lam)^distance.
Gae gae_of(const Rows &rows, const json &set) {
  const double gamma = set.value("gamma", 1.0f), lam = set.value("lam", 0.95f), given = set.value("critic_lam", -1.0f),
               kl_coef = set.value("kl_coef", 0.0f);
  const double critic_lam = given < 0 ? lam : given;
  Gae out;
  for (const Response &row : rows) {
    std::vector<double> rewards = token_rewards(row, kl_coef), deltas;
    for (size_t t = 0; t < rewards.size(); ++t) {
      if (set.value("supervision", "outcome") == "process" && !std::isnan(row.tokens[t].step_reward))
        rewards[t] += row.tokens[t].step_reward;
      const double next = t + 1 < rewards.size() ? row.tokens[t + 1].value_old : 0;
      deltas.push_back(rewards[t] + gamma * next - row.tokens[t].value_old);
    }
    out.advantage.push_back(to_come(deltas, gamma * lam));
    out.target.push_back(to_come(deltas, gamma * critic_lam));
    for (size_t t = 0; t < rewards.size(); ++t) out.target.back()[t] += row.tokens[t].value_old;
  }
  if (set.value("normalize_advantages", true)) {
    const Moments all = moments(flat(out.advantage));
    for (auto &row : out.advantage)
      for (double &a : row) a = all.equal ? 0 : (a - all.mean) / std::sqrt(all.variance * all.n / (all.n - 1) + 1e-8);
  }
  return out;
}

double critic_loss(const Settings &s, const json &set, const Rows &rows) {
  const double vf_coef = set.value("vf_coef", 0.1f), range = set.value("cliprange_value", 0.2f);
  double loss = 0;
  for (const Response &row : rows)
    for (const Token &t : row.tokens) {
      const double kept = range > 0 ? clip(t.value, t.value_old - range, t.value_old + range) : t.value;
      const double squares = std::max(std::pow(t.value - t.target, 2), std::pow(kept - t.target, 2));
      loss += share_of(s, rows, row, t) * vf_coef / 2 * squares;
    }
  return loss;
}

TEST_F(PolicyGradients, PpoAndItsCriticFollowTheirEquations) {
  json choices = shared_choices("ppo");
  choices.update({{"kl_coef", {0.02, 0.3}},
                  {"gamma", {0, 0.9, 1}},
                  {"lam", {0, 0.5, 1}},
                  {"critic_lam", {-1, 0, 0.7, 1}},
                  {"vf_coef", {0, 0.1, 1}},
                  {"cliprange_value", {0, 0.1, 0.5}},
                  {"normalize_advantages", {true, false}},
                  {"supervision", {"outcome", "process"}}});
  for (int i = 0; i < 80; ++i) {
    const json set = i < 5 ? json::object() : some_of(choices);
    SCOPED_TRACE(set.dump());
    const Asked objective(host, "ppo", set);
    Rows rows = trained(ragged(whole(1, 8)));
    const Gae expected = gae_of(rows, set);
    const Answer is = objective.advantages(rows);
    expect_column(is.advantage, expected.advantage, "the advantage");
    expect_column(is.target, expected.target, "the target");
    const Settings settings("ppo", set);
    expect_loss(objective, rows,
                [&](const Rows &at) { return policy_gradient_loss(settings, Ratio::token, at) + critic_loss(settings, set, at); });
    if (HasFailure()) return;
  }
}

// What whitening adds to the variance shows where there is hardly any.
TEST_F(PolicyGradients, PpoWhitensAlmostEqualAdvantagesByWhatTrlAddsToTheVariance) {
  const Asked objective(host, "ppo", {{"lam", 1}});
  Rows rows = trained(ragged(6));
  for (Response &row : rows) {
    row.reward = float(1e-4 * row.reward);
    for (Token &t : row.tokens) t.value_old = 0;
  }
  const Gae expected = gae_of(rows, {{"lam", 1}});
  expect_column(objective.advantages(rows).advantage, expected.advantage, "the advantage");
}

TEST_F(PolicyGradients, PpoWithoutACriticSeesTheRewardsStillToCome) {
  const Asked objective(host, "ppo", {{"lam", 1}, {"gamma", 1}, {"normalize_advantages", false}, {"supervision", "process"}});
  Rows rows = trained(ragged(10));
  for (Response &row : rows)
    for (Token &t : row.tokens) t.value_old = 0;
  Advantages expected;
  for (const Response &row : rows) {
    std::vector<double> rewards;
    for (const Token &t : row.tokens) rewards.push_back(std::isnan(t.step_reward) ? 0 : t.step_reward);
    rewards.back() += row.reward;
    expected.push_back(to_come(rewards, 1));
  }
  const Answer is = objective.advantages(rows);
  expect_column(is.advantage, expected, "the advantage");
  EXPECT_EQ(is.advantage, is.target);
}

// With lam 1 a critic changes what an advantage is compared with, and nothing else: A = the rewards to come - V.
TEST_F(PolicyGradients, PpoOfLamOneComparesTheDiscountedRewardsWithTheValue) {
  const double gamma = 0.75;
  const Asked objective(host, "ppo", {{"lam", 1}, {"gamma", gamma}, {"normalize_advantages", false}, {"kl_coef", 0.5}});
  Rows rows = trained(ragged(10));
  Advantages expected = returns_of(rows, 0.5, gamma);
  const Answer is = objective.advantages(rows);
  expect_column(is.target, expected, "the target");
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t t = 0; t < rows[r].tokens.size(); ++t) expected[r][t] -= rows[r].tokens[t].value_old;
  expect_column(is.advantage, expected, "the advantage");
}

}  // namespace
}  // namespace hone::judge
