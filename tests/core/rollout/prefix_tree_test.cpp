// prefix_tree_test.cpp -- what sequences begin with alike is computed once, counted token by token, and no bit of a result depends on it.
#include "core/rollout/prefix_tree.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <set>

#include "core/base/failure.h"
#include "core/rollout/sampler.h"
#include "tests/support/refusal.h"
#include "tests/support/tiny_model.h"

namespace hone {
namespace {

using Ids = std::vector<int32_t>;

struct Prefixes : testing::TestWithParam<const char *> {
  Pool one{1};
  Host host{one, 1};
  const hone_kernels &table = kernels("cpu");
  std::unique_ptr<Weights> weights = tiny_weights(host, GetParam(), 1, true);
  std::mt19937 random{11};

  Ids made_up(uint32_t tokens) {
    Ids ids;
    for (uint32_t i = 0; i < tokens; ++i) ids.push_back(static_cast<int32_t>(random() % tiny_vocabulary));
    return ids;
  }
  static Ids joined(Ids a, const Ids &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  static SampleSettings settings(bool keep) {
    SampleSettings s;
    s.max_tokens = 9, s.stop_ids = {7}, s.seed = 99, s.stage = 2, s.step = 3, s.keep_prefixes = keep;
    return s;
  }
  // With nothing shared: each row in a call of its own by a sampler of its own.
  std::vector<SampledRow> alone(const std::vector<SampleRequest> &requests) const {
    std::vector<SampledRow> rows;
    for (const SampleRequest &request : requests)
      for (uint32_t i = 0; i < request.num_generations; ++i) {
        SampleRequest row = request;
        row.first_row += i, row.num_generations = 1;
        Pool pool(1);
        rows.push_back(Sampler(table, pool).generate(*weights, nullptr, {row}, settings(false))[0]);
      }
    return rows;
  }
  static void expect_same(const std::vector<SampledRow> &a, const std::vector<SampledRow> &b, const std::string &what) {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].ids, b[i].ids) << what << ", row " << i;
      ASSERT_EQ(a[i].logp, b[i].logp) << what << ", row " << i;
      ASSERT_EQ(a[i].end, b[i].end) << what << ", row " << i;
    }
  }
};

// A search by hand: rows are gone on with, some of them twice, through pages that end within a step and on its end.
TEST_P(Prefixes, ANodeOfASearchCostsOnlyItsOwnTokens) {
  for (const uint64_t small : {small_model_size, uint64_t{0}}) {
    Sampler sampler(table, one, {.small_model = small});
    std::vector<SampleRequest> level;
    for (const uint32_t length : {5u, 31u, 32u, 33u, 64u}) level.push_back({made_up(length), 3, static_cast<uint32_t>(level.size()) * 3});
    for (int depth = 0; depth < 4; ++depth) {
      const auto rows = sampler.generate(*weights, nullptr, level, settings(true));
      expect_same(alone(level), rows, "depth " + std::to_string(depth));
      std::vector<SampleRequest> next;
      for (size_t i = 0; i < rows.size(); ++i) {
        const auto prompt = static_cast<uint32_t>(level[i / 3].prompt.size());
        // The first row of a node runs the node's last token, which no row has run, and at the root all of the prompt.
        const uint32_t own = depth == 0 ? prompt : 1;
        EXPECT_EQ(prompt - rows[i].reused, i % 3 == 0 ? own : 0) << "depth " << depth << ", row " << i << ", prompt of " << prompt;
        if (i % 3 < 2) next.push_back({joined(level[i / 3].prompt, rows[i].ids), 3, static_cast<uint32_t>(next.size()) * 3});
      }
      level = std::move(next);
    }
  }
}

