// trainer_test.cpp -- one optimizer step: the same bits for any threads and cuts, the right gradient, and nothing
// changed when something is wrong.
#include "core/train/trainer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "core/base/failure.h"
#include "core/rollout/sampler.h"
#include "tests/core/train/sampled_rows.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

using nlohmann::json;

std::vector<float> copy_of(const Weights &weights) { return {weights.data(), weights.data() + weights.total_size()}; }

bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct TrainerTest : testing::TestWithParam<const char *> {
  Pool one{1};
  Host host{one, 1};
  const hone_kernels &table = kernels("cpu");
  const std::string family = GetParam();

  // A trainer with its plugins.
  struct Rig {
    BuiltInstance objective, optimizer;
    Trainer trainer;
    Rig(TrainerTest &test, Pool &pool, Weights &weights, const std::string &objective_name,
        const json &objective_settings, const std::string &optimizer_name, const json &optimizer_settings,
        const TrainerSettings &settings, const hone_kernels *table = nullptr)
        : objective(test.host, "stage", objective_name, objective_settings),
          optimizer(test.host, "optimizer", optimizer_name, optimizer_settings),
          trainer(table ? *table : test.table, pool, weights, objective.methods<hone_objective>(), objective.self(),
                  optimizer.methods<hone_optimizer>(), optimizer.self(), settings) {}
  };

  // Sentences of a little language: runs of numbers that count up.
  static std::vector<TrainRow> corpus(uint32_t n, uint32_t seed = 3) {
    std::mt19937 random(seed);
    std::vector<TrainRow> rows;
    for (uint32_t i = 0; i < n; ++i) {
      TrainRow row;
      const uint32_t tokens = 4 + random() % 40, start = random() % tiny_vocabulary;
      for (uint32_t t = 0; t < tokens; ++t) row.ids.push_back(static_cast<int32_t>((start + t) % tiny_vocabulary));
      row.begin = 1 + random() % 3;
      row.response_begin = row.begin;
      for (uint32_t t = row.begin; t < tokens; ++t) row.weight.push_back(t % 5 == 0 ? 0.1f : 1.0f);
      rows.push_back(row);
    }
    return rows;
  }

  // Groups of responses sampled from the model, with made-up rewards.
  std::vector<TrainRow> rollouts(const Weights &weights, uint32_t prompts, uint32_t generations,
                                 float temperature = 1) {
    std::mt19937 random(11);
    const std::vector<SampleRequest> requests = made_up_requests(random, prompts, generations, 9);
    SampleSettings settings;
    settings.temperature = temperature;
    settings.max_tokens = 30;
    std::vector<TrainRow> rows = sampled_rows(Sampler(table, one), weights, requests, settings);
    for (size_t i = 0; i < rows.size(); ++i) rows[i].reward = static_cast<float>(random() % 5) / 4;
    return rows;
  }

  static std::string message(const std::function<void()> &run) {
    try {
      run();
    } catch (const Failure &failure) {
      return failure.what();
    }
    return "";
  }
};

std::atomic<int> differentiated;

// Groups of equal rewards are common once a task is learnt. (The mixture of experts has a loss of its own, of its balance.)
TEST_P(TrainerTest, AUnitWhoseRowsTeachNothingIsNotDifferentiated) {
  hone_kernels counting = table;
  static decltype(counting.attention_backward) real;
  real = table.attention_backward;
  counting.attention_backward = [](auto... arguments) {
    ++differentiated;
    real(arguments...);
  };
  auto weights = tiny_weights(host, family);
  const std::vector<float> before = copy_of(*weights);
  std::vector<TrainRow> rows = rollouts(*weights, 6, 4);
  for (TrainRow &row : rows) row.reward = 0.5f;
  const auto passes = [&] {
    differentiated = 0;
    Rig rig(*this, one, *weights, "grpo", json::object(), "sgd", {{"learning_rate", 0.1}}, {}, &counting);
    std::vector<TrainRow> given = rows;
    rig.trainer.step(given, 1);
    return differentiated.load();
  };
  if (family == "llama") {
    EXPECT_EQ(passes(), 0);
    EXPECT_TRUE(same_bits(copy_of(*weights), before));
  } else {
    EXPECT_GT(passes(), 0);
    weights = tiny_weights(host, family);
  }
  rows[0].reward = 1;
  EXPECT_GT(passes(), 0);
  EXPECT_FALSE(same_bits(copy_of(*weights), before));
}

