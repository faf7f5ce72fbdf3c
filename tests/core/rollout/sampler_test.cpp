// sampler_test.cpp -- sampled log-probs are those that scoring computes, to the bit, whatever the company, limits and
// threads.
#include "core/rollout/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "core/base/failure.h"
#include "tests/support/refusal.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

struct SamplerTest : testing::TestWithParam<const char *> {
  Pool one{1};
  Host host{one, 1};
  const hone_kernels &table = kernels("cpu");
  std::unique_ptr<Weights> weights = tiny_weights(host, GetParam());

  static std::vector<SampleRequest> requests(uint32_t n, uint32_t generations) {
    std::mt19937 random(5);
    std::vector<SampleRequest> out;
    for (uint32_t i = 0; i < n; ++i) {
      SampleRequest request;
      const uint32_t tokens = 1 + random() % 70;  // some are longer than two pages, some end exactly on one
      for (uint32_t t = 0; t < tokens; ++t) request.prompt.push_back(static_cast<int32_t>(random() % tiny_vocabulary));
      if (i == 1) request.prompt.resize(32, 3);
      request.num_generations = generations;
      request.first_row = i * generations;
      out.push_back(request);
    }
    return out;
  }
  static SampleSettings settings() {
    SampleSettings s;
    s.max_tokens = 40;
    s.stop_ids = {7};
    s.seed = 99, s.stage = 2, s.step = 3;
    return s;
  }
  static void expect_same(const std::vector<SampledRow> &a, const std::vector<SampledRow> &b, const std::string &what) {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].ids, b[i].ids) << what << ", row " << i;
      ASSERT_EQ(a[i].logp, b[i].logp) << what << ", row " << i;
      ASSERT_EQ(a[i].truncated, b[i].truncated) << what << ", row " << i;
    }
  }
};

TEST_P(SamplerTest, RecordsTheLogProbabilitiesThatScoringComputesToTheBit) {
  const std::vector<SampleRequest> all = requests(9, 5);
  for (const float temperature : {1.0f, 0.7f, 0.0f}) {
    SampleSettings s = settings();
    s.temperature = temperature;
    const std::vector<SampledRow> rows = Sampler(table, one).generate(*weights, nullptr, all, s);
    std::vector<std::vector<int32_t>> sequences;
    std::vector<uint32_t> begin;
    for (size_t i = 0; i < rows.size(); ++i) {
      sequences.push_back(all[i / 5].prompt);
      begin.push_back(static_cast<uint32_t>(sequences.back().size()));
      sequences.back().insert(sequences.back().end(), rows[i].ids.begin(), rows[i].ids.end());
    }
    for (uint32_t threads : {1u, 2u, 3u})
      for (uint64_t small : {small_model_size, uint64_t{0}}) {
        Pool pool(threads);
        const auto scored = score_tokens(table, pool, *weights, sequences, begin, temperature, false, false, small);
        for (size_t i = 0; i < rows.size(); ++i)
          ASSERT_EQ(rows[i].logp, scored[i].logp) << "row " << i << " at " << temperature;
      }
    // One sequence alone, too.
    for (size_t i : {size_t{0}, size_t{7}, size_t{44}})
      ASSERT_EQ(rows[i].logp, score_tokens(table, one, *weights, {sequences[i]}, {begin[i]}, temperature)[0].logp);
  }
}