TEST_P(Prefixes, ValuesHaveTheBitsOfAPackedPassAndCostOnlyTheirOwnTokens) {
  const Ids root = made_up(40);
  std::vector<Ids> sequences{root};
  for (int i = 0; i < 12; ++i) sequences.push_back(joined(sequences[random() % sequences.size()], made_up(1 + random() % 7)));
  const std::vector<uint32_t> begin(sequences.size(), 1);
  const auto packed = score_tokens(table, one, *weights, sequences, begin, 1, false, true);
  for (const uint32_t threads : {1u, 2u})
    for (const uint64_t small : {small_model_size, uint64_t{0}})
      for (const bool keep : {false, true}) {
        Pool pool(threads);
        Sampler sampler(table, pool, {.small_model = small});
        const auto values = sampler.values(*weights, sequences, keep);
        for (size_t i = 0; i < sequences.size(); ++i) ASSERT_EQ(values[i].value, packed[i].value.back()) << "sequence " << i;
      }
  Sampler sampler(table, one);
  uint32_t computed = 0;
  std::vector<Ids> tree;
  for (const Ids &sequence : sequences) {  // one after another, as a search finds them
    computed += static_cast<uint32_t>(sequence.size()) - sampler.values(*weights, {sequence}, true)[0].reused;
    tree.push_back(sequence);
  }
  std::set<Ids> beginnings;  // each is a state that must be computed once
  for (const Ids &sequence : sequences)
    for (size_t n = 1; n <= sequence.size(); ++n) beginnings.insert({sequence.begin(), sequence.begin() + static_cast<ptrdiff_t>(n)});
  EXPECT_EQ(computed, beginnings.size());
  EXPECT_NE(refusal_of([&] { sampler.values(*tiny_weights(host, GetParam()), {{1}}, false); }).find("no value head"), std::string::npos);
}

// What requests begin with alike is found within one call, too, while it is still being computed, at any size of cache and prefill.
TEST_P(Prefixes, RequestsOfOneCallShareWholePages) {
  const Ids common = made_up(70);
  std::vector<SampleRequest> requests;
  for (uint32_t i = 0; i < 6; ++i) requests.push_back({joined(common, made_up(i * 3)), 2, i * 2});
  requests.push_back({made_up(64), 2, 12});
  requests.push_back({requests.back().prompt, 2, 14});  // the same, to the end of a page
  const auto expected = alone(requests);
  const hone_model_info &info = weights->architecture().info();
  const hone_kv_page_shape shape{32, info.kv_heads, info.key_size, info.value_size};
  const uint64_t page = table.kv_page_bytes(&shape) * info.attention_layers;
  for (const bool keep : {false, true})
    for (const auto &[rows, pages, prefill, small] : std::vector<std::tuple<uint32_t, uint64_t, uint32_t, uint64_t>>{
             {512, 1000, 2048, 0}, {512, 1000, 9, 0}, {3, 7, 2048, 0}, {3, 8, 33, small_model_size}, {512, 11, 2048, small_model_size}}) {
      Sampler sampler(table, one, {rows, pages * page, prefill, small});
      const std::string what = std::to_string(pages) + " pages, " + std::to_string(prefill) + " prefilled" + (keep ? ", kept" : "");
      for (int again = 0; again < 3; ++again) expect_same(expected, sampler.generate(*weights, nullptr, requests, settings(keep)), what);
    }
  Sampler sampler(table, one, {.small_model = 0});
  const auto rows = sampler.generate(*weights, nullptr, requests, settings(false));
  EXPECT_EQ(rows[0].reused, 0u);
  for (uint32_t i = 1; i < 6; ++i) EXPECT_EQ(rows[2 * i].reused, 64u) << i;
  EXPECT_EQ(rows[14].reused, 32u) << "the last page holds the token whose state is wanted";
  EXPECT_EQ(sampler.generate(*weights, nullptr, requests, settings(false))[0].reused, 0u) << "kept without being asked to";
}

TEST_P(Prefixes, NeitherThreadsNorWhatWasKeptChangeABit) {
  std::vector<SampleRequest> requests;
  for (uint32_t i = 0; i < 7; ++i) requests.push_back({made_up(20 + i * 8), 3, i * 3});
  const auto expected = alone(requests);
  for (const uint32_t threads : {1u, 2u, 3u}) {
    Pool pool(threads);
    Sampler sampler(table, pool);
    for (int call = 0; call < 4; ++call) {
      const auto rows = sampler.generate(*weights, nullptr, requests, settings(call != 2));
      expect_same(expected, rows, std::to_string(threads) + " threads, call " + std::to_string(call));
      if (call == 1) {
        EXPECT_EQ(rows[0].reused, 19u);
      }
    }
    // Half a page of what is kept, and other company.
    std::vector<SampleRequest> later{{joined(requests[6].prompt, made_up(3)), 2, 50},
                                     {Ids(requests[6].prompt.begin(), requests[6].prompt.begin() + 41), 2, 60}};
    expect_same(alone(later), sampler.generate(*weights, nullptr, later, settings(true)), "later");
  }
}