std::atomic<uint32_t> tokens_run;

// (The balance of a mixture of experts counts rows: there, nothing is shared.)
TEST_P(TrainerTest, AGroupsPromptIsRunOnceAndTeachesWhatACopyInEachRowTeaches) {
  hone_kernels counting = table;
  static decltype(counting.embedding) real;
  real = table.embedding;
  counting.embedding = [](hone_stream *stream, uint32_t T, auto... rest) {
    tokens_run += T;
    real(stream, T, rest...);
  };
  struct Outcome {
    StepReport report;
    std::vector<float> gradient;
    uint32_t tokens;
  };
  const auto outcome = [&](bool share, bool checkpointing) {
    auto weights = tiny_weights(host, family), reference = tiny_weights(host, family, 2);
    std::vector<TrainRow> rows = rollouts(*weights, 9, 4, 0.8f);
    TrainerSettings settings;
    settings.temperature = 0.8f;
    settings.max_grad_norm = 0;
    settings.share_prefixes = share;
    settings.checkpointing = checkpointing;
    tokens_run = 0;
    Rig rig(*this, one, *weights, "grpo", {{"beta", 0.1}}, "sgd", {{"learning_rate", 1.0}}, settings, &counting);
    const std::vector<float> before = copy_of(*weights);
    Outcome out{rig.trainer.step(rows, 1, reference.get()), copy_of(*weights), tokens_run};
    for (size_t i = 0; i < before.size(); ++i) out.gradient[i] = before[i] - out.gradient[i];
    return out;
  };
  const Outcome apart = outcome(false, false), shared = outcome(true, false), recomputed = outcome(true, true);
  EXPECT_EQ(shared.report.logp_difference_max, 0);
  EXPECT_GT(shared.report.compared, 0u);
  EXPECT_TRUE(same_bits(shared.gradient, recomputed.gradient)) << "checkpointing changes no bit";
  if (family != "llama") {
    EXPECT_EQ(shared.tokens, apart.tokens);
    EXPECT_TRUE(same_bits(shared.gradient, apart.gradient));
    return;
  }
  EXPECT_LT(shared.tokens, apart.tokens * 0.9);
  EXPECT_EQ(shared.report.metrics, apart.report.metrics) << "no log-probability depends on what is shared";
  double difference = 0, size = 0;
  for (size_t i = 0; i < apart.gradient.size(); ++i) {
    difference += std::pow(double(shared.gradient[i]) - apart.gradient[i], 2);
    size += std::pow(double(apart.gradient[i]), 2);
  }
  EXPECT_GT(size, 0);
  EXPECT_LT(std::sqrt(difference / size), 1e-5);
}

TEST_P(TrainerTest, NeitherThreadsNorMicroBatchesNorTheWayUnitsRunChangeABit) {
  for (const std::string &model : {family, family + "_bf16", family + "_blocks"})
    for (const std::string objective : {"sft", "grpo"}) {
      std::vector<float> expected;
      std::vector<double> losses;
      for (uint32_t threads : {1u, 2u, 3u})
        for (uint32_t in_flight : {0u, 1u, 2u, 3u})
          for (const uint64_t small : {uint64_t{4'000'000}, uint64_t{0}})
            for (const bool checkpointing : {false, true}) {
              if ((checkpointing && in_flight > 1) || (model != family && (threads == 3 || in_flight == 1))) continue;
              Pool pool(threads);
              auto weights = tiny_weights(host, model);
              const auto reference = tiny_weights(host, model, 2);
              TrainerSettings settings;
              settings.micro_batch_units = in_flight;
              settings.small_model = small;
              settings.checkpointing = checkpointing;
              settings.unit_tokens = 300;
              const json options = objective == "grpo" ? json{{"beta", 0.04}} : json::object();
              Rig rig(*this, pool, *weights, objective, options, "adamw", {{"learning_rate", 0.01}}, settings);
              std::vector<double> seen;
              for (uint64_t step = 1; step <= 3; ++step) {
                std::vector<TrainRow> rows =
                    objective == "sft" ? corpus(40, static_cast<uint32_t>(step)) : rollouts(*weights, 6, 4);
                const StepReport report = rig.trainer.step(rows, step, reference.get());
                seen.insert(seen.end(), {report.loss, report.grad_norm});
                for (const auto &[name, value] : report.metrics) seen.push_back(value);
              }
              if (expected.empty()) expected = copy_of(*weights), losses = seen;
              ASSERT_TRUE(same_bits(expected, copy_of(*weights)))
                  << model << ", " << objective << ", " << threads << " threads, " << in_flight << " in flight, small " << small
                  << ", checkpointing " << checkpointing;
              ASSERT_EQ(losses, seen);
            }
    }
}

