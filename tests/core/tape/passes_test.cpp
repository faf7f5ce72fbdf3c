// passes_test.cpp -- one row gives the same bits whatever the pass, its company, its cuts, checkpointing or threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

#include "tests/support/refusal.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

struct Named {
  const char *plugin;
  nlohmann::json config;
  uint32_t dtype = HONE_F32;
};
std::unique_ptr<Weights> weights_of(const Named &model) { return random_weights(architecture(model.plugin, model.config), 1, false, model.dtype); }
std::vector<Named> models() {
  nlohmann::json latent = deepseek_config();
  latent["q_lora_rank"] = 9;
  nlohmann::json uneven = deepseek_config();  // a layer with experts before a smaller one without
  uneven["moe_layer_freq"] = 2;
  nlohmann::json wide = llama_config();  // sizes beyond one vector and one block
  wide.update({{"hidden_size", 80}, {"head_dim", 20}, {"intermediate_size", 150}, {"vocab_size", 301}});
  return {{"llama", llama_config()},
          {"llama", wide},
          {"deepseek_moe", deepseek_config()},
          {"deepseek_moe", latent},
          {"deepseek_moe", uneven},
          {"llama", wide, HONE_BF16},
          {"deepseek_moe", latent, HONE_BF16},
          {"llama", wide, HONE_BF16_BLOCKS},
          {"deepseek_moe", latent, HONE_BF16_BLOCKS}};
}

std::vector<float> forward(const Weights &weights, const Rows &rows,
                           const hone_stream &stream = Pool::serial_stream()) {
  Tape tape(kernels(), stream);
  const float *hidden = tape.forward(weights, rows.packed(), false);
  return {hidden, hidden + uint64_t{rows.tokens()} * weights.architecture().info().hidden_size};
}

struct Gradients {
  std::vector<float> hidden, gradient;
  std::vector<uint64_t> counts;
  double auxiliary;
};
Gradients differentiate(const Weights &weights, const Rows &rows, const hone_stream &stream, bool checkpointing,
                        Tape *reused = nullptr) {
  Tape own(kernels(), stream);
  Tape &tape = reused ? *reused : own;
  tape.reset_expert_counts();
  const uint64_t n = uint64_t{rows.tokens()} * weights.architecture().info().hidden_size;
  const float *hidden = tape.forward(weights, rows.packed(), true, checkpointing);
  Gradients out{{hidden, hidden + n}, std::vector<float>(weights.trained_size()), {}, tape.auxiliary_loss()};
  const std::vector<float> d_hidden = random_floats(n, 21);
  tape.backward(d_hidden.data(), out.gradient.data(), 0.5f);
  out.counts.assign(tape.expert_counts().begin(), tape.expert_counts().end());
  return out;
}

void expect_same_bits(const std::vector<float> &a, const std::vector<float> &b, const std::string &what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(float)), 0) << what << ": " << a[i] << " and " << b[i] << " at " << i;
}

// Rows that share what comes before them, and the same rows each with a copy of it.
TEST(Passes, GiveARowTheSameBitsWhetherItSharesItsPrefixOrHasACopy) {
  nlohmann::json dense = deepseek_config();
  dense["first_k_dense_replace"] = dense["num_hidden_layers"];
  for (const Named &model : {models()[0], models()[1], Named{"deepseek_moe", dense}}) {
    const auto weights = weights_of(model);
    const size_t C = weights->architecture().info().hidden_size;
    const Rows shared = random_rows({19, 30, 1, 16, 5, 7, 40}, 37, 4);
    const std::vector<uint32_t> prefix = {0, 0, 0, 0, 4, 5, 5};
    Tape tape(kernels(), Pool::serial_stream());
    const float *hidden = tape.forward(*weights, {shared.ids, shared.row_start, prefix}, false);
    for (uint32_t r = 0; r < shared.rows(); ++r) {
      Rows copied;
      std::vector<int32_t> whole = prefix[r] == r ? std::vector<int32_t>() : shared.row(prefix[r]);
      const size_t before = whole.size();
      for (const int32_t id : shared.row(r)) whole.push_back(id);
      copied.add(whole);
      const std::vector<float> apart = forward(*weights, copied);
      expect_same_bits({hidden + shared.row_start[r] * C, hidden + shared.row_start[r + 1] * C}, {apart.begin() + before * C, apart.end()},
                       std::string(model.plugin) + ", row " + std::to_string(r));
    }
  }
}

