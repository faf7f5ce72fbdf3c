// critic_test.cpp -- a critic beside the model, and steps in several updates: who learns from what, and when.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/base/failure.h"
#include "core/rollout/sampler.h"
#include "core/train/trainer.h"
#include "tests/core/train/sampled_rows.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

using nlohmann::json;

std::vector<float> numbers_of(const Weights &weights) { return {weights.data(), weights.data() + weights.total_size()}; }

struct CriticTest : testing::TestWithParam<const char *> {
  Pool one{1};
  Host host{one, 1};
  const hone_kernels &table = kernels("cpu");

  // Groups of responses of the model; a response to a prompt that begins with a small token is worth 1.
  std::vector<TrainRow> rollouts(const Weights &weights, uint32_t prompts = 6, uint32_t generations = 4) {
    std::mt19937 random(11);
    const std::vector<SampleRequest> requests = made_up_requests(random, prompts, generations, 4);
    SampleSettings settings;
    settings.max_tokens = 12;
    std::vector<TrainRow> rows = sampled_rows(Sampler(table, one), weights, requests, settings);
    for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = i / generations % 2 ? 1.0f : static_cast<float>(i % 2) / 4;
    return rows;
  }

  struct Rig {
    std::unique_ptr<Weights> model, critic;
    BuiltInstance objective, optimizer;
    std::unique_ptr<Trainer> trainer;
    Rig(CriticTest &test, const std::string &name, const json &settings, TrainerSettings how, bool with_critic, double rate = 0.05, uint32_t pretraining = 0,
        Pool *pool = nullptr)
        : model(tiny_weights(test.host, test.GetParam())),
          critic(with_critic ? tiny_weights(test.host, test.GetParam()) : nullptr),
          objective(test.host, "stage", name, settings),
          optimizer(test.host, "optimizer", "sgd", {{"learning_rate", rate}}) {
      Critic beside{};
      if (critic) {
        critic->add_value_head();
        beside = {critic.get(), optimizer.methods<hone_optimizer>(), optimizer.self(), how, pretraining};
      }
      trainer = std::make_unique<Trainer>(test.table, pool ? *pool : test.one, *model, objective.methods<hone_objective>(), objective.self(),
                                          optimizer.methods<hone_optimizer>(), optimizer.self(), how, critic ? &beside : nullptr);
    }
  };
};

TEST_P(CriticTest, TheCriticsLossMovesTheCriticAlone) {
  std::vector<std::vector<float>> models, critics;
  for (const double vf_coef : {0.0, 0.5}) {
    Rig rig(*this, "ppo", {{"vf_coef", vf_coef}}, {}, true);
    const std::vector<float> before = numbers_of(*rig.critic);
    std::vector<TrainRow> rows = rollouts(*rig.model);
    const StepReport report = rig.trainer->step(rows, 1);
    EXPECT_EQ(report.logp_difference_max, 0);
    EXPECT_GT(report.compared, 0u);
    models.push_back(numbers_of(*rig.model)), critics.push_back(numbers_of(*rig.critic));
    if (vf_coef > 0) {
      EXPECT_NE(critics.back(), before);
    }
  }
  EXPECT_EQ(models[0], models[1]) << "what the critic learns reaches the model";
  EXPECT_NE(critics[0], critics[1]);
}

TEST_P(CriticTest, InItsFirstStepsTheCriticAloneLearns) {
  Rig rig(*this, "ppo", {{"vf_coef", 1}}, {}, true, 0.05, 2);
  const std::vector<float> model = numbers_of(*rig.model);
  std::vector<float> critic = numbers_of(*rig.critic);
  for (uint64_t step = 1; step <= 3; ++step) {
    std::vector<TrainRow> rows = rollouts(*rig.model);
    rig.trainer->step(rows, step);
    EXPECT_EQ(numbers_of(*rig.model) == model, step <= 2) << step;
    EXPECT_NE(numbers_of(*rig.critic), critic) << step;
    critic = numbers_of(*rig.critic);
  }
}