TEST_P(TrainerTest, AStepAfterItsMemoryWasGivenBackHasTheSameBits) {
  for (const std::string &model : {family, family + "_blocks"}) {
    std::vector<float> expected;
    for (const bool discards : {false, true}) {
      auto weights = tiny_weights(host, model);
      TrainerSettings settings;
      settings.small_model = 0;
      Rig rig(*this, one, *weights, "sft", json::object(), "adamw", {{"learning_rate", 0.01}}, settings);
      for (uint64_t step = 1; step <= 3; ++step) {
        std::vector<TrainRow> rows = corpus(200, static_cast<uint32_t>(step));
        rig.trainer.step(rows, step);
        if (discards) rig.trainer.discard_values();
      }
      if (expected.empty()) expected = copy_of(*weights);
      EXPECT_TRUE(same_bits(expected, copy_of(*weights))) << model;
    }
  }
}

// A large model's step has one slot: its gradient is one chain over the step's tokens, wherever it is cut. (Not of bf16 in blocks: a
// unit's last block may be a part of one.)
TEST_P(TrainerTest, AStepWithOneSlotGivesTheSameBitsHoweverItIsCut) {
  for (const std::string &model : {family, family + "_bf16"})
    for (const std::string objective : {"sft", "grpo"}) {
      std::vector<float> expected;
      for (uint32_t unit_tokens : {1u, 60u, 300u, 100000u}) {
        auto weights = tiny_weights(host, model);
        TrainerSettings settings;
        settings.slots = 1, settings.unit_tokens = unit_tokens;
        Rig rig(*this, one, *weights, objective, json::object(), "adamw", {{"learning_rate", 0.01}}, settings);
        std::vector<TrainRow> rows = objective == "sft" ? corpus(40) : rollouts(*weights, 6, 4);
        rig.trainer.step(rows, 1);
        if (expected.empty()) expected = copy_of(*weights);
        EXPECT_TRUE(same_bits(expected, copy_of(*weights))) << model << ", " << objective << " in units of " << unit_tokens;
      }
    }
}

