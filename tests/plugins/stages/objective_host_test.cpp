// objective_host_test.cpp -- every objective as the host drives it: its columns leave out what does not train and give the bits of
// the judge's own call, micro-batches add up, and settings outside their range are refused.
#include "tests/plugins/stages/objectives.h"

namespace hone::judge {
namespace {

struct Case {
  const char *name;
  json set;
};
const std::vector<Case> cases = {
    {"grpo", {}},
    {"grpo", {{"supervision", "process"}, {"beta", 0.1}, {"entropy_coef", 0.01}}},
    {"dr_grpo", {{"delta", 1.2}, {"max_completion_length", 9}}},
    {"dapo", {{"overlong_cache", 3}, {"max_completion_length", 8}}},
    {"gspo", {{"epsilon", 0.1}}},
    {"cispo", {{"beta", 0.1}, {"kl_gradient", "unbiased"}}},
    {"rloo", {{"beta", 0.1}, {"normalize_advantages", true}}},
    {"reinforce_plus_plus", {{"kl_coef", 0.1}, {"importance_sampling_mode", "sequence_mask"}}},
    {"reinforce_plus_plus_baseline", {{"importance_sampling_mode", "token_truncate"}, {"importance_sampling_cap", 1.1}}},
    {"remax", {{"kl_coef", 0.1}}},
    {"ppo", {}},
    {"ppo", {{"supervision", "process"}, {"aggregation", "sequence-mean-token-mean"}, {"entropy_coef", 0.1}}},
    {"dpo", {}},
    {"dpo", {{"loss_type", "ipo"}}},
    {"sft", {}},
    {"reward_model", {{"center_rewards_coefficient", 0.1}}},
    {"prm", {}},
    {"distill", {}},
    {"distill", {{"responses", "teacher"}}}};

struct ObjectivesOfTheHost : Objectives {
  // Random rows; of prm only step ends train, which its stage masks.
  Rows rows_for(const Asked &objective) {
    Rows rows = ragged(whole(3, 10), objective.source == HONE_PAIRS);
    for (Response &row : rows)
      for (Token &t : row.tokens) {
        t.logp_const = t.logp;  // the host's
        if (objective.source == HONE_ROWS && (objective.needs & HONE_STEP_REWARD)) t.masked = t.masked || std::isnan(t.step_reward);
      }
    return rows;
  }
  static ObjectiveColumns columns(const Rows &rows, uint32_t source) {
    std::vector<TrainRow> given;
    for (const Response &row : rows) {
      TrainRow out;
      out.ids.assign(row.tokens.size() + 1, 0);
      out.group = row.group, out.chosen = row.chosen;
      out.reward = float(row.reward), out.reward_baseline = float(row.baseline), out.margin = float(row.margin);
      for (const Token &t : row.tokens) {
        out.weight.push_back(float(t.weight)), out.masked.push_back(t.masked), out.step_reward.push_back(float(t.step_reward));
        out.logp_old.push_back(float(t.logp_old)), out.logp_rollout.push_back(float(t.logp_rollout));
        out.logp_ref.push_back(float(t.logp_ref)), out.logp_teacher.push_back(float(t.logp_teacher));
      }
      given.push_back(out);
    }
    ObjectiveColumns c = columns_of(given, source);
    c.logp.clear();
    for (uint32_t r = 0; r < c.rows(); ++r)
      for (uint32_t at = c.row_start[r]; at < c.row_start[r + 1]; ++at) {
        const Token &t = rows[c.row[r]].tokens[c.token[at]];
        c.logp.push_back(float(t.logp)), c.value.push_back(float(t.value)), c.value_old.push_back(float(t.value_old)),
            c.entropy.push_back(float(t.entropy));
      }
    return c;
  }
};

TEST_F(ObjectivesOfTheHost, LeaveOutWhatDoesNotTrainAndChangeNoBitOfTheRest) {
  for (const Case &of : cases)
    for (int i = 0; i < 10; ++i) {
      SCOPED_TRACE(of.name + of.set.dump());
      const Asked objective(host, of.name, of.set.is_null() ? json::object() : of.set);
      const ObjectiveCalls calls(objective.methods, objective.self(), of.name);
      const Rows all = rows_for(objective);
      Rows rows = trained(all, objective.source == HONE_PAIRS);
      if (!(objective.source == HONE_PAIRS || objective.source == HONE_ON_POLICY))
        for (size_t r = 0; r < rows.size(); ++r) rows[r].group = uint32_t(r);  // rows of data stand for themselves
      ObjectiveColumns c = columns(all, objective.source);
      ASSERT_EQ(c.tokens(), tokens_of(rows));
      calls.advantages(c, true);
      calls.make_room(c);
      const double loss = calls.loss(c, 0, c.rows());
      const Answer before = objective.advantages(rows), is = objective.loss(rows);
      EXPECT_EQ(c.advantage, before.advantage);
      EXPECT_EQ(loss, is.loss);
      EXPECT_EQ(c.dlogp, is.dlogp);
      if (objective.needs & HONE_VALUE) {
        EXPECT_EQ(c.target, before.target);
        EXPECT_EQ(c.dvalue, is.dvalue);
      }
      if (objective.needs & HONE_ENTROPY) {
        EXPECT_EQ(c.dentropy, is.dentropy);
      }
    }
}

TEST_F(ObjectivesOfTheHost, MicroBatchesOfAStepAddUpToItsLossAndGiveTheBitsOfItsDerivatives) {
  for (const Case &of : cases)
    for (int i = 0; i < 10; ++i) {
      SCOPED_TRACE(of.name + of.set.dump());
      const Asked objective(host, of.name, of.set.is_null() ? json::object() : of.set);
      const ObjectiveCalls calls(objective.methods, objective.self(), of.name);
      ObjectiveColumns c = columns(rows_for(objective), objective.source);
      calls.advantages(c, true);
      calls.make_room(c);
      const double whole_loss = calls.loss(c, 0, c.rows());
      const ObjectiveColumns at_once = c;
      calls.make_room(c);
      double sum = 0;
      for (uint32_t r = 0, end; r < c.rows(); r = end) {
        for (end = r + 1; end < c.rows() && (c.group[end] == c.group[r] || (objective.source != HONE_PAIRS && one_in(4)));) ++end;
        while (end < c.rows() && c.group[end] == c.group[end - 1]) ++end;  // no group is split
        sum += calls.loss(c, r, end);
      }
      EXPECT_NEAR(sum, whole_loss, 1e-12 * (1 + std::fabs(whole_loss)));
      EXPECT_EQ(c.dlogp, at_once.dlogp);
      EXPECT_EQ(c.dvalue, at_once.dvalue);
      EXPECT_EQ(c.dentropy, at_once.dentropy);
    }
}

TEST_F(ObjectivesOfTheHost, AskForTheColumnsThatTheirSettingsReadAndNoOther) {
  const auto needs = [&](const char *name, const json &set) { return Asked(host, name, set).needs; };
  const uint64_t old = HONE_LOGP_OLD;
  for (const char *name : {"grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce_plus_plus", "reinforce_plus_plus_baseline"}) {
    EXPECT_EQ(needs(name, json::object()), old) << name;
    EXPECT_EQ(needs(name, {{"beta", 0.1}}), old | HONE_LOGP_REF) << name;
    EXPECT_EQ(needs(name, {{"entropy_coef", -0.1}}), old | HONE_ENTROPY) << name;
    EXPECT_EQ(needs(name, {{"importance_sampling_mode", "token_truncate"}}), old | HONE_LOGP_ROLLOUT) << name;
    EXPECT_EQ(needs(name, {{"importance_sampling_mode", "sequence_mask"}}), old | HONE_LOGP_ROLLOUT) << name;
  }
  EXPECT_EQ(needs("ppo", json::object()), old | HONE_VALUE);
  EXPECT_EQ(needs("ppo", {{"kl_coef", 0.1}, {"supervision", "process"}}), old | HONE_VALUE | HONE_LOGP_REF | HONE_STEP_REWARD);
  EXPECT_EQ(needs("reinforce_plus_plus", {{"kl_coef", 0.1}}), old | HONE_LOGP_REF);
  EXPECT_EQ(needs("remax", {{"kl_coef", 0.1}}), old | HONE_LOGP_REF | HONE_BASELINE);
}

TEST_F(ObjectivesOfTheHost, RefuseSettingsOutsideTheirRange) {
  const auto refuses = [&](const char *name, const json &set) {
    EXPECT_THROW(BuiltInstance(host, "stage", name, set), Failure) << name << set.dump();
  };
  refuses("grpo", {{"epsilon", -0.1}}), refuses("grpo", {{"aggregation", "token-sum"}}), refuses("grpo", {{"epsilom", 0.1}});
  refuses("grpo", {{"delta", -1}}), refuses("grpo", {{"kl_estimator", "k4"}}), refuses("grpo", {{"supervision", "both"}});
  refuses("grpo", {{"scale_rewards", true}}), refuses("grpo", {{"importance_sampling_mode", "row"}}),
      refuses("dr_grpo", {{"max_completion_length", 0}});
  refuses("rloo", {{"beta", -1}}), refuses("rloo", {{"kl_estimator", "k3"}}), refuses("cispo", {{"delta", 1}});
  refuses("ppo", {{"gamma", 1.5}}), refuses("ppo", {{"lam", -0.5}}), refuses("ppo", {{"critic_lam", -2}});
  refuses("dpo", {{"beta", 0}}), refuses("dpo", {{"label_smoothing", 0.75}}), refuses("dpo", {{"loss_type", "hinge"}});
  refuses("distill", {{"responses", "both"}}), refuses("reward_model", {{"center_rewards_coefficient", -1}});
}

}  // namespace
}  // namespace hone::judge