TEST_P(Prefixes, NothingIsKeptWhenTheWeightsChangeOrItIsForgotten) {
  const std::vector<SampleRequest> requests{{made_up(50), 2, 0}};
  Sampler sampler(table, one);
  const auto first = sampler.generate(*weights, nullptr, requests, settings(true));
  EXPECT_EQ(sampler.generate(*weights, nullptr, requests, settings(true))[0].reused, 49u);
  sampler.forget_prefixes();
  EXPECT_EQ(sampler.generate(*weights, nullptr, requests, settings(true))[0].reused, 0u);
  for (uint64_t i = 0; i < weights->trained_size(); ++i) weights->data()[i] *= 1.25f;
  weights->changed();
  const auto rows = sampler.generate(*weights, nullptr, requests, settings(true));
  EXPECT_EQ(rows[0].reused, 0u);
  expect_same(alone(requests), rows, "of the weights as they are");
  EXPECT_NE(rows[0].logp, first[0].logp) << "the weights have not changed, so this shows nothing";
  const auto others = tiny_weights(host, GetParam(), 2, true);
  EXPECT_EQ(sampler.generate(*others, nullptr, requests, settings(true))[0].reused, 0u) << "other weights of the same shape";
}

INSTANTIATE_TEST_SUITE_P(Models, Prefixes, testing::Values("llama", "deepseek_moe", "llama_bf16", "llama_blocks"),
                         [](const auto &info) { return std::string(info.param); });

// Against a list of all sequences that are kept, gone through one by one.
TEST(PrefixTree, FindsTheLongestBeginningAndGivesBackEveryPage) {
  Pool pool(1);
  const Host host(pool, 1);
  const auto weights = tiny_weights(host, "llama");
  std::mt19937 random(3);
  for (const uint32_t most_idle : {1000u, 1000u, 5u, 0u}) {
    KvCache cache(kernels("cpu"), weights->architecture().info(), 1000, 16);
    PrefixTree tree(cache);
    tree.keep(most_idle);
    std::vector<Ids> kept;
    for (int i = 0; i < 150; ++i) {
      Ids ids = kept.empty() || random() % 4 == 0 ? Ids() : kept[random() % kept.size()];
      if (!ids.empty()) ids.resize(random() % ids.size());
      for (uint32_t more = 1 + random() % 30; more > 0 && ids.size() < 90; --more) ids.push_back(static_cast<int32_t>(random() % 2));
      size_t longest = 0;
      for (const Ids &other : kept)
        longest = std::max<size_t>(longest, std::mismatch(ids.begin(), ids.end(), other.begin(), other.end()).first - ids.begin());
      PrefixTree::Match found = tree.match(ids);
      EXPECT_EQ(found.pages.size(), found.tokens / 16);
      EXPECT_EQ(found.part >= 0, found.tokens % 16 != 0);
      EXPECT_LE(found.tokens, longest) << "sequence " << i;
      if (most_idle == 1000) {
        EXPECT_EQ(found.tokens, longest) << "sequence " << i;
      }
      if (most_idle == 0) {
        EXPECT_EQ(found.tokens, 0u) << "nobody holds what is known";
      }
      std::vector<uint32_t> part;
      if (found.part >= 0) part.push_back(static_cast<uint32_t>(found.part));
      while (found.pages.size() * 16 < ids.size()) found.pages.push_back(tree.take());
      tree.insert(ids, found.pages);
      tree.release(part);
      tree.release(found.pages);
      kept.push_back(ids);
      EXPECT_EQ(tree.available(), 1000u);
      EXPECT_GE(cache.free_pages() + most_idle, 1000u);
    }
    tree.clear();
    EXPECT_EQ(cache.free_pages(), 1000u);
  }
}

}  // namespace
}  // namespace hone