TEST(Passes, GiveARowTheSameBitsWhateverItsCompany) {
  for (const Named &model : models()) {
    const auto weights = weights_of(model);
    const size_t C = weights->architecture().info().hidden_size;
    const Rows all = random_rows({17, 3, 64, 1, 40, 33}, 37, 2);
    const std::vector<float> together = forward(*weights, all);
    for (uint32_t r = 0; r < all.rows(); ++r) {
      Rows alone;
      alone.add(all.row(r));
      const std::vector<float> apart = forward(*weights, alone);
      expect_same_bits(apart, {together.begin() + all.row_start[r] * C, together.begin() + all.row_start[r + 1] * C},
                       model.plugin);
    }
  }
}

// Rows in random chunks of a random subset, pages shuffled, as continuous batching does it.
TEST(Passes, GiveTheSameBitsPackedAndCachedOverRandomCuts) {
  std::mt19937 random(5);
  for (const Named &model : models()) {
    const auto weights = weights_of(model);
    const size_t C = weights->architecture().info().hidden_size;
    const Rows all = random_rows({70, 1, 33, 100, 16, 17}, 37, 9);
    const std::vector<float> packed = forward(*weights, all);
    for (uint32_t page_tokens : {16u, 32u}) {
      KvCache cache(kernels(), weights->architecture().info(), 64, page_tokens);
      Tape tape(kernels(), Pool::serial_stream());
      std::vector<uint32_t> done(all.rows());
      std::vector<std::vector<uint32_t>> pages(all.rows());
      const uint32_t max_pages = 8;
      std::vector<uint32_t> spare;
      for (int i = 0; i < 20; ++i) spare.push_back(cache.take());
      std::shuffle(spare.begin(), spare.end(), random);
      for (uint32_t page : spare) cache.release(page);
      for (bool more = true; more;) {
        more = false;
        Rows pass;
        std::vector<uint32_t> first, table, which;
        for (uint32_t r = 0; r < all.rows(); ++r) {
          const std::vector<int32_t> row = all.row(r);
          const uint32_t left = static_cast<uint32_t>(row.size()) - done[r];
          more = more || left;
          if (!left || random() % 3 == 0) continue;
          const uint32_t size = random() % 2 ? 1 : 1 + random() % left;
          pass.add({row.begin() + done[r], row.begin() + done[r] + size});
          while (pages[r].size() * page_tokens < done[r] + size) pages[r].push_back(cache.take());
          first.push_back(done[r]);
          table.insert(table.end(), pages[r].begin(), pages[r].end());
          table.resize(first.size() * max_pages, 0);
          which.push_back(r);
        }
        if (which.empty()) continue;
        const float *hidden = tape.forward_cached(*weights, pass.packed(), first, table, max_pages, cache);
        for (size_t i = 0; i < which.size(); ++i) {
          const uint32_t r = which[i], size = pass.row_start[i + 1] - pass.row_start[i];
          const float *wanted = packed.data() + (all.row_start[r] + done[r]) * C;
          expect_same_bits(
              {hidden + pass.row_start[i] * C, hidden + pass.row_start[i + 1] * C}, {wanted, wanted + size * C},
              std::string(model.plugin) + " row " + std::to_string(r) + " from " + std::to_string(done[r]));
          done[r] += size;
        }
      }
    }
  }
}

TEST(Passes, GiveTheSameBitsOnOneThreadAndTwo) {
  for (const Named &model : models()) {
    const auto weights = weights_of(model);
    const Rows rows = random_rows(std::vector<uint32_t>(12, 100), 37, 4);
    const Gradients one = differentiate(*weights, rows, Pool::serial_stream(), false),
                    two = differentiate(*weights, rows, pool().stream(), false);
    expect_same_bits(one.hidden, two.hidden, "hidden");
    expect_same_bits(one.gradient, two.gradient, "gradient");
    EXPECT_EQ(one.counts, two.counts);
  }
}

