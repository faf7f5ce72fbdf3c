// likelihood_test.cpp -- sft, distillation from a teacher's responses, and prm against their formulas.
#include "tests/plugins/stages/objectives.h"

namespace hone::judge {
namespace {

double weight_of(const Rows &rows) {
  double sum = 0;
  for (const Response &row : rows)
    for (const Token &t : row.tokens) sum += t.weight;
  return sum;
}

TEST_F(Objectives, SftAndATeachersResponsesAreTheWeightedMeanOfNegativeLogProbabilities) {
  for (const char *name : {"sft", "distill"})
    for (int i = 0; i < 20; ++i) {
      const bool sft = name == std::string("sft");
      const Asked objective(host, name, sft ? json::object() : json{{"responses", "teacher"}});
      EXPECT_EQ(objective.source, uint32_t(sft ? HONE_ROWS : HONE_TEACHER));
      EXPECT_EQ(objective.needs, 0u);
      const Rows rows = trained(ragged(whole(1, 10)));
      expect_loss(objective, rows, [](const Rows &at) {
        double sum = 0;
        for (const Response &row : at)
          for (const Token &t : row.tokens) sum -= t.weight * t.logp;
        return weight_of(at) > 0 ? sum / weight_of(at) : 0;
      });
    }
}

// The host gives step ends alone, as objective_verb.cpp and train_rows.cpp do.
Rows only_step_ends(Rows rows) {
  for (Response &row : rows)
    for (Token &t : row.tokens) t.masked = std::isnan(t.step_reward);
  return trained(rows);
}

TEST_F(Objectives, PrmIsTheWeightedCrossEntropyOfStepEnds) {
  for (int i = 0; i < 20; ++i) {
    const Asked objective(host, "prm");
    EXPECT_EQ(objective.source, HONE_ROWS);
    EXPECT_EQ(objective.needs, HONE_VALUE | HONE_STEP_REWARD);
    EXPECT_EQ(objective.methods.advantages, nullptr);
    const Rows rows = only_step_ends(ragged(whole(2, 10)));
    expect_loss(objective, rows, [](const Rows &at) {
      double sum = 0;
      for (const Response &row : at)
        for (const Token &t : row.tokens) {
          const double p = 1 / (1 + std::exp(-t.value));
          sum -= t.weight * (t.step_reward * std::log(p) + (1 - t.step_reward) * std::log(1 - p));
        }
      return weight_of(at) > 0 ? sum / weight_of(at) : 0;
    });
  }
}

TEST_F(Objectives, PrmStaysFiniteForExtremeValuesAndRefusesLabelsThatAreNoProbability) {
  const Asked objective(host, "prm");
  for (const double extreme : {1e4, -1e4}) {
    Rows rows = only_step_ends(ragged(5));
    for (Response &row : rows)
      for (Token &t : row.tokens) t.value = extreme;
    EXPECT_TRUE(std::isfinite(objective.loss(rows).loss));
  }
  for (const double label : {-0.25, 1.25}) {
    Rows rows = only_step_ends(ragged(5));
    rows[0].tokens[0].step_reward = label;
    EXPECT_THROW(objective.loss(rows), Failure);
  }
}

// Rows of weight 0 alone are a step with nothing to learn, and no step of its own kind of failure.
TEST_F(Objectives, TokensOfWeightZeroAloneTeachNothing) {
  for (const char *name : {"sft", "distill", "prm"}) {
    const Asked objective(host, name, name == std::string("distill") ? json{{"responses", "teacher"}} : json::object());
    Rows rows = only_step_ends(ragged(5));
    for (Response &row : rows)
      for (Token &t : row.tokens) t.weight = 0;
    const Answer is = objective.loss(rows);
    EXPECT_EQ(is.loss, 0) << name;
    for (const float d : is.dlogp) EXPECT_EQ(d, 0) << name;
    for (const float d : is.dvalue) EXPECT_EQ(d, 0) << name;
  }
}

}  // namespace
}  // namespace hone::judge