TEST_P(TrainerTest, TheUpdateGoesDownTheLossByWhatItsGradientPromises) {
  for (const std::string objective : {"sft", "grpo", "rloo", "reward_model"}) {
    const bool values = objective == "reward_model";
    auto weights = tiny_weights(host, family, 1, values);
    if (values)  // a fresh value head is zero, and would hide the gradient of what lies below it
      for (uint32_t i = 0; i < 24; ++i)
        weights->data()[weights->value_head() - weights->data() + i] = 0.1f * static_cast<float>(i % 5) - 0.2f;
    weights->changed();
    std::vector<TrainRow> rows = objective == "sft" || values ? corpus(24) : rollouts(*weights, 6, 4);
    if (values)
      for (size_t i = 0; i < rows.size(); ++i)
        rows[i].group = static_cast<uint32_t>(i / 2), rows[i].chosen = i % 2 == 0;
    for (TrainRow &row : rows)  // old log-probs a little aside, so that ratios are not all 1
      for (size_t t = 0; t < row.logp_rollout.size(); ++t)
        row.logp_old.push_back(row.logp_rollout[t] + (t % 3 == 0 ? 0.05f : -0.05f));
    TrainerSettings settings;
    settings.max_grad_norm = 0;
    // Plain descent: the difference of the weights is the gradient. Then the loss along it, by central differences.
    const std::vector<float> start = copy_of(*weights);
    double norm = 0;
    std::vector<double> gradient(start.size(), 0);
    {
      auto moved = weights->clone();
      Rig rig(*this, one, *moved, objective, json::object(), "sgd", {{"learning_rate", 1.0}}, settings);
      const StepReport report = rig.trainer.step(rows, 1);
      for (size_t i = 0; i < moved->trained_size(); ++i) gradient[i] = double(start[i]) - double(moved->data()[i]);
      for (double g : gradient) norm += g * g;
      norm = std::sqrt(norm);
      EXPECT_NEAR(report.grad_norm, norm, 1e-3 * norm) << objective;
    }
    ASSERT_GT(norm, 1e-3) << objective;
    const auto loss_at = [&](double along) {
      auto moved = weights->clone();
      for (size_t i = 0; i < moved->trained_size(); ++i)
        moved->data()[i] = static_cast<float>(start[i] + along * gradient[i] / norm);
      moved->changed();
      Rig rig(*this, one, *moved, objective, json::object(), "sgd", {{"learning_rate", 0.0}}, settings);
      return rig.trainer.step(rows, 1, nullptr, false).loss;
    };
    const double h = family == "llama" ? 2e-3 : 5e-4;  // experts are chosen: a long step may cross to another choice
    const double slope = (loss_at(h) - loss_at(-h)) / (2 * h);
    EXPECT_NEAR(slope, norm, 0.03 * norm) << objective;
  }
}

TEST_P(TrainerTest, RolloutsVerifyExactlyAndAPerturbedOneStopsTheStep) {
  for (const float temperature : {1.0f, 0.6f}) {
    auto weights = tiny_weights(host, family);
    std::vector<TrainRow> rows = rollouts(*weights, 6, 4, temperature);
    TrainerSettings settings;
    settings.temperature = temperature;
    Rig rig(*this, one, *weights, "grpo", json::object(), "adamw", json::object(), settings);
    const std::vector<float> before = copy_of(*weights);
    float &recorded = rows[13].logp_rollout[rows[13].logp_rollout.size() / 2];
    const float right = recorded;
    recorded = std::nextafter(recorded, 0.0f);
    const std::string sentence = message([&] { rig.trainer.step(rows, 1); });
    EXPECT_NE(sentence.find("row 13, token " + std::to_string(rows[13].logp_rollout.size() / 2)), std::string::npos)
        << sentence;
    EXPECT_TRUE(same_bits(before, copy_of(*weights)));
    recorded = right;
    const StepReport report = rig.trainer.step(rows, 1);
    EXPECT_EQ(report.logp_difference_max, 0);
    EXPECT_FALSE(same_bits(before, copy_of(*weights)));
    // These rows are now another policy's: told not to verify, the step goes on and says how far they are apart.
    EXPECT_NE(message([&] { rig.trainer.step(rows, 2); }), "");
    EXPECT_GT(rig.trainer.step(rows, 2, nullptr, false).logp_difference_max, 0);
  }
}

TEST_P(TrainerTest, RowsOfOtherWeightsAreNotCompared) {
  auto weights = tiny_weights(host, family);
  std::vector<TrainRow> rows = rollouts(*weights, 6, 4);
  uint64_t tokens = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].off_policy = i % 3 == 0;
    if (rows[i].off_policy) rows[i].logp_rollout[0] -= 1;
    else tokens += rows[i].logp_rollout.size();
  }
  Rig rig(*this, one, *weights, "grpo", json::object(), "adamw", json::object(), {});
  const StepReport report = rig.trainer.step(rows, 1);
  EXPECT_EQ(report.logp_difference_max, 0);
  EXPECT_EQ(report.compared, tokens);
  EXPECT_NE(report.metrics.at("ratio/mean"), 1) << "what they recorded is still the policy that sampled them";
}