TEST(Passes, GiveTheSameBitsWithCheckpointingAndWithLessMemory) {
  for (const Named &model : models()) {
    Named deep = model;
    deep.config["num_hidden_layers"] = 6;
    const auto weights = weights_of(deep);
    const Rows rows = random_rows({60, 40, 1, 90}, 37, 4);
    Tape plain_tape(kernels(), Pool::serial_stream()), checkpointed_tape(kernels(), Pool::serial_stream());
    const Gradients plain = differentiate(*weights, rows, Pool::serial_stream(), false, &plain_tape);
    const Gradients checkpointed = differentiate(*weights, rows, Pool::serial_stream(), true, &checkpointed_tape);
    expect_same_bits(plain.hidden, checkpointed.hidden, "hidden");
    expect_same_bits(plain.gradient, checkpointed.gradient, "gradient");
    EXPECT_EQ(plain.counts, checkpointed.counts);
    EXPECT_EQ(plain.auxiliary, checkpointed.auxiliary);
    // What swiglu reads is not kept of bf16 in blocks, so that there is less to save.
    EXPECT_LT(checkpointed_tape.arena_bytes() * (model.dtype == HONE_BF16_BLOCKS ? 1 : 2), plain_tape.arena_bytes());
  }
}

TEST(Passes, AddGradientsOfUnitsInOrderToWhatIsThere) {
  const auto weights = random_weights(architecture("deepseek_moe", deepseek_config()), 1);
  const Rows rows = random_rows({20, 30}, 37, 4);
  Tape tape(kernels(), Pool::serial_stream());
  const Gradients alone = differentiate(*weights, rows, Pool::serial_stream(), false, &tape);
  std::vector<float> twice(weights->trained_size());
  const std::vector<float> d_hidden = random_floats(alone.hidden.size(), 21);
  for (int i = 0; i < 2; ++i) {
    tape.forward(*weights, rows.packed(), true);
    tape.backward(d_hidden.data(), twice.data(), 0.5f);
  }
  for (size_t i = 0; i < twice.size(); ++i)
    ASSERT_NEAR(twice[i], 2 * alone.gradient[i], 1e-3 + 1e-4 * std::abs(alone.gradient[i]));
}

// Depths of multi-token prediction: a row's states do not depend on its company or checkpointing, and the model's own
// not on them.
TEST(Passes, GiveTheSameBitsOfTokensAheadWhateverTheCompany) {
  nlohmann::json config = deepseek_config();
  config["num_nextn_predict_layers"] = 2;
  const auto weights = random_weights(architecture("deepseek_moe", config), 1);
  const size_t C = weights->architecture().info().hidden_size;
  const Rows all = random_rows({17, 3, 64, 1, 33}, 37, 2);
  Tape tape(kernels(), pool().stream()), other(kernels(), Pool::serial_stream());
  const float *hidden = tape.forward(*weights, all.packed(), true, true, 2);
  const std::vector<float> plain = forward(*weights, all);
  expect_same_bits({hidden, hidden + plain.size()}, plain, "the model's own states");
  for (uint32_t r = 0; r < all.rows(); ++r) {
    Rows alone;
    alone.add(all.row(r));
    other.forward(*weights, alone.packed(), true, false, 2);
    for (uint32_t depth : {1u, 2u}) {
      const float *a = tape.hidden_ahead(depth) + all.row_start[r] * C, *b = other.hidden_ahead(depth);
      expect_same_bits({a, a + alone.tokens() * C}, {b, b + alone.tokens() * C}, "depth " + std::to_string(depth));
    }
  }
}

// What is ahead of a token changes its states of a depth, and nothing later than that does.
TEST(Passes, LookAsFarAheadAsTheDepthAndNoFurther) {
  nlohmann::json config = deepseek_config();
  config["num_nextn_predict_layers"] = 2;
  const auto weights = random_weights(architecture("deepseek_moe", config), 1);
  const size_t C = weights->architecture().info().hidden_size;
  Rows rows = random_rows({12}, 37, 2), changed = rows;
  changed.ids[8] = (changed.ids[8] + 1) % 37;
  Tape a(kernels(), Pool::serial_stream()), b(kernels(), Pool::serial_stream());
  a.forward(*weights, rows.packed(), false, false, 2);
  b.forward(*weights, changed.packed(), false, false, 2);
  for (uint32_t depth : {1u, 2u})
    for (uint32_t t = 0; t < 12; ++t) {
      const bool same =
          std::memcmp(a.hidden_ahead(depth) + t * C, b.hidden_ahead(depth) + t * C, C * sizeof(float)) == 0;
      EXPECT_EQ(same, t + depth < 8) << "state " << t << " of depth " << depth;
    }
}

