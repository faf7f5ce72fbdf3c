// lora_test.cpp -- training an adapter: the sampler's bits, any threads' bits, a base that stays, and the base as
// reference.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/rollout/sampler.h"
#include "core/train/trainer.h"
#include "tests/core/train/sampled_rows.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

using nlohmann::json;

struct LoraTraining : testing::TestWithParam<const char *> {
  Pool one{1};
  Host host{one, 1};
  const hone_kernels &table = kernels("cpu");
  std::shared_ptr<const Weights> base = tiny_weights(host, GetParam());
  LoraSettings lora{4, 16, false, {"all-linear"}};

  std::unique_ptr<Weights> adapted(bool value_head = false) const {
    return Weights::adapted(base, lora, lora_targets(base->architecture(), lora, "test"), 9, value_head);
  }

  struct Rig {
    BuiltInstance objective, optimizer;
    Trainer trainer;
    Rig(LoraTraining &test, Pool &pool, Weights &weights, const std::string &objective_name,
        const json &objective_settings, TrainerSettings settings = {}, double rate = 0.02)
        : objective(test.host, "stage", objective_name, objective_settings),
          optimizer(test.host, "optimizer", "adamw", {{"learning_rate", rate}}),
          trainer(test.table, pool, weights, objective.methods<hone_objective>(), objective.self(),
                  optimizer.methods<hone_optimizer>(), optimizer.self(), settings) {}
  };

  // Groups of responses sampled from the model, with made-up rewards.
  std::vector<TrainRow> rollouts(Pool &pool, const Weights &weights, uint32_t step, uint64_t small_model) {
    std::mt19937 random(11 + step);
    const std::vector<SampleRequest> requests = made_up_requests(random, 6, 4, 9);
    SampleSettings settings;
    settings.max_tokens = 24;
    settings.step = step;
    SamplerLimits limits;
    limits.small_model = small_model;
    limits.max_rows = 5 + step;  // rows of all ages side by side
    std::vector<TrainRow> rows = sampled_rows(Sampler(table, pool, limits), weights, requests, settings);
    for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = static_cast<float>(random() % 5) / 4;
    return rows;
  }

  static std::vector<TrainRow> counting(uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<TrainRow> rows(24);
    for (TrainRow &row : rows) {
      const uint32_t tokens = 4 + random() % 30, start = random() % tiny_vocabulary;
      for (uint32_t t = 0; t < tokens; ++t) row.ids.push_back(static_cast<int32_t>((start + t) % tiny_vocabulary));
    }
    return rows;
  }
};

TEST_P(LoraTraining, SamplesWhatItTrainsToTheBitWhateverThreadsAndCuts) {
  std::vector<float> expected;
  const uint64_t before = base->checksum();
  for (const uint32_t threads : {1u, 2u, 3u})
    for (const uint64_t small : {uint64_t{4'000'000}, uint64_t{0}})
      for (const bool checkpointing : {false, true}) {
        Pool pool(threads);
        const auto weights = adapted();
        TrainerSettings settings;
        settings.small_model = small, settings.checkpointing = checkpointing, settings.unit_tokens = 300;
        Rig rig(*this, pool, *weights, "grpo", {{"beta", 0.04}}, settings);
        for (uint32_t step = 1; step <= 4; ++step) {
          std::vector<TrainRow> rows = rollouts(pool, *weights, step, small);
          const StepReport report = rig.trainer.step(rows, step, base.get(), true);  // throws when a bit differs
          EXPECT_EQ(report.logp_difference_max, 0);
          EXPECT_GT(report.compared, 100u);
          if (step == 4) {
            EXPECT_GT(report.metrics.at("kl"), 1e-4) << "the adapter does not count in sampling or in scoring";
          }
        }
        const std::vector<float> ended(weights->data(), weights->data() + weights->total_size());
        if (expected.empty()) expected = ended;
        ASSERT_EQ(std::memcmp(expected.data(), ended.data(), ended.size() * sizeof(float)), 0)
            << threads << " threads, small " << small << ", checkpointing " << checkpointing;
      }
  EXPECT_EQ(base->checksum(), before) << "the base has moved";
}

TEST_P(LoraTraining, ItsReferenceIsTheBaseToTheBit) {
  const auto weights = adapted();
  Rig rig(*this, one, *weights, "sft", json::object());
  std::vector<std::vector<int32_t>> sequences;
  for (const TrainRow &row : counting(1)) sequences.push_back(row.ids);
  const std::vector<uint32_t> begin(sequences.size(), 1);
  const auto of = [&](const Weights &model) {
    std::vector<float> logp;
    for (const ScoredTokens &scored : score_tokens(table, one, model, sequences, begin, 1))
      logp.insert(logp.end(), scored.logp.begin(), scored.logp.end());
    return logp;
  };
  const std::vector<float> untouched = of(*base);
  EXPECT_EQ(of(*weights), untouched) << "an adapter whose B is zero changes something";
  for (uint64_t step = 1; step <= 5; ++step) {
    std::vector<TrainRow> rows = counting(static_cast<uint32_t>(step));
    rig.trainer.step(rows, step);
  }
  EXPECT_NE(of(*weights), untouched);
  EXPECT_EQ(of(*weights->base()), untouched);
  EXPECT_EQ(of(*tiny_weights(host, GetParam())), untouched) << "the same model made anew";
}

TEST_P(LoraTraining, LearnsALittleLanguage) {
  lora.rank = 8;
  const auto weights = adapted();
  Rig rig(*this, one, *weights, "sft", json::object());
  double first = 0, last = 0;
  for (uint64_t step = 1; step <= 120; ++step) {
    std::vector<TrainRow> rows = counting(static_cast<uint32_t>(step));
    last = rig.trainer.step(rows, step).loss;
    if (step == 1) first = last;
  }
  EXPECT_GT(first, 3.0);
  EXPECT_LT(last, 1.5);
}

TEST_P(LoraTraining, AValueHeadTrainsInFullBesideIt) {
  const auto weights = adapted(true);
  Rig rig(*this, one, *weights, "reward_model", json::object(), {}, 0.006);
  double late = 0;  // mean loss of the last fifty steps
  for (uint64_t step = 1; step <= 200; ++step) {
    std::mt19937 random(static_cast<uint32_t>(step));
    std::vector<TrainRow> rows(32);
    for (uint32_t i = 0; i < 32; ++i) {  // responses that end in an even token are preferred
      TrainRow &row = rows[i];
      for (uint32_t t = 0; t < 6; ++t) row.ids.push_back(static_cast<int32_t>(random() % 36));
      row.group = i / 2;
      row.chosen = (i / 2 + i) % 2 == 0;
      row.ids.back() = static_cast<int32_t>(random() % 18 * 2 + (row.chosen ? 0 : 1));
      row.begin = row.response_begin = 3;
    }
    const StepReport report = rig.trainer.step(rows, step);
    const auto balance = report.metrics.find("auxiliary_loss");
    const double loss = report.loss - (balance == report.metrics.end() ? 0 : balance->second);
    if (step > 150) late += loss / 50;
  }
  EXPECT_LT(late, 0.4) << "chance is 0.693";
  EXPECT_NE(weights->value_head()[0], 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Models, LoraTraining, testing::Values("llama", "deepseek_moe", "llama_blocks"));

}  // namespace
}  // namespace hone