TEST_P(TrainerTest, ARecordedValueThatIsNotANumberStopsTheStep) {
  auto weights = tiny_weights(host, family);
  std::vector<TrainRow> rows = rollouts(*weights, 2, 2);
  rows[1].logp_rollout[0] = std::nanf("");
  Rig rig(*this, one, *weights, "sft", json::object(), "sgd", json::object(), {});
  const std::vector<float> before = copy_of(*weights);
  EXPECT_NE(message([&] { rig.trainer.step(rows, 1); }).find("row 1, token 0"), std::string::npos);
  EXPECT_TRUE(same_bits(before, copy_of(*weights)));
}

TEST_P(TrainerTest, UnscoredRowsTakeNoPart) {
  auto with = tiny_weights(host, family), without = tiny_weights(host, family);
  std::vector<TrainRow> rows = rollouts(*with, 6, 4), fewer;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i % 5 == 2 || i / 4 == 3)
      rows[i].reward = std::nanf("");  // some of most groups, and the whole of one
    else
      fewer.push_back(rows[i]);
  }
  Rig a(*this, one, *with, "grpo", json::object(), "adamw", json::object(), {}),
      b(*this, one, *without, "grpo", json::object(), "adamw", json::object(), {});
  const StepReport report = a.trainer.step(rows, 1);
  b.trainer.step(fewer, 1);
  EXPECT_TRUE(same_bits(copy_of(*with), copy_of(*without)));
  EXPECT_EQ(report.rows, fewer.size());
  // When nothing is left, nothing moves, not even by weight decay.
  const std::vector<float> before = copy_of(*with);
  for (TrainRow &row : rows) row.reward = std::nanf("");
  EXPECT_EQ(a.trainer.step(rows, 2).rows, 0u);
  EXPECT_TRUE(same_bits(before, copy_of(*with)));
}

TEST_P(TrainerTest, MaskedTokensTeachNothing) {
  auto masked = tiny_weights(host, family), weightless = tiny_weights(host, family);
  std::vector<TrainRow> a = corpus(12), b = a;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t t = 0; t < a[i].weight.size(); ++t) {
      const bool hidden = t % 4 == 1 && t + 1 < a[i].weight.size();
      a[i].masked.push_back(hidden);
      if (hidden) b[i].weight[t] = 0;
    }
  Rig first(*this, one, *masked, "sft", json::object(), "sgd", {{"learning_rate", 0.1}}, {});
  Rig second(*this, one, *weightless, "sft", json::object(), "sgd", {{"learning_rate", 0.1}}, {});
  const StepReport x = first.trainer.step(a, 1), y = second.trainer.step(b, 1);
  EXPECT_NEAR(x.loss, y.loss, 1e-9);
  EXPECT_LT(x.tokens, y.tokens);
  const std::vector<float> p = copy_of(*masked), q = copy_of(*weightless);
  for (size_t i = 0; i < p.size(); ++i) ASSERT_NEAR(p[i], q[i], 1e-6);
}

TEST_P(TrainerTest, FineTuningLearnsALittleLanguage) {
  auto weights = tiny_weights(host, family);
  TrainerSettings settings;
  settings.schedule = "cosine", settings.total_steps = 80, settings.warmup_steps = 5;
  Pool two(2);
  Rig rig(*this, two, *weights, "sft", json::object(), "adamw", {{"learning_rate", 0.01}}, settings);
  double first = 0, last = 0;
  for (uint64_t step = 1; step <= 80; ++step) {
    std::vector<TrainRow> rows = corpus(24, static_cast<uint32_t>(step));
    last = rig.trainer.step(rows, step).loss;
    if (step == 1) first = last;
  }
  EXPECT_GT(first, 3.0);  // about log(37)
  EXPECT_LT(last, 0.8);
}