TEST(Passes, RefuseDepthsThatTheModelHasNot) {
  nlohmann::json config = deepseek_config();
  config["num_nextn_predict_layers"] = 1;
  const auto weights = random_weights(architecture("deepseek_moe", config), 1);
  const Rows rows = random_rows({9}, 37, 2);
  Tape tape(kernels(), Pool::serial_stream());
  EXPECT_NE(refusal_of([&] {
              tape.forward(*weights, rows.packed(), true, false, 2);
            }).find("predicts 1 further tokens, not 2"),
            std::string::npos);
  tape.forward(*weights, rows.packed(), true, false, 1);
  EXPECT_NE(refusal_of([&] { tape.hidden_ahead(2); }).find("did not run depth 2"), std::string::npos);
  const std::vector<float> d(9 * 24);
  const float *both[] = {d.data(), d.data()};
  std::vector<float> gradient(weights->trained_size());
  EXPECT_NE(
      refusal_of([&] { tape.backward(d.data(), gradient.data(), 0, both); }).find("depths that the pass did not run"),
      std::string::npos);
}

TEST(Passes, ReuseTheArenaFromPassToPass) {
  const auto weights = random_weights(architecture("deepseek_moe", deepseek_config()), 1);
  Tape tape(kernels(), Pool::serial_stream());
  const Rows large = random_rows({100, 100}, 37, 4), small = random_rows({5}, 37, 4);
  const Gradients first = differentiate(*weights, large, Pool::serial_stream(), false, &tape);
  differentiate(*weights, large, Pool::serial_stream(), false, &tape);
  const size_t settled = tape.arena_bytes();
  differentiate(*weights, small, Pool::serial_stream(), true, &tape);
  const Gradients again = differentiate(*weights, large, Pool::serial_stream(), false, &tape);
  EXPECT_EQ(tape.arena_bytes(), settled);
  expect_same_bits(first.gradient, again.gradient, "gradient after other passes");
}

TEST(Passes, RunOnManyThreadsAtOnceOverSharedWeights) {
  const auto weights = random_weights(architecture("deepseek_moe", deepseek_config()), 1);
  const Rows rows = random_rows({30, 20, 10}, 37, 4);
  const Gradients wanted = differentiate(*weights, rows, Pool::serial_stream(), false);
  std::vector<std::thread> threads;
  std::vector<Gradients> found(4);
  for (size_t i = 0; i < found.size(); ++i)
    threads.emplace_back([&, i] { found[i] = differentiate(*weights, rows, Pool::serial_stream(), i % 2); });
  for (std::thread &thread : threads) thread.join();
  for (const Gradients &one : found) expect_same_bits(one.gradient, wanted.gradient, "gradient");
}

TEST(Passes, CountEveryChoiceOfAnExpertOnce) {
  const auto weights = random_weights(architecture("deepseek_moe", deepseek_config()), 1);
  const Rows rows = random_rows({30, 20, 10}, 37, 4);
  for (bool checkpointing : {false, true}) {
    const std::vector<uint64_t> counts = differentiate(*weights, rows, Pool::serial_stream(), checkpointing).counts;
    ASSERT_EQ(counts.size(), 2u * 8);
    for (int layer = 0; layer < 2; ++layer)
      EXPECT_EQ(std::accumulate(counts.begin() + layer * 8, counts.begin() + layer * 8 + 8, uint64_t{0}), 60u * 3);
  }
}