TEST_P(SamplerTest, NeitherThreadsNorLimitsNorCompanyChangeABit) {
  const std::vector<SampleRequest> all = requests(9, 5);
  const std::vector<SampledRow> expected = Sampler(table, one).generate(*weights, nullptr, all, settings());
  const hone_model_info &info = weights->architecture().info();
  const hone_kv_page_shape shape{32, info.kv_heads, info.key_size, info.value_size};
  const uint64_t page = table.kv_page_bytes(&shape) * info.attention_layers;
  for (uint32_t threads : {1u, 2u, 3u}) {
    Pool pool(threads);
    for (const auto &[rows, pages, prefill, small] :
         std::vector<std::tuple<uint32_t, uint64_t, uint32_t, uint64_t>>{{1, 1000, 2048, small_model_size},
                                                                         {2, 1000, 1, small_model_size},
                                                                         {3, 8, 7, small_model_size},
                                                                         {64, 17, 64, small_model_size},
                                                                         {512, 1000, 33, 0},
                                                                         {4, 7, 5, 0}}) {
      Sampler sampler(table, pool, {rows, pages * page * (small ? threads : 1), prefill, small});
      const std::string what =
          std::to_string(threads) + " threads, " + std::to_string(rows) + " rows, " + std::to_string(pages) + " pages";
      expect_same(expected, sampler.generate(*weights, nullptr, all, settings()), what);
      expect_same(expected, sampler.generate(*weights, nullptr, all, settings()),
                  what + ", again");  // the cache is used twice
    }
  }
  // Requests in another order, one by one, and a group cut in two: a row is known by its number alone.
  Sampler sampler(table, one);
  for (size_t i : {size_t{8}, size_t{3}, size_t{0}})
    expect_same({expected.begin() + i * 5, expected.begin() + i * 5 + 5},
                sampler.generate(*weights, nullptr, {all[i]}, settings()), "alone");
  SampleRequest later = all[4];
  later.first_row += 2, later.num_generations = 3;
  expect_same({expected.begin() + 22, expected.begin() + 25}, sampler.generate(*weights, nullptr, {later}, settings()),
              "half a group");
}

TEST_P(SamplerTest, RowsStopWhereTheyShould) {
  const std::vector<SampledRow> rows = Sampler(table, one).generate(*weights, nullptr, requests(9, 5), settings());
  size_t stopped = 0, truncated = 0;
  std::set<std::vector<int32_t>> different;
  for (const SampledRow &row : rows) {
    different.insert(row.ids);
    ASSERT_EQ(row.ids.size(), row.logp.size());
    const auto stop = std::find(row.ids.begin(), row.ids.end(), 7);
    ASSERT_TRUE(stop == row.ids.end() - (row.truncated ? 0 : 1));
    ASSERT_EQ(row.truncated, row.ids.size() == 40 && row.ids.back() != 7);
    (row.truncated ? truncated : stopped) += 1;
  }
  EXPECT_GT(stopped, 0u);
  EXPECT_GT(different.size(), rows.size() / 2);
  // The model's positions end a row as well.
  SampleRequest late;
  late.prompt.assign(155, 4);
  SampleSettings s = settings();
  s.stop_ids.clear();
  const auto at_the_end = Sampler(table, one).generate(*weights, nullptr, {late}, s);
  EXPECT_EQ(at_the_end[0].ids.size(), 5u);
  EXPECT_TRUE(at_the_end[0].truncated);
}

TEST_P(SamplerTest, StopStringsEndARowAtTheTokenThatCompletesThem) {
  std::vector<std::string> words;
  for (uint32_t i = 0; i < tiny_vocabulary; ++i) words.push_back("w" + std::to_string(i));
  const auto tokenizer = Tokenizer::from_words(words, {}, "w0");
  SampleSettings s = settings();
  s.stop_ids.clear();
  const auto free = Sampler(table, one).generate(*weights, tokenizer.get(), requests(4, 4), s);
  // A string that spans two tokens of some row.
  const std::string stop = words[free[5].ids[10]] + " " + words[free[5].ids[11]];
  s.stop_strings = {"never so", stop};
  const auto rows = Sampler(table, one).generate(*weights, tokenizer.get(), requests(4, 4), s);
  size_t stopped = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string whole = tokenizer->decode(free[i].ids), text = tokenizer->decode(rows[i].ids);
    ASSERT_EQ(rows[i].ids, std::vector<int32_t>(free[i].ids.begin(), free[i].ids.begin() + rows[i].ids.size()));
    const bool has = text.find(stop) != std::string::npos;
    ASSERT_EQ(has, whole.find(stop) != std::string::npos);
    ASSERT_EQ(rows[i].truncated, !has);
    if (!has) continue;
    ++stopped;
    const std::string before = tokenizer->decode({rows[i].ids.begin(), rows[i].ids.end() - 1});
    ASSERT_EQ(before.find(stop), std::string::npos);
  }
  EXPECT_GT(stopped, 0u);
}