TEST_P(TrainerTest, TheRewardModelLearnsAPreference) {
  auto weights = tiny_weights(host, family, 1, true);
  Rig rig(*this, one, *weights, "reward_model", json::object(), "adamw", {{"learning_rate", 0.01}}, {});
  const auto pairs = [](uint32_t seed) {  // responses that end in an even token are preferred
    std::mt19937 random(seed);
    std::vector<TrainRow> rows;
    for (uint32_t i = 0; i < 32; ++i) {
      TrainRow row;
      for (uint32_t t = 0; t < 6; ++t) row.ids.push_back(static_cast<int32_t>(random() % 36));
      row.group = i / 2;
      row.chosen = (i / 2 + i) % 2 == 0;
      row.ids.back() = static_cast<int32_t>(random() % 18 * 2 + (row.chosen ? 0 : 1));
      row.begin = row.response_begin = 3;
      rows.push_back(row);
    }
    return rows;
  };
  double first = 0, last = 0;
  for (uint64_t step = 1; step <= 60; ++step) {
    std::vector<TrainRow> rows = pairs(static_cast<uint32_t>(step));
    const StepReport report = rig.trainer.step(rows, step);
    const auto balance = report.metrics.find("auxiliary_loss");
    last = report.loss - (balance == report.metrics.end() ? 0 : balance->second);
    if (step == 1) first = last;
  }
  EXPECT_NEAR(first, std::log(2.0), 1e-6);  // the value head begins at zero
  EXPECT_LT(last, 0.2);
  // A reader of the finished model sees the same: the value after the last token.
  std::vector<std::vector<int32_t>> sequences;
  const std::vector<TrainRow> fresh = pairs(1000);
  for (const TrainRow &row : fresh) sequences.push_back(row.ids);
  const auto scored =
      score_tokens(table, one, *weights, sequences, std::vector<uint32_t>(sequences.size(), 3), 1, false, true);
  int right = 0;
  for (size_t i = 0; i < fresh.size(); i += 2) {
    const bool first_wins = scored[i].value.back() > scored[i + 1].value.back();
    right += first_wins == fresh[i].chosen;
  }
  EXPECT_GE(right, 14) << "of 16";
}

TEST_P(TrainerTest, ClippingLimitsTheLengthOfTheUpdate) {
  auto weights = tiny_weights(host, family);
  const std::vector<float> before = copy_of(*weights);
  TrainerSettings settings;
  settings.max_grad_norm = 0.01;
  Rig rig(*this, one, *weights, "sft", json::object(), "sgd", {{"learning_rate", 1.0}}, settings);
  std::vector<TrainRow> rows = corpus(12);
  const StepReport report = rig.trainer.step(rows, 1);
  double length = 0;
  for (size_t i = 0; i < weights->trained_size(); ++i) length += std::pow(double(weights->data()[i]) - before[i], 2);
  EXPECT_GT(report.grad_norm, 0.01);
  EXPECT_NEAR(std::sqrt(length), 0.01, 1e-4);
}