TEST(Passes, RefuseTokensThatDoNotFit) {
  auto weights = random_weights(architecture("llama", llama_config()), 1);
  Tape tape(kernels(), Pool::serial_stream());
  const auto run = [&](const Rows &rows) { return refusal_of([&] { tape.forward(*weights, rows.packed(), false); }); };
  Rows rows;
  EXPECT_NE(run(rows).find("at least one row"), std::string::npos);
  rows.add({1, 37});
  EXPECT_EQ(run(rows),
            "model llama: embedding: token id 37 is outside the table \"model.embed_tokens.weight\" of 37 rows; does "
            "the tokenizer belong to this model?");
  rows = {};
  rows.add({1, -1});
  EXPECT_NE(run(rows).find("token id -1"), std::string::npos);
  EXPECT_NE(run(random_rows({129}, 37, 1)).find("row 0 has 129 tokens, but the model's last position is 128"),
            std::string::npos);
  rows = random_rows({4, 4}, 37, 1);
  rows.row_start = {0, 9, 8};
  EXPECT_NE(run(rows).find("row_start"), std::string::npos);
  EXPECT_EQ(run(random_rows({128}, 37, 1)), "");
  weights->changed();
  EXPECT_NE(run(random_rows({4}, 37, 1)).find("prepared"), std::string::npos);
}

TEST(Passes, RefuseCachesThatDoNotFit) {
  const auto weights = random_weights(architecture("llama", llama_config()), 1);
  const auto other = random_weights(architecture("deepseek_moe", deepseek_config()), 1);
  KvCache cache(kernels(), weights->architecture().info(), 4, 16);
  Tape tape(kernels(), Pool::serial_stream());
  const Rows rows = random_rows({20}, 37, 1);
  const auto run = [&](const Weights &w, std::vector<uint32_t> first, std::vector<uint32_t> table, uint32_t max_pages) {
    return refusal_of([&] { tape.forward_cached(w, rows.packed(), first, table, max_pages, cache); });
  };
  EXPECT_EQ(run(*weights, {0}, {0, 1}, 2), "");
  EXPECT_NE(run(*weights, {0}, {0}, 1).find("needs 2 cache pages"), std::string::npos);
  EXPECT_NE(run(*weights, {0}, {0, 4}, 2).find("cache page 4 of 4"), std::string::npos);
  EXPECT_NE(run(*weights, {}, {0, 1}, 2).find("first position"), std::string::npos);
  EXPECT_NE(run(*weights, {110}, {0, 1, 0, 1, 0, 1, 0, 1, 0}, 9).find("last position"), std::string::npos);
  EXPECT_NE(run(*other, {0}, {0, 1}, 2).find("another model"), std::string::npos);
}

TEST(Passes, ServeOneBackwardEach) {
  const auto weights = random_weights(architecture("llama", llama_config()), 1);
  Tape tape(kernels(), Pool::serial_stream());
  const Rows rows = random_rows({20}, 37, 1);
  const std::vector<float> d_hidden(20 * 24);
  std::vector<float> gradient(weights->trained_size());
  EXPECT_NE(refusal_of([&] { tape.backward(d_hidden.data(), gradient.data()); }).find("recorded pass"),
            std::string::npos);
  tape.forward(*weights, rows.packed(), false);
  EXPECT_NE(refusal_of([&] { tape.backward(d_hidden.data(), gradient.data()); }).find("recorded pass"),
            std::string::npos);
  tape.forward(*weights, rows.packed(), true);
  tape.backward(d_hidden.data(), gradient.data());
  EXPECT_NE(refusal_of([&] { tape.backward(d_hidden.data(), gradient.data()); }).find("recorded pass"),
            std::string::npos);
}

TEST(KvCache, CountsReferencesAndRefusesMisuse) {
  const auto weights = random_weights(architecture("llama", llama_config()), 1);
  KvCache cache(kernels(), weights->architecture().info(), 2, 16);
  const uint32_t a = cache.take(), b = cache.take();
  EXPECT_NE(refusal_of([&] { cache.take(); }).find("all in use"), std::string::npos);
  cache.share(a);
  cache.release(a);
  EXPECT_EQ(cache.free_pages(), 0u);
  cache.release(a);
  EXPECT_EQ(cache.free_pages(), 1u);
  EXPECT_NE(refusal_of([&] { cache.release(a); }).find("released twice"), std::string::npos);
  EXPECT_NE(refusal_of([&] { cache.share(a); }).find("not in use"), std::string::npos);
  EXPECT_EQ(cache.take(), a);
  EXPECT_NE(a, b);
  EXPECT_NE(refusal_of([&] { KvCache(kernels(), weights->architecture().info(), 2, 20); }).find("multiple of 16"),
            std::string::npos);
}

}  // namespace
}  // namespace hone::test
