// layer_test.cpp -- the C++ layer: settings tables, tables of a stage, objectives' batches, older and newer structs.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "hone/model.hpp"
#include "hone/objective.hpp"
#include "hone/token_kl.hpp"
#include "hone/optimizer.hpp"
#include "hone/reward.hpp"
#include "hone/stage.hpp"

namespace {

class Everything : public hone::Reward {
 public:
  bool flag = true;
  uint8_t small = 3;
  int64_t large = -5;
  float ratio = 0.2f;
  double exact = 1e-7;
  std::string mode = "b";
  hone::JsonList list{"[1]"};
  hone::JsonTable table;
  hone::ModelHandle model;
  static auto params() {
    return hone::params(hone::param("flag", &Everything::flag, "f"), hone::param("small", &Everything::small, "s", {.max = 1000}),
                        hone::param("large", &Everything::large, "l", {.min = -10}), hone::param("ratio", &Everything::ratio, "r"),
                        hone::param("exact", &Everything::exact, "e", {.min = 0, .max = 1}),
                        hone::param("mode", &Everything::mode, "m", {.choices = {"a", "b"}}), hone::param("list", &Everything::list, "l"),
                        hone::param("table", &Everything::table, "t"), hone::param("model", &Everything::model, "m", {.required = true}));
  }
  float score(const hone::Response &r) const override { return static_cast<float>(r.text.size()); }
};

TEST(Layer, MakesTheSettingsTableFromTheMembers) {
  const hone_component &c = *hone::component<Everything>("everything", "all types");
  ASSERT_EQ(c.n_params, 9u);
  const hone_param *p = c.params;
  EXPECT_EQ(p[0].fallback.type, HONE_BOOL);
  EXPECT_EQ(p[0].fallback.as.i, 1);
  EXPECT_EQ(p[1].min, 0);  // what a uint8_t can hold, whatever was asked for
  EXPECT_EQ(p[1].max, 255);
  EXPECT_EQ(p[2].min, -10);
  EXPECT_EQ(p[3].fallback.as.f, 0.2);  // not 0.20000000298
  EXPECT_EQ(p[4].fallback.as.f, 1e-7);
  ASSERT_TRUE(p[5].choices);
  EXPECT_STREQ(p[5].choices[1], "b");
  EXPECT_EQ(p[5].choices[2], nullptr);
  EXPECT_EQ(p[6].fallback.type, HONE_LIST);
  EXPECT_EQ(p[7].fallback.type, HONE_TABLE);
  EXPECT_EQ(p[8].fallback.type, HONE_MODEL_HANDLE);
  EXPECT_EQ(p[8].fallback.as.i, -1);
  EXPECT_EQ(p[8].flags & HONE_REQUIRED, static_cast<uint32_t>(HONE_REQUIRED));
  // Two names of one class are two components.
  EXPECT_STREQ(hone::component<Everything>("other")->name, "other");
  EXPECT_STREQ(c.name, "everything");
}

class Trains : public hone::Reward {
 public:
  hone::OptimizerHandle optimizer;
  static auto params() { return hone::params(hone::param("optimizer", &Trains::optimizer, "o")); }
  float score(const hone::Response &) const override { return 0; }
};

TEST(Layer, AnOptimizerSettingNeedsAHostThatKnowsIt) {
  const hone_component *trains = hone::component<Trains>("trains"), *everything = hone::component<Everything>("everything");
  EXPECT_EQ(trains->params[0].fallback.type, 11);
  EXPECT_EQ(trains->params[0].fallback.as.i, -1);
  const hone_component *const old[] = {everything}, *const both[] = {everything, trains};
  EXPECT_EQ(hone::detail::min_minor(old), 0u);
  EXPECT_EQ(hone::detail::min_minor(both), 1u);
}

TEST(Layer, ReadsTheKnownPartOfAnOlderHostsStruct) {
  hone_batch older{};
  older.struct_size = offsetof(hone_batch, weight);
  older.n_rows = 0;
  float beyond = 1;
  older.weight = &beyond;  // lies past what the older host wrote
  const hone::Batch batch(older);
  EXPECT_EQ(batch->weight, nullptr);
  EXPECT_EQ(batch->struct_size, sizeof(hone_batch));
}

TEST(Layer, GroupsPairsAndTheirStatistics) {
  const uint32_t start[] = {0, 2, 3, 6, 7}, group[] = {4, 4, 9, 9};
  const float reward[] = {1, 0, 0.1f, 0.1f};
  const uint8_t chosen[] = {0, 1, 1, 0};
  hone_batch raw{};
  raw.struct_size = sizeof raw;
  raw.n_rows = 4, raw.n_tokens = 7;
  raw.row_start = start, raw.group = group, raw.reward = reward, raw.chosen = chosen;
  const hone::Batch batch(raw);
  ASSERT_EQ(batch.groups().size(), 2u);
  EXPECT_EQ(batch.groups()[0].mean, 0.5);
  EXPECT_EQ(batch.groups()[0].deviation, 0.5);
  EXPECT_NEAR(batch.groups()[0].sample_deviation(), std::sqrt(0.5), 1e-12);
  EXPECT_EQ(batch.groups()[1].deviation, 0);  // 0.1f three ways would round
  const auto pairs = batch.pairs();
  EXPECT_EQ(pairs[0].chosen.index, 1u);
  EXPECT_EQ(pairs[1].rejected.index, 3u);
  const uint8_t both[] = {1, 1, 1, 0};
  raw.chosen = both;
  EXPECT_THROW(hone::Batch(raw).pairs(), hone::Error);
}

TEST(Layer, HelpersMatchTheirFormulas) {
  for (double logp : {-3.0, -1.0, -0.2})
    for (double ref : {-2.5, -1.0, -0.1}) {
      const auto kl = hone::k3(logp, ref);
      EXPECT_NEAR(kl.value, std::exp(ref - logp) - (ref - logp) - 1, 1e-12);
      EXPECT_NEAR(kl.slope, (hone::k3(logp + 1e-6, ref).value - hone::k3(logp - 1e-6, ref).value) / 2e-6, 1e-6);
      EXPECT_GE(kl.value, 0);
    }
  for (double x : {-800.0, -2.0, 0.0, 3.0, 800.0}) {
    const auto loss = hone::logistic_loss(x);
    EXPECT_TRUE(std::isfinite(loss.value));
    if (std::fabs(x) < 100) {
      EXPECT_NEAR(loss.value, -std::log(1 / (1 + std::exp(-x))), 1e-12);
    }
    EXPECT_NEAR(loss.slope, (hone::logistic_loss(x + 1e-6).value - hone::logistic_loss(x - 1e-6).value) / 2e-6, 1e-6);
  }
}

TEST(Layer, TablesHoldWhatWasPutIn) {
  hone::Table table;
  table.ints("n", {1, 2}).floats("x", {0.5, 1.5}).texts("t", {"a", ""}).int_lists("ids", {{1, 2, 3}, {}}).float_lists("p", {{}, {0.5f}});
  const hone::TableView view = table.view();
  EXPECT_EQ(view.rows(), 2u);
  EXPECT_EQ(view.ints("n")[1], 2);
  EXPECT_EQ(view.text("t", 0), "a");
  EXPECT_EQ(view.int_list("ids", 0).size(), 3u);
  EXPECT_EQ(view.int_list("ids", 1).size(), 0u);
  EXPECT_EQ(view.float_list("p", 1)[0], 0.5f);
  EXPECT_THROW(view.ints("none"), hone::Error);
  EXPECT_THROW(view.ints("x"), hone::Error);
  EXPECT_THROW(view.text("t", 2), hone::Error);
  hone::Table copy;
  copy.append(view, 1).append(view, 0);
  EXPECT_EQ(copy.view().int_list("ids", 1)[2], 3);
  EXPECT_EQ(copy.view().floats("x")[0], 1.5);
  hone::Table uneven;
  uneven.ints("a", {1}).ints("b", {1, 2});
  EXPECT_THROW(uneven.view(), hone::Error);
}

TEST(Layer, ALoopWithoutAHostRunsOnTheCallerAndRethrows) {
  const hone::Parallel serial;
  uint64_t sum = 0;
  serial.loop(10, 3, [&](uint64_t begin, uint64_t end) { sum += end - begin; });
  EXPECT_EQ(sum, 10u);
  EXPECT_EQ(serial.threads(), 1u);
  EXPECT_THROW(serial.loop(1, 1, [](uint64_t, uint64_t) { throw hone::Error("x"); }), hone::Error);
}

TEST(Layer, ErrorsTooLongForTheStructAreCut) {
  hone_error err{};
  EXPECT_EQ(hone::detail::guard(&err, [] { throw hone::Error(std::string(2000, 'x')); }), HONE_INVALID);
  EXPECT_EQ(std::strlen(err.text), sizeof err.text - 1);
  EXPECT_EQ(hone::detail::guard(&err, [] { throw std::bad_alloc(); }), HONE_OUT_OF_MEMORY);
  EXPECT_EQ(hone::detail::guard(nullptr, [] { throw 3; }), HONE_FAILED);
}

}  // namespace