TEST_P(CriticTest, ACriticLearnsWhatRewardIsToCome) {
  Rig rig(*this, "ppo", {{"vf_coef", 2}, {"lam", 1}, {"cliprange_value", 0}}, {}, true, 0.2, 1000);
  std::vector<TrainRow> rows = rollouts(*rig.model);
  StepReport report;
  std::vector<double> explained;
  for (uint64_t step = 1; step <= 150; ++step) {
    report = rig.trainer->step(rows, step);
    explained.push_back(report.metrics.at("value/explained_variance"));
  }
  EXPECT_NEAR(explained.front(), 0, 0.2);
  EXPECT_GT(explained.back(), 0.8);
}

TEST_P(CriticTest, WithoutACriticOfItsOwnAnObjectiveNeedsAValueHeadOnTheModel) {
  EXPECT_THROW(Rig(*this, "ppo", json::object(), {}, false), Failure);
}

// Each part's update is that of a step on its rows alone, whose old policy is the one that the whole step began with.
TEST_P(CriticTest, MiniBatchesAreStepsOnTheirGroupsWithTheOldPolicyOfTheFirst) {
  TrainerSettings two;
  two.mini_batches = 2;
  Rig parts(*this, "grpo", {{"aggregation", "token-mean"}}, two, false), apart(*this, "grpo", {{"aggregation", "token-mean"}}, {}, false);
  std::vector<TrainRow> rows = rollouts(*parts.model);
  const std::vector<TrainRow> same = rows;
  parts.trainer->step(rows, 1);
  for (const auto &[from, to] : {std::pair{0, 12}, {12, 24}}) {
    std::vector<TrainRow> half(same.begin() + from, same.begin() + to);
    for (TrainRow &row : half) row.logp_old = row.logp_rollout, row.off_policy = from > 0;
    apart.trainer->step(half, 1);
  }
  EXPECT_EQ(numbers_of(*parts.model), numbers_of(*apart.model));
}

TEST_P(CriticTest, ThreadsChangeNoBitOfTheCriticOrOfStepsInParts) {
  Pool three(3);
  std::vector<std::vector<float>> all;
  for (Pool *pool : {&one, &three}) {
    TrainerSettings how;
    how.mini_batches = 3, how.inner_epochs = 2;
    Rig rig(*this, "ppo", {{"kl_coef", 0.0}, {"vf_coef", 0.5}, {"entropy_coef", 0.01}}, how, true, 0.05, 0, pool);
    std::vector<TrainRow> rows = rollouts(*rig.model);
    for (uint64_t step = 1; step <= 2; ++step) rig.trainer->step(rows, step, nullptr, step == 1);
    std::vector<float> numbers = numbers_of(*rig.model), critic = numbers_of(*rig.critic);
    numbers.insert(numbers.end(), critic.begin(), critic.end());
    all.push_back(std::move(numbers));
  }
  EXPECT_EQ(all[0], all[1]);
}

// Whatever part a row is in, what the sampler recorded of it is looked at before anything moves.
TEST_P(CriticTest, ARecordedLogProbabilityThatIsOffStopsAStepOfSeveralPartsBeforeItsFirstUpdate) {
  TrainerSettings how;
  how.mini_batches = 3;
  Rig rig(*this, "grpo", json::object(), how, false);
  std::vector<TrainRow> rows = rollouts(*rig.model);
  rows.back().logp_rollout.back() += 1e-3f;
  const std::vector<float> before = numbers_of(*rig.model);
  EXPECT_THROW(rig.trainer->step(rows, 1), LogpMismatch);
  EXPECT_EQ(numbers_of(*rig.model), before);
}

INSTANTIATE_TEST_SUITE_P(Models, CriticTest, testing::Values("llama", "deepseek_moe"), [](const auto &info) { return std::string(info.param); });

}  // namespace
}  // namespace hone
