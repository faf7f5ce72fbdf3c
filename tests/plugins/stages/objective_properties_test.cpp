// objective_properties_test.cpp -- what must hold of objectives whatever their formula: nothing to learn moves nothing, a policy that
// has not moved has a policy gradient's, and the KL estimators point where their names say.
#include "tests/plugins/stages/policy_gradient_formula.h"

namespace hone::judge {
namespace {

const char *const of_groups[] = {"grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce_plus_plus_baseline"};
const char *const all_policy_gradients[] = {
    "grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce_plus_plus_baseline", "reinforce_plus_plus", "remax", "ppo", "distill"};

void expect_nothing(const Answer &is, const std::string &name) {
  EXPECT_EQ(is.loss, 0) << name;
  for (const Column *column : {&is.dlogp, &is.dvalue, &is.dentropy})
    for (const float d : *column) EXPECT_EQ(d, 0.0f) << name;
}

TEST_F(PolicyGradients, GroupsOfEqualRewardsGiveExactlyNoGradient) {
  for (const char *name : of_groups) {
    const Asked objective(host, name);
    Rows rows = trained(ragged(10));
    for (Response &row : rows) row.reward = 0.1f * float(row.group);  // 0.1 has no exact float: rounding must not show
    const Column advantage = objective.advantages(rows).advantage;
    for (const float a : advantage) EXPECT_EQ(a, 0.0f) << name;
    expect_nothing(objective.loss(rows), name);
  }
}

TEST_F(PolicyGradients, GroupsOfEqualRewardsGiveNoGradientBesideGroupsThatDo) {
  for (const char *name : of_groups) {
    const Asked objective(host, name);
    Rows rows = trained(ragged(10));
    for (Response &row : rows)
      if (row.group % 2) row.reward = 0.3f;
    objective.advantages(rows);
    const Answer is = objective.loss(rows);
    size_t at = 0, moved = 0;
    for (const Response &row : rows)
      for (size_t i = 0; i < row.tokens.size(); ++i, ++at) {
        const bool equal = row.group % 2;
        moved += is.dlogp[at] != 0 && !equal;
        EXPECT_TRUE(is.dlogp[at] == 0 || !equal) << name << " moves token " << at;
      }
    EXPECT_GT(moved, 0u) << name;
  }
}

// A sum of weighted scores is a float: 0.1 + 0.6 and 0.7 differ in its last bits, which is no reason to prefer one.
TEST_F(PolicyGradients, RewardsThatDifferByRoundingAreEqual) {
  for (const char *name : of_groups) {
    const Asked objective(host, name);
    Rows rows = trained(ragged(8));
    for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = i % 2 ? 0.7f : std::nextafter(0.7f, 1.0f);
    for (const float a : objective.advantages(rows).advantage) EXPECT_EQ(a, 0.0f) << name;
    for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = i % 2 ? 0.7f : 0.70002f;  // small, but meant
    const Column advantage = objective.advantages(rows).advantage;
    EXPECT_NE(std::count_if(advantage.begin(), advantage.end(), [](float a) { return a != 0; }), 0) << name;
  }
}

TEST_F(PolicyGradients, RowsWithoutAnAdvantageMoveNothingHoweverFarThePolicyHasMoved) {
  for (const char *name : of_groups) {
    Response row;
    row.reward = 1;
    row.tokens.resize(1000);
    for (Token &t : row.tokens) t.logp = t.logp_const = -0.1f, t.logp_old = -900;
    Rows rows = {row, row};
    const Asked objective(host, name);
    objective.advantages(rows);
    expect_nothing(objective.loss(rows), name);
  }
}

TEST_F(PolicyGradients, ARowOfOneTokenAloneInItsStepHasNothingToBeComparedWith) {
  for (const char *name : of_groups) {
    const Asked objective(host, name);
    Rows rows = {Response{}};
    rows[0].reward = 1;
    rows[0].tokens.resize(1);
    objective.advantages(rows);
    expect_nothing(objective.loss(rows), name);
  }
}

TEST_F(PolicyGradients, AStepOfNoRowsIsNothing) {
  const json everything = {{"beta", 0.1}, {"entropy_coef", 0.1}, {"importance_sampling_mode", "sequence_mask"}};
  for (const char *name : all_policy_gradients)
    for (const json &set : {json::object(), everything}) {
      const Asked objective(host, name, set);
      Rows nobody;
      objective.advantages(nobody);
      expect_nothing(objective.loss(nobody), name);
    }
  for (const char *name : {"sft", "dpo", "reward_model", "prm"}) expect_nothing(Asked(host, name).loss({}), name);
}

// On policy every ratio is 1 and no clip binds: d loss / d log p = - share A, by the objective's own mean. Of a whole response it is
// the response's share that each token has, since each moves the response's ratio alike.
TEST_F(PolicyGradients, OnPolicyTheGradientIsThatOfThePolicyGradientTheorem) {
  for (const char *name : all_policy_gradients) {
    const Asked objective(host, name, name == std::string("gspo") ? json{{"epsilon", 0.2}} : json::object());
    Rows rows = trained(ragged(10));
    for (Response &row : rows)
      for (Token &t : row.tokens) t.logp = t.logp_const = t.logp_old, t.weight = 1;
    objective.advantages(rows);
    const Answer is = objective.loss(rows);
    const std::string mean = Settings(name, json::object()).all["aggregation"];
    size_t at = 0;
    for (const Response &row : rows)
      for (const Token &t : row.tokens) {
        const double n = double(rows.size());
        const double share = name == std::string("rloo")              ? 1 / n  // the sum of its tokens' log p, as REINFORCE has it
                             : mean == "token-mean"                   ? 1 / double(tokens_of(rows))
                             : mean == "sequence-mean-token-mean"     ? 1 / (n * double(row.tokens.size()))
                             : mean == "sequence-mean-token-sum-norm" ? 1 / (n * 256)
                                                                      : 1 / n;
        ASSERT_NEAR(is.dlogp[at++], -share * t.advantage, 1e-8 + 1e-6 * std::fabs(share * t.advantage)) << name;
      }
  }
}

// GSPO's gradient on policy is GRPO's (arXiv 2507.18071, section 4.2: they differ in how tokens are weighed by their ratios).
TEST_F(PolicyGradients, OnPolicyGspoAndGrpoAgree) {
  for (const char *scale : {"group", "batch", "none"}) {
    const Asked gspo(host, "gspo", {{"scale_rewards", scale}}), grpo(host, "grpo", {{"scale_rewards", scale}});
    Rows rows = trained(ragged(10));
    for (Response &row : rows)
      for (Token &t : row.tokens) t.logp = t.logp_const = t.logp_old;
    EXPECT_EQ(gspo.advantages(rows).advantage, grpo.advantages(rows).advantage);
    const Column a = gspo.loss(rows).dlogp, b = grpo.loss(rows).dlogp;
    for (size_t t = 0; t < a.size(); ++t) EXPECT_NEAR(a[t], b[t], 1e-8 + 1e-6 * std::fabs(b[t]));
  }
}

// One state with a few actions, each a row of one token that weighs as much as it is likely: the loss's gradient by the logits is
// then exactly its expected one. It must be that of the divergence which token_kl.hpp says.
TEST_F(PolicyGradients, TheExpectedGradientOfAKlEstimatorIsThatOfTheDivergenceItClaims) {
  constexpr int actions = 5;
  using Logits = std::array<double, actions>;
  const auto softmax = [](const Logits &z) {
    Logits p;
    double sum = 0;
    for (double x : z) sum += std::exp(x);
    for (int a = 0; a < actions; ++a) p[a] = std::exp(z[a]) / sum;
    return p;
  };
  Logits z, reference;
  for (int a = 0; a < actions; ++a) z[a] = uniform(-1, 1), reference[a] = uniform(-1, 1);
  const Logits p = softmax(z), q = softmax(reference);
  const auto kl = [](const Logits &from, const Logits &to) {
    double sum = 0;
    for (int a = 0; a < actions; ++a) sum += from[a] * std::log(from[a] / to[a]);
    return sum;
  };
  for (const char *estimator : {"k1", "k2", "k3"})
    for (const char *gradient : {"own", "unbiased"}) {
      const Asked objective(host, "grpo",
                            {{"beta", 1}, {"kl_estimator", estimator}, {"kl_gradient", gradient}, {"aggregation", "token-mean"}});
      Rows rows(actions);
      for (int a = 0; a < actions; ++a) {
        rows[a].group = uint32_t(a), rows[a].tokens.resize(1);  // alone in its group: no advantage
        Token &t = rows[a].tokens[0];
        t.logp = t.logp_const = t.logp_old = float(std::log(p[a])), t.logp_ref = float(std::log(q[a])), t.weight = float(p[a]);
      }
      objective.advantages(rows);
      const Answer is = objective.loss(rows);
      if (estimator != std::string("k2")) {
        EXPECT_NEAR(is.loss, kl(p, q), 1e-6) << estimator << ": k1 and k3 are unbiased as numbers";
      }
      for (int i = 0; i < actions; ++i) {
        double expected = 0;  // d/dz_i: d log p_a / dz_i = [a == i] - p_i
        for (int a = 0; a < actions; ++a) expected += is.dlogp[a] * ((a == i) - p[i]);
        Logits up = z, down = z;
        up[i] += 1e-5, down[i] -= 1e-5;
        const double reverse = (kl(softmax(up), q) - kl(softmax(down), q)) / 2e-5,
                     forward = (kl(q, softmax(up)) - kl(q, softmax(down))) / 2e-5;
        const bool own = gradient == std::string("own");
        const double claimed = own && estimator == std::string("k1") ? 0 : own && estimator == std::string("k3") ? forward : reverse;
        EXPECT_NEAR(expected, claimed, 1e-6) << estimator << ' ' << gradient;
      }
    }
}

}  // namespace
}  // namespace hone::judge
