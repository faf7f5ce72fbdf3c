// mtp_test.cpp -- multi-token prediction as an extra loss (arXiv 2412.19437, eq. 24 and 25): what it adds, that nothing
// moves without it, and the same bits for any threads and cuts.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/base/failure.h"
#include "core/rollout/packed_pass.h"
#include "core/rollout/sampler.h"
#include "core/train/trainer.h"
#include "tests/core/train/sampled_rows.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

using nlohmann::json;

struct MtpTest : testing::Test {
  Pool one{1};
  Host host{one, 1};
  const hone_kernels &table = kernels("cpu");

  std::unique_ptr<Weights> tiny(uint32_t depths, bool value_head = false, uint32_t experts_per_token = 2) {
    json config = tiny_architecture(host, "deepseek_moe")->config();
    config["num_nextn_predict_layers"] = depths;
    config["num_experts_per_tok"] = experts_per_token;
    config["aux_loss_alpha"] = 0;
    return Weights::initialised(
        std::make_shared<const Architecture>(built_component("model", "deepseek_moe"), host, config), 1, value_head);
  }

  struct Rig {
    BuiltInstance objective, optimizer;
    Trainer trainer;
    Rig(MtpTest &test, Pool &pool, Weights &weights, const std::string &objective_name,
        const std::string &optimizer_name, const json &optimizer_settings, const TrainerSettings &settings)
        : objective(test.host, "stage", objective_name),
          optimizer(test.host, "optimizer", optimizer_name, optimizer_settings),
          trainer(test.table, pool, weights, objective.methods<hone_objective>(), objective.self(),
                  optimizer.methods<hone_optimizer>(), optimizer.self(), settings) {}
  };

  // Runs of numbers that count up, with weights; some rows are too short for anything to be predicted ahead.
  static std::vector<TrainRow> corpus(uint32_t n, uint32_t seed = 3) {
    std::mt19937 random(seed);
    std::vector<TrainRow> rows;
    for (uint32_t i = 0; i < n; ++i) {
      TrainRow row;
      const uint32_t tokens = i % 7 == 3 ? 2 : 4 + random() % 30, start = random() % tiny_vocabulary;
      for (uint32_t t = 0; t < tokens; ++t) row.ids.push_back(static_cast<int32_t>((start + t) % tiny_vocabulary));
      row.begin = row.response_begin = 1 + random() % std::min(3u, tokens - 1);
      for (uint32_t t = row.begin; t < tokens; ++t) row.weight.push_back(t % 5 == 0 ? 0.1f : 1.0f);
      if (tokens > 6) row.masked.assign(tokens - row.begin, 0), row.masked[1] = 1;
      rows.push_back(row);
    }
    return rows;
  }
  std::vector<TrainRow> rollouts(const Weights &weights) {
    std::vector<SampleRequest> requests;
    for (uint32_t i = 0; i < 6; ++i) requests.push_back({{3, static_cast<int32_t>(5 + i)}, 4, i * 4});
    SampleSettings settings;
    settings.max_tokens = 20;
    std::vector<TrainRow> rows = sampled_rows(Sampler(table, one), weights, requests, settings);
    for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = static_cast<float>(i * 7 % 5) / 4;
    return rows;
  }

  static std::vector<float> copy_of(const Weights &weights) {
    return {weights.data(), weights.data() + weights.total_size()};
  }
  static bool ahead(const ParameterInfo &parameter) { return parameter.flags & HONE_PARAMETER_AHEAD; }
  static std::string message(const std::function<void()> &run) {
    try {
      run();
    } catch (const Failure &failure) {
      return failure.what();
    }
    return "";
  }
};