// Pearson's statistic of the first token over many rows, against probabilities that scoring computes.
double chi_square(const std::vector<SampledRow> &rows, const std::vector<double> &p, double *degrees) {
  std::vector<double> seen(p.size(), 0);
  for (const SampledRow &row : rows) seen[row.ids[0]] += 1;
  double statistic = 0, rest_seen = 0, rest_expected = 0;
  *degrees = -1;
  const double n = static_cast<double>(rows.size());
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(seen[i], 0) << "token " << i << " was excluded";
    }
    if (n * p[i] < 5)
      rest_seen += seen[i], rest_expected += n * p[i];
    else
      statistic += (seen[i] - n * p[i]) * (seen[i] - n * p[i]) / (n * p[i]), *degrees += 1;
  }
  if (rest_expected > 1)
    statistic += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected, *degrees += 1;
  return statistic;
}

TEST_P(SamplerTest, TokensComeWithTheProbabilitiesOfTheTruncatedDistribution) {
  SampleRequest request;
  request.prompt = {1, 2, 3};
  request.num_generations = 6000;
  for (const auto &[temperature, top_p, min_p, top_k] :
       std::vector<std::tuple<float, float, float, uint32_t>>{{1.0f, 1.0f, 0.0f, 0},
                                                              {1.7f, 1.0f, 0.0f, 0},
                                                              {1.0f, 0.8f, 0.0f, 0},
                                                              {1.0f, 1.0f, 0.1f, 0},
                                                              {1.3f, 1.0f, 0.0f, 4},
                                                              {1.3f, 0.7f, 0.0f, 9}}) {
    SampleSettings s = settings();
    s.max_tokens = 1, s.temperature = temperature, s.top_p = top_p, s.min_p = min_p, s.top_k = top_k;
    const auto rows = Sampler(table, one).generate(*weights, nullptr, {request}, s);
    std::vector<std::vector<int32_t>> sequences;
    for (uint32_t v = 0; v < tiny_vocabulary; ++v) sequences.push_back({1, 2, 3, static_cast<int32_t>(v)});
    const auto scored =
        score_tokens(table, one, *weights, sequences, std::vector<uint32_t>(tiny_vocabulary, 3), temperature);
    std::vector<double> p;
    for (const ScoredTokens &token : scored) p.push_back(std::exp(double(token.logp[0])));
    EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-5);
    std::vector<uint32_t> order(p.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return p[a] > p[b]; });
    double mass = 0, kept_mass = 0;  // top-k first, then the smallest set whose share of what is left reaches top-p
    std::vector<double> kept(p.size(), 0);
    double top_mass = 0;
    for (uint32_t i = 0; i < order.size(); ++i) top_mass += top_k == 0 || i < top_k ? p[order[i]] : 0;
    for (uint32_t i = 0; i < order.size() && (top_k == 0 || i < top_k) && mass < top_p * top_mass; ++i) {
      mass += p[order[i]];
      if (p[order[i]] >= min_p * p[order[0]]) kept[order[i]] = p[order[i]], kept_mass += p[order[i]];
    }
    for (double &x : kept) x /= kept_mass;
    double degrees = 0;
    const double statistic = chi_square(rows, kept, &degrees);
    // Beyond mean + 4 deviations of chi-square: less than one in ten thousand, and the seed is fixed.
    EXPECT_LT(statistic, degrees + 4 * std::sqrt(2 * std::max(degrees, 1.0)))
        << "top_p " << top_p << " top_k " << top_k << " min_p " << min_p;
  }
}

