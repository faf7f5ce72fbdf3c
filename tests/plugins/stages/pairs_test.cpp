// pairs_test.cpp -- dpo (and IPO) and reward_model against their formulas.
#include "tests/plugins/stages/objectives.h"

namespace hone::judge {
namespace {

double minus_log_sigmoid(double x) { return -std::log(1 / (1 + std::exp(-x))); }

// Calls with the chosen and the rejected row of each pair.
double mean_over_pairs(const Rows &rows, const std::function<double(const Response &, const Response &)> &of) {
  double sum = 0;
  for (size_t r = 0; r < rows.size(); r += 2) sum += rows[r].chosen ? of(rows[r], rows[r + 1]) : of(rows[r + 1], rows[r]);
  return rows.empty() ? 0 : sum / (double(rows.size()) / 2);
}

double dpo_loss(const json &set, const Rows &rows) {
  const double beta = set.value("beta", 0.1f), s = set.value("label_smoothing", 0.0f);
  const bool ipo = set.value("loss_type", "sigmoid") == "ipo";
  const auto h = [&](const Response &row) {
    double sum = 0, length = 0;
    for (const Token &t : row.tokens) sum += t.weight * (t.logp - t.logp_ref), length += t.weight;
    return ipo && length > 0 ? sum / length : sum;
  };
  return mean_over_pairs(rows, [&](const Response &chosen, const Response &rejected) {
    const double apart = h(chosen) - h(rejected);
    if (ipo) return std::pow(apart - 1 / (2 * beta), 2);
    return (1 - s) * minus_log_sigmoid(beta * apart) + s * minus_log_sigmoid(-beta * apart);
  });
}

TEST_F(Objectives, DpoAndIpoFollowTheirEquations) {
  for (const json &set : {json::object(), json{{"beta", 0.5}}, json{{"beta", 2}, {"label_smoothing", 0.1}}, json{{"label_smoothing", 0.5}},
                          json{{"loss_type", "ipo"}}, json{{"loss_type", "ipo"}, {"beta", 0.4}},
                          json{{"loss_type", "ipo"}, {"label_smoothing", 0.3}, {"beta", 1}}})  // smoothing is of the sigmoid
    for (int i = 0; i < 8; ++i) {
      SCOPED_TRACE(set.dump());
      const Asked objective(host, "dpo", set);
      EXPECT_EQ(objective.source, HONE_PAIRS);
      EXPECT_EQ(objective.needs, HONE_LOGP_REF);
      EXPECT_EQ(objective.methods.advantages, nullptr);
      const Rows rows = trained(ragged(whole(1, 10), true), true);
      expect_loss(objective, rows, [&](const Rows &at) { return dpo_loss(set, at); });
    }
}

TEST_F(Objectives, DpoOfAPolicyThatIsTheReferenceHasALossOfLogTwo) {
  const Asked objective(host, "dpo");
  Rows rows = trained(ragged(10, true), true);
  for (Response &row : rows)
    for (Token &t : row.tokens) t.logp = t.logp_ref;
  EXPECT_NEAR(objective.loss(rows).loss, std::log(2), 1e-12);
}

TEST_F(Objectives, RewardModelFollowsItsEquation) {
  for (const double centre : {0.0, 0.01, 0.5})
    for (int i = 0; i < 8; ++i) {
      const Asked objective(host, "reward_model", {{"center_rewards_coefficient", centre}});
      EXPECT_EQ(objective.source, HONE_PAIRS);
      EXPECT_EQ(objective.needs, HONE_VALUE);
      EXPECT_EQ(objective.methods.advantages, nullptr);
      const Rows rows = trained(ragged(whole(1, 10), true), true);
      expect_loss(objective, rows, [&](const Rows &at) {
        return mean_over_pairs(at, [&](const Response &chosen, const Response &rejected) {
          const double good = chosen.tokens.back().value, bad = rejected.tokens.back().value;
          return minus_log_sigmoid(good - bad - chosen.margin) + double(float(centre)) * (good + bad) * (good + bad);
        });
      });
    }
}

TEST_F(Objectives, PairsStayFiniteForExtremeValues) {
  for (const double extreme : {1e4, -1e4}) {
    Rows rows = trained(ragged(2, true), true);
    for (Response &row : rows)
      for (Token &t : row.tokens) t.value = row.chosen ? extreme : -extreme, t.logp = 10 * t.value, t.weight = 1;
    for (const char *name : {"reward_model", "dpo"}) {
      const Answer is = Asked(host, name, std::string(name) == "dpo" ? json{{"beta", 100}} : json::object()).loss(rows);
      EXPECT_TRUE(std::isfinite(is.loss)) << name;
      for (const float d : is.dlogp) EXPECT_TRUE(std::isfinite(d)) << name;
      for (const float d : is.dvalue) EXPECT_TRUE(std::isfinite(d)) << name;
    }
  }
}

TEST_F(Objectives, RowsThatAreNoPairAreRefused) {
  for (const char *name : {"reward_model", "dpo"}) {
    const Asked objective(host, name);
    Rows rows = trained(ragged(3, true), true);
    rows[1].chosen = rows[0].chosen;
    EXPECT_THROW(objective.loss(rows), Failure) << name;
    rows.erase(rows.begin() + 1);
    EXPECT_THROW(objective.loss(rows), Failure) << name;
  }
}

}  // namespace
}  // namespace hone::judge