TEST_F(MtpTest, OffTheModelLearnsTheSameBitsAsOneWithoutAndItsLayersStay) {
  for (const std::string objective : {"sft", "grpo"}) {
    const auto with = tiny(2), without = tiny(0);
    const std::vector<float> before = copy_of(*with);
    const json decay = {{"learning_rate", 0.01}, {"weight_decay", 0.1}};
    Rig a(*this, one, *with, objective, "adamw", decay, {}), b(*this, one, *without, objective, "adamw", decay, {});
    for (uint64_t step = 1; step <= 3; ++step) {
      std::vector<TrainRow> rows = objective == "sft" ? corpus(12, static_cast<uint32_t>(step)) : rollouts(*with),
                            same = rows;
      const StepReport x = a.trainer.step(rows, step), y = b.trainer.step(same, step);
      EXPECT_EQ(x.loss, y.loss);
      EXPECT_EQ(x.grad_norm, y.grad_norm);
      EXPECT_FALSE(x.metrics.contains("mtp_loss"));
    }
    size_t next = 0;
    for (uint32_t i = 0; i < with->parameters().size(); ++i) {
      const ParameterInfo &parameter = with->parameters()[i];
      const float *now = with->parameter(i);
      const float *wanted =
          ahead(parameter) ? before.data() + parameter.offset : without->parameter(static_cast<uint32_t>(next++));
      ASSERT_EQ(std::memcmp(now, wanted, parameter.size * sizeof(float)), 0) << parameter.name;
    }
    EXPECT_EQ(next, without->parameters().size());
  }
}

TEST_F(MtpTest, NeitherThreadsNorCutsNorCheckpointingChangeABit) {
  for (const std::string objective : {"sft", "grpo"}) {
    std::vector<float> expected;
    for (uint32_t threads : {1u, 3u})
      for (const uint64_t small : {uint64_t{4'000'000}, uint64_t{0}})
        for (const bool checkpointing : {false, true}) {
          Pool pool(threads);
          const auto weights = tiny(2);
          TrainerSettings settings;
          settings.small_model = small, settings.checkpointing = checkpointing, settings.unit_tokens = 300;
          settings.mtp_loss_weight = 0.3;
          Rig rig(*this, pool, *weights, objective, "adamw", {{"learning_rate", 0.01}}, settings);
          for (uint64_t step = 1; step <= 3; ++step) {
            std::vector<TrainRow> rows =
                objective == "sft" ? corpus(40, static_cast<uint32_t>(step)) : rollouts(*weights);
            const StepReport report = rig.trainer.step(rows, step);
            EXPECT_EQ(report.logp_difference_max, 0);
            EXPECT_GT(report.metrics.at("mtp_loss"), 0);
          }
          if (expected.empty()) expected = copy_of(*weights);
          ASSERT_EQ(std::memcmp(expected.data(), weights->data(), expected.size() * sizeof(float)), 0)
              << objective << ", " << threads << " threads, small " << small << ", checkpointing " << checkpointing;
        }
  }
}

// Equation 24 by hand, a row at a time: each depth's cross-entropy of the tokens that are learnt, over the weight of
// them all.
TEST_F(MtpTest, TheLossIsTheMeanOverDepthsOfTheirCrossEntropies) {
  const auto weights = tiny(2);
  std::vector<TrainRow> rows = corpus(15);
  weights->prepare(one);
  PackedPass pass(table, Pool::serial_stream());
  double sum = 0, all = 0;
  for (const TrainRow &row : rows) {
    PackedRows packed;
    std::vector<uint32_t> places;
    for (uint32_t t = 1; t < row.ids.size(); ++t) places.push_back(t);
    packed.add(row.ids, places, false);
    std::vector<float> logp(places.size());
    pass.forward(*weights, packed, 1, {logp.data(), nullptr, nullptr, nullptr}, false, false, nullptr, nullptr, 2);
    const auto weight = [&](uint32_t t) {
      return t < row.begin || (!row.masked.empty() && row.masked[t - row.begin]) ? 0.0f : row.weight[t - row.begin];
    };
    for (uint32_t t = 1; t < row.ids.size(); ++t) all += weight(t);
    for (uint32_t k = 1; k <= 2; ++k)
      for (uint32_t t = 1 + k; t < row.ids.size(); ++t) sum -= weight(t) * pass.ahead()[k - 1].logp[t - 1 - k] / 2;
  }
  TrainerSettings settings;
  settings.mtp_loss_weight = 0.25;
  Rig rig(*this, one, *weights, "sft", "sgd", {{"learning_rate", 0.0}}, settings);
  std::vector<TrainRow> again = rows;
  const StepReport with = rig.trainer.step(again, 1);
  EXPECT_NEAR(with.metrics.at("mtp_loss"), sum / all, 1e-6);
  const auto same = tiny(2);  // the other's experts are balanced by now
  Rig plain(*this, one, *same, "sft", "sgd", {{"learning_rate", 0.0}}, {});
  EXPECT_NEAR(with.loss, plain.trainer.step(rows, 1).loss + 0.25 * sum / all, 1e-6);
}