TEST_P(TrainerTest, SavedStateGoesOnWithTheSameBits) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("hone_trainer_test_" + family + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const auto run = [&](Trainer &trainer, uint64_t from, uint64_t to) {
    for (uint64_t step = from; step <= to; ++step) {
      std::vector<TrainRow> rows = corpus(12, static_cast<uint32_t>(step));
      trainer.step(rows, step);
    }
  };
  auto straight = tiny_weights(host, family);
  Rig whole(*this, one, *straight, "sft", json::object(), "adamw", {{"learning_rate", 0.01}}, {});
  run(whole.trainer, 1, 3);
  whole.trainer.save_state(folder / "optimizer.safetensors");
  auto resumed = straight->clone();
  run(whole.trainer, 4, 6);
  {
    Rig again(*this, one, *resumed, "sft", json::object(), "adamw", {{"learning_rate", 0.01}}, {});
    again.trainer.load_state(folder / "optimizer.safetensors");
    run(again.trainer, 4, 6);
  }
  EXPECT_TRUE(same_bits(copy_of(*straight), copy_of(*resumed)));

  Rig sgd(*this, one, *resumed, "sft", json::object(), "sgd", {{"momentum", 0.5}}, {});
  EXPECT_NE(message([&] { sgd.trainer.load_state(folder / "optimizer.safetensors"); }).find("another optimizer"),
            std::string::npos);
  EXPECT_NE(message([&] { sgd.trainer.load_state(folder / "none.safetensors"); }).find("none.safetensors"),
            std::string::npos);
  std::ofstream(folder / "bad.safetensors") << "no tensors at all";
  EXPECT_NE(message([&] { sgd.trainer.load_state(folder / "bad.safetensors"); }).find("bad.safetensors"),
            std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_P(TrainerTest, NumbersThatAreNotFiniteStopTheStepBeforeTheWeightsChange) {
  auto weights = tiny_weights(host, family);
  weights->data()[5] = std::nanf("");
  weights->changed();
  const std::vector<float> before = copy_of(*weights);
  Rig rig(*this, one, *weights, "sft", json::object(), "adamw", json::object(), {});
  std::vector<TrainRow> rows = corpus(12);
  rows[0].ids.assign(10, 0);  // token 0 reads the broken number
  rows[0].begin = 1, rows[0].weight.clear();
  const std::string sentence = message([&] { rig.trainer.step(rows, 1); });
  EXPECT_NE(sentence.find("not changed"), std::string::npos) << sentence;
  EXPECT_TRUE(same_bits(before, copy_of(*weights)));
}

TEST_P(TrainerTest, SeveralPassesOverAStepMoveAwayFromTheOldPolicy) {
  auto weights = tiny_weights(host, family);
  std::vector<TrainRow> rows = rollouts(*weights, 6, 4);
  TrainerSettings settings;
  settings.inner_epochs = 3;
  Rig rig(*this, one, *weights, "grpo", {{"epsilon", 0.02}}, "adamw", {{"learning_rate", 0.01}}, settings);
  const StepReport report = rig.trainer.step(rows, 1);
  EXPECT_EQ(report.logp_difference_max, 0);  // of the first pass
  EXPECT_GT(report.metrics.at("approx_kl"), 0);
  EXPECT_GT(report.metrics.at("clip_ratio/region_mean"), 0);
  EXPECT_LT(report.metrics.at("clip_ratio/region_mean"), 1);
  EXPECT_GT(report.metrics.at("entropy"), 0);
}

TEST_P(TrainerTest, ExpertBiasesMoveTowardsTheFewerChosen) {
  auto weights = tiny_weights(host, family);
  const std::vector<float> before = copy_of(*weights);
  Rig rig(*this, one, *weights, "sft", json::object(), "sgd", {{"learning_rate", 0.0}}, {});
  std::vector<TrainRow> rows = corpus(12);
  const StepReport report = rig.trainer.step(rows, 1);
  size_t moved = 0;
  for (size_t i = weights->trained_size(); i < weights->total_size(); ++i) moved += weights->data()[i] != before[i];
  if (family == "llama") {
    EXPECT_EQ(moved, 0u);
    EXPECT_EQ(report.metrics.count("auxiliary_loss"), 0u);
  } else {
    EXPECT_GT(moved, 0u);
    EXPECT_GT(report.metrics.at("auxiliary_loss"), 0);
  }
  EXPECT_EQ(0, std::memcmp(before.data(), weights->data(), weights->trained_size() * sizeof(float)));
}

TEST_P(TrainerTest, BadRowsAndSettingsAreSentences) {
  auto weights = tiny_weights(host, family);
  const std::vector<float> before = copy_of(*weights);
  const auto with = [&](const std::string &objective, const std::function<void(std::vector<TrainRow> &)> &change) {
    std::vector<TrainRow> rows = rollouts(*weights, 2, 2);
    change(rows);
    Rig rig(*this, one, *weights, objective, objective == "grpo" ? json{{"beta", 0.1}} : json::object(), "sgd",
            json::object(), {});
    return message([&] { rig.trainer.step(rows, 1); });
  };
  const auto has = [](const std::string &sentence, const std::string &part) {
    EXPECT_NE(sentence.find(part), std::string::npos) << '"' << sentence << "\" should speak of " << part;
  };
  has(with("sft", [](auto &rows) { rows[2].ids[1] = 37; }), "row 2: token 1 is 37");
  has(with("sft", [](auto &rows) { rows[1].ids.clear(); }), "row 1 has no tokens");
  has(with("sft", [](auto &rows) { rows[1].ids.resize(161, 1); }), "161");
  has(with("sft", [](auto &rows) { rows[0].begin = 0; }), "begin at 1");
  has(with("sft", [](auto &rows) { rows[0].begin = 1000; }), "1000");
  has(with("sft", [](auto &rows) { rows[3].weight = {1}; }), "row 3: weight has 1 values");
  has(with("sft", [](auto &rows) { rows[3].weight.assign(rows[3].logp_rollout.size(), -1); }), "weight is -1");
  has(with("sft",
           [](auto &rows) {
             rows[3].masked = {1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                               1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
           }),
      "row 3: the mask");
  has(with("sft", [](auto &rows) { rows[0].logp_rollout.push_back(0); }), "logp_rollout");
  has(with("rloo", [](auto &rows) { rows[3].group = 0; }), "adjacent");
  has(with("rloo", [](auto &rows) { rows[3].reward = INFINITY; }), "infinite");
  has(with("grpo", [](auto &) {}), "reference model");
  EXPECT_TRUE(same_bits(before, copy_of(*weights)));

  const auto refused = [&](const std::function<void(TrainerSettings &)> &change) {
    TrainerSettings settings;
    change(settings);
    return message([&] { Rig(*this, one, *weights, "sft", json::object(), "sgd", json::object(), settings); });
  };
  has(refused([](auto &s) { s.temperature = 0; }), "temperature is 0");
  has(refused([](auto &s) { s.slots = 3; }), "slots is 3");
  has(refused([](auto &s) { s.inner_epochs = 0; }), "inner_epochs");
  has(refused([](auto &s) { s.max_grad_norm = -1; }), "max_grad_norm");
  has(refused([](auto &s) { s.schedule = "cosin"; }), "cosin");
  const auto pairs = [&](const std::function<void(std::vector<TrainRow> &)> &change) {
    auto valued = tiny_weights(host, family, 1, true);
    std::vector<TrainRow> rows = corpus(4);
    for (size_t i = 0; i < rows.size(); ++i) rows[i].group = static_cast<uint32_t>(i / 2), rows[i].chosen = i % 2;
    change(rows);
    Rig rig(*this, one, *valued, "reward_model", json::object(), "sgd", json::object(), {});
    return message([&] { rig.trainer.step(rows, 1); });
  };
  EXPECT_EQ(pairs([](auto &) {}), "");
  has(pairs([](auto &rows) { rows[3].chosen = false; }), "pair 1");
  has(pairs([](auto &rows) { rows.pop_back(); }), "has 1 rows");
  has(message([&] { Rig(*this, one, *weights, "reward_model", json::object(), "sgd", json::object(), {}); }),
      "value head");
}

INSTANTIATE_TEST_SUITE_P(Models, TrainerTest, testing::Values("llama", "deepseek_moe"),
                         [](const auto &info) { return std::string(info.param); });

TEST(Schedule, RisesHoldsAndFallsAsItsNameSays) {
  TrainerSettings settings;
  settings.warmup_steps = 4, settings.total_steps = 14, settings.min_learning_rate_factor = 0.1;
  for (const char *name : {"constant", "linear", "cosine"}) {
    settings.schedule = name;
    for (uint64_t step = 1; step <= 4; ++step)
      EXPECT_DOUBLE_EQ(schedule_factor(settings, step), static_cast<double>(step) / 5);
    EXPECT_DOUBLE_EQ(schedule_factor(settings, 5), 1);
    for (uint64_t step = 6; step <= 14; ++step) {
      const double now = schedule_factor(settings, step), before = schedule_factor(settings, step - 1);
      if (std::string(name) == "constant") {
        EXPECT_EQ(now, 1);
        continue;
      }
      EXPECT_LT(now, before);
      EXPECT_GE(now, 0.1);
    }
  }
  settings.schedule = "linear";
  EXPECT_DOUBLE_EQ(schedule_factor(settings, 10), 0.55);  // half of the way from 1 to 0.1
  settings.schedule = "cosine";
  EXPECT_DOUBLE_EQ(schedule_factor(settings, 10), 0.55);
  EXPECT_DOUBLE_EQ(schedule_factor(settings, 15), 0.1);
  EXPECT_DOUBLE_EQ(schedule_factor(settings, 1000), 0.1);
}

}  // namespace
}  // namespace hone