TEST_P(SamplerTest, EveryRowIsReportedOnceAndAnInterruptedRunIsEmpty) {
  for (uint32_t threads : {1u, 2u}) {
    Pool pool(threads);
    Sampler sampler(table, pool, {6, 1u << 30, 64});
    std::multiset<size_t> seen;
    const auto rows =
        sampler.generate(*weights, nullptr, requests(9, 5), settings(), [&](size_t row, const SampledRow &sampled) {
          seen.insert(row);
          EXPECT_FALSE(sampled.ids.empty());
        });
    EXPECT_EQ(seen.size(), rows.size());
    EXPECT_EQ(std::set<size_t>(seen.begin(), seen.end()).size(), rows.size());
    int asked = 0;
    EXPECT_TRUE(
        sampler.generate(*weights, nullptr, requests(9, 5), settings(), {}, [&] { return ++asked > 5; }).empty());
    // It is as good as new afterwards.
    expect_same(rows, sampler.generate(*weights, nullptr, requests(9, 5), settings()), "after an interruption");
  }
}

TEST_P(SamplerTest, BadRequestsAreSentences) {
  Sampler sampler(table, one);
  const auto refusal = [&](const SampleRequest &request, const SampleSettings &s, const Sampler &) {
    return refusal_of([&] { Sampler(table, one, {8, 1 << 12, 64}).generate(*weights, nullptr, {request}, s); });
  };
  SampleRequest good;
  good.prompt = {1};
  const auto with = [&](auto change) {
    SampleSettings s = settings();
    change(s);
    return refusal(good, s, sampler);
  };
  EXPECT_NE(with([](auto &s) { s.temperature = -1; }).find("temperature is -1"), std::string::npos);
  EXPECT_NE(with([](auto &s) { s.temperature = std::nanf(""); }).find("temperature"), std::string::npos);
  EXPECT_NE(with([](auto &s) { s.top_p = 0; }).find("top_p is 0"), std::string::npos);
  EXPECT_NE(with([](auto &s) { s.max_tokens = 0; }).find("max_completion_length"), std::string::npos);
  EXPECT_NE(with([](auto &s) { s.stop_strings = {"x"}; }).find("tokenizer"), std::string::npos);
  EXPECT_NE(with([](auto &) {}).find("KV cache"), std::string::npos);  // 4 KiB hold no row
  const auto prompt = [&](std::vector<int32_t> ids) {
    SampleRequest request;
    request.prompt = std::move(ids);
    return refusal(request, settings(), sampler);
  };
  EXPECT_NE(prompt({}).find("prompt 0 has no tokens"), std::string::npos);
  EXPECT_NE(prompt({1, 37}).find("token 1 is 37"), std::string::npos);
  EXPECT_NE(prompt({-1}).find("token 0 is -1"), std::string::npos);
  EXPECT_NE(prompt(std::vector<int32_t>(160, 1)).find("no position"), std::string::npos);
  EXPECT_NE(prompt(std::vector<int32_t>(161, 1)).find("161 tokens"), std::string::npos);
  EXPECT_THROW(score_tokens(table, one, *weights, {{1, 2}}, {0}, 1), Failure);
  EXPECT_THROW(score_tokens(table, one, *weights, {{1, 2}}, {}, 1), Failure);
  EXPECT_THROW(score_tokens(table, one, *weights, {{1, 2}}, {1}, 1, false, true), Failure);  // no value head
  EXPECT_TRUE(sampler.generate(*weights, nullptr, {}, settings()).empty());
}

INSTANTIATE_TEST_SUITE_P(Models, SamplerTest, testing::Values("llama", "deepseek_moe", "llama_bf16", "deepseek_moe_bf16", "llama_blocks", "deepseek_moe_blocks"),
                         [](const auto &info) { return std::string(info.param); });

}  // namespace
}  // namespace hone
