// settled_test.cpp -- weights that are only run: the same bits, without the memory of the numbers that were packed.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "tests/support/refusal.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

// Share of the whole pages within [begin, begin + bytes) that are in memory.
double resident(const void *begin, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), from = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const size_t pages = (reinterpret_cast<uintptr_t>(begin) + bytes - from) / page;
  std::vector<unsigned char> there(pages);
  if (mincore(reinterpret_cast<void *>(from), pages * page, there.data()) != 0) throw std::runtime_error("mincore");
  size_t n = 0;
  for (const unsigned char one : there) n += one & 1;
  return static_cast<double>(n) / static_cast<double>(pages);
}

std::vector<float> hidden_of(const Weights &weights, const Rows &rows) {
  Tape tape(kernels(), Pool::serial_stream());
  const float *hidden = tape.forward(weights, rows.packed(), false);
  return {hidden, hidden + uint64_t{rows.tokens()} * weights.architecture().info().hidden_size};
}

std::vector<float> logits_of(const Weights &weights, const Rows &rows) {
  Head head(kernels(), Pool::serial_stream());
  const std::vector<float> hidden = hidden_of(weights, rows);
  const float *logits = head.logits(weights, rows.tokens(), hidden.data());
  return {logits, logits + uint64_t{rows.tokens()} * weights.architecture().info().vocab_size};
}

nlohmann::json wide(nlohmann::json config) {
  config.update({{"hidden_size", 96}, {"intermediate_size", 500}, {"vocab_size", 300}});
  return config;
}

TEST(SettledWeights, GiveTheSameBitsWithoutTheMemoryOfTheirMatrices) {
  for (const bool tied : {false, true})
    for (const char *plugin : {"llama", "deepseek_moe"}) {
      nlohmann::json config = wide(std::string(plugin) == "llama" ? llama_config() : deepseek_config());
      config["tie_word_embeddings"] = tied;
      const auto weights = random_weights(architecture(plugin, config), 3), settled = weights->clone();
      const Rows rows = random_rows({9, 20}, 300, 5);
      std::vector<std::pair<const float *, uint64_t>> matrices, others;
      for (uint32_t i = 0; i < settled->parameters().size(); ++i) {
        const ParameterInfo &parameter = settled->parameters()[i];
        const bool matrix = parameter.dims.size() > 1 && !(parameter.flags & HONE_PARAMETER_LOOKUP);
        if (parameter.size * sizeof(float) > 16384) (matrix ? matrices : others).emplace_back(std::as_const(*settled).parameter(i), parameter.size);
      }
      ASSERT_FALSE(matrices.empty());
      ASSERT_FALSE(others.empty()) << "the table of embeddings";
      settled->settle(pool());
      EXPECT_TRUE(settled->settled() && settled->prepared());
      for (const auto &[data, size] : matrices) EXPECT_EQ(resident(data, size * sizeof(float)), 0);
      for (const auto &[data, size] : others) EXPECT_EQ(resident(data, size * sizeof(float)), 1);
      weights->prepare(pool());
      EXPECT_EQ(logits_of(*settled, rows), logits_of(*weights, rows));
      settled->settle(pool());  // a second time is nothing
      EXPECT_EQ(logits_of(*settled, rows), logits_of(*weights, rows));
    }
}

TEST(SettledWeights, RefuseWhatNeedsTheirNumbers) {
  const auto weights = random_weights(architecture("llama", wide(llama_config())), 3);
  std::shared_ptr<const Weights> settled;
  {
    auto copy = weights->clone();
    copy->settle(pool());
    settled = std::move(copy);
  }
  const auto says = [&](const std::function<void()> &run) { return refusal_of(run); };
  uint32_t matrix = 0;
  while (settled->parameters()[matrix].name.find("q_proj") == std::string::npos) ++matrix;
  EXPECT_NE(says([&] { settled->parameter(matrix); }).find("its numbers are not kept"), std::string::npos);
  EXPECT_NE(says([&] { settled->data(); }).find("settled to be run only"), std::string::npos);
  EXPECT_NE(says([&] { settled->clone(); }).find("settled to be run only"), std::string::npos);
  EXPECT_NE(says([&] { settled->checksum(); }).find("settled to be run only"), std::string::npos);
  EXPECT_NE(says([&] { Weights::adapted(settled, {2, 4, false, {"q_proj"}}, {matrix}, 1); }).find("no adapter can be trained over it"), std::string::npos);
  EXPECT_NE(says([&] { Tape(kernels(), Pool::serial_stream()).forward(*settled, random_rows({4}, 300, 1).packed(), true); }).find("cannot be trained"),
            std::string::npos);
}

TEST(SettledWeights, AnAdapterSettlesABaseThatNobodyElseHas) {
  const auto plain = random_weights(architecture("llama", wide(llama_config())), 3);
  uint32_t matrix = 0;
  while (plain->parameters()[matrix].name.find("q_proj") == std::string::npos) ++matrix;
  const Rows rows = random_rows({12}, 300, 5);
  std::shared_ptr<const Weights> shared = plain->clone();
  const auto adapted = Weights::adapted(shared, {2, 4, false, {"q_proj"}}, {matrix}, 1);
  const auto alone = Weights::adapted(plain->clone(), {2, 4, false, {"q_proj"}}, {matrix}, 1);
  for (Weights *one : {adapted.get(), alone.get()}) {
    const uint32_t b = one->low_rank(matrix)->b;
    std::fill_n(one->parameter(b), one->parameters()[b].size, 0.25f);
    one->changed();
    one->settle(pool());
  }
  EXPECT_FALSE(shared->settled());
  EXPECT_TRUE(alone->settled());
  EXPECT_EQ(logits_of(*alone, rows), logits_of(*adapted, rows));
  plain->prepare(pool());
  EXPECT_NE(logits_of(*alone, rows), logits_of(*plain, rows));
}

}  // namespace
}  // namespace hone::test