TEST_F(MtpTest, TheUpdateGoesDownTheLossByWhatItsGradientPromises) {
  for (const std::string objective : {"sft", "grpo"}) {
    const auto weights = tiny(2, false, 4);  // all experts: no choice that a step could cross to another
    const std::vector<TrainRow> rows = objective == "sft" ? corpus(24) : rollouts(*weights);
    TrainerSettings settings;
    settings.max_grad_norm = 0, settings.mtp_loss_weight = 2;
    const std::vector<float> start = copy_of(*weights);
    std::vector<double> gradient(start.size());
    double norm = 0, in_depths = 0;
    {
      const auto moved = weights->clone();
      Rig rig(*this, one, *moved, objective, "sgd", {{"learning_rate", 1.0}}, settings);
      std::vector<TrainRow> given = rows;
      rig.trainer.step(given, 1);
      for (const ParameterInfo &parameter : moved->parameters())
        for (uint64_t i = parameter.offset;
             i < parameter.offset + parameter.size && !(parameter.flags & HONE_PARAMETER_BUFFER); ++i) {
          gradient[i] = double(start[i]) - moved->data()[i];
          norm += gradient[i] * gradient[i];
          if (ahead(parameter)) in_depths += gradient[i] * gradient[i];
        }
      norm = std::sqrt(norm);
    }
    EXPECT_GT(in_depths, 0.01 * norm * norm);
    const auto loss_at = [&](double along) {
      const auto moved = weights->clone();
      for (size_t i = 0; i < start.size(); ++i)
        moved->data()[i] = static_cast<float>(start[i] + along * gradient[i] / norm);
      moved->changed();
      Rig rig(*this, one, *moved, objective, "sgd", {{"learning_rate", 0.0}}, settings);
      std::vector<TrainRow> given = rows;
      return rig.trainer.step(given, 1, nullptr, false).loss;
    };
    const double h = 5e-4;
    EXPECT_NEAR((loss_at(h) - loss_at(-h)) / (2 * h), norm, 0.03 * norm) << objective;
  }
}

TEST_F(MtpTest, LearnsALittleLanguageTwoTokensAheadAndBalancesItsExperts) {
  const auto weights = tiny(1);
  const std::vector<float> before = copy_of(*weights);
  TrainerSettings settings;
  settings.mtp_loss_weight = 0.3;
  Pool two(2);
  Rig rig(*this, two, *weights, "sft", "adamw", {{"learning_rate", 0.01}}, settings);
  double first = 0, last = 0;
  for (uint64_t step = 1; step <= 80; ++step) {
    std::vector<TrainRow> rows = corpus(24, static_cast<uint32_t>(step));
    last = rig.trainer.step(rows, step).metrics.at("mtp_loss");
    if (step == 1) first = last;
  }
  EXPECT_GT(first, 2.5);
  EXPECT_LT(last, 0.8);
  for (const ParameterInfo &parameter : weights->parameters())
    if (ahead(parameter) && (parameter.flags & HONE_PARAMETER_BUFFER)) {
      EXPECT_NE(std::memcmp(before.data() + parameter.offset, weights->data() + parameter.offset,
                            parameter.size * sizeof(float)),
                0);
    }
}

TEST_F(MtpTest, IsRefusedWhereThereIsNothingToLearn) {
  TrainerSettings settings;
  settings.mtp_loss_weight = 0.3;
  const auto says = [&](Weights &weights, const std::string &objective) {
    return message([&] { Rig(*this, one, weights, objective, "sgd", json::object(), settings); });
  };
  EXPECT_EQ(says(*tiny(1), "sft"), "");
  EXPECT_NE(says(*tiny(0), "sft")
                .find("mtp_loss_weight is 0.3, but its model has no layer of multi-token prediction (its "
                      "num_nextn_predict_layers is 0)"),
            std::string::npos);
  EXPECT_NE(says(*tiny_weights(host, "llama"), "sft").find("(llama) knows no multi-token prediction"),
            std::string::npos);
  EXPECT_NE(says(*tiny(1, true), "reward_model").find("pairs"), std::string::npos);
  settings.mtp_loss_weight = -1;
  EXPECT_NE(says(*tiny(1), "sft").find("mtp_loss_weight is -1"), std::string::npos);
}

}  // namespace
}  // namespace hone
