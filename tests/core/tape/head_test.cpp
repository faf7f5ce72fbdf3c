// head_test.cpp -- log-probabilities, entropies and values do not depend on the chunk, the company or the threads.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/refusal.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

struct Outputs {
  std::vector<float> logp, entropy, value;
};
Outputs run(const Weights &weights, const hone_stream &stream, uint32_t n, const float *hidden, const int32_t *target) {
  Head head(kernels(), stream);
  Outputs out{std::vector<float>(n), std::vector<float>(n), std::vector<float>(n)};
  head.forward(weights, n, hidden, target, 0.7f, {out.logp.data(), out.entropy.data(), out.value.data(), nullptr});
  return out;
}

TEST(Head, GivesATokenTheSameBitsAloneAndInChunksOfMany) {
  nlohmann::json config = llama_config();
  config["vocab_size"] = 5003;  // so that chunks are shorter than the pass
  const auto weights = random_weights(architecture("llama", config), 1, true);
  const uint32_t n = 700, C = 24;
  const std::vector<float> hidden = random_floats(n * C, 2);
  const std::vector<int32_t> target = random_rows({n}, 5003, 3).ids;
  const Outputs all = run(*weights, Pool::serial_stream(), n, hidden.data(), target.data());
  const Outputs two = run(*weights, pool().stream(), n, hidden.data(), target.data());
  EXPECT_EQ(std::memcmp(all.logp.data(), two.logp.data(), n * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(all.entropy.data(), two.entropy.data(), n * sizeof(float)), 0);
  for (uint32_t i : {0u, 1u, 63u, 64u, 511u, 699u}) {
    const Outputs one = run(*weights, Pool::serial_stream(), 1, hidden.data() + i * C, target.data() + i);
    EXPECT_EQ(one.logp[0], all.logp[i]);
    EXPECT_EQ(one.entropy[0], all.entropy[i]);
    EXPECT_EQ(one.value[0], all.value[i]);
  }
}

TEST(Head, GivesTheSameGradientBitsOnOneThreadAndTwo) {
  nlohmann::json config = llama_config();
  config["vocab_size"] = 5003;
  const auto weights = random_weights(architecture("llama", config), 1, true);
  const uint32_t n = 700, C = 24;
  const std::vector<float> hidden = random_floats(n * C, 2), dlogp = random_floats(n, 4),
                           dentropy = random_floats(n, 5), dvalue = random_floats(n, 6);
  const std::vector<int32_t> target = random_rows({n}, 5003, 3).ids;
  std::vector<std::vector<float>> gradients, d_hiddens;
  for (const hone_stream &stream : {Pool::serial_stream(), pool().stream()}) {
    Head head(kernels(), stream);
    std::vector<float> gradient(weights->trained_size()), d_hidden(n * C), logp(n), entropy(n);
    HeadRecord record(kernels());
    head.forward(*weights, n, hidden.data(), target.data(), 0.7f, {logp.data(), entropy.data(), nullptr, nullptr}, &record);
    head.backward(*weights, n, hidden.data(), target.data(), 0.7f, record, dlogp.data(), dentropy.data(), dvalue.data(),
                  nullptr, d_hidden.data(), gradient.data());
    gradients.push_back(gradient);
    d_hiddens.push_back(d_hidden);
  }
  EXPECT_EQ(std::memcmp(gradients[0].data(), gradients[1].data(), gradients[0].size() * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(d_hiddens[0].data(), d_hiddens[1].data(), d_hiddens[0].size() * sizeof(float)), 0);
}

TEST(Head, RefusesWhatItCannotAnswer) {
  const auto weights = random_weights(architecture("llama", llama_config()), 1);
  Head head(kernels(), Pool::serial_stream());
  const std::vector<float> hidden(24);
  float out[2];
  const auto says = [&](int32_t target, float temperature, HeadOutputs outputs) {
    return refusal_of([&] { head.forward(*weights, 1, hidden.data(), &target, temperature, outputs); });
  };
  EXPECT_EQ(says(1, 1, {out, nullptr, nullptr, nullptr}), "");
  EXPECT_NE(says(37, 1, {out, nullptr, nullptr, nullptr}).find("token id 37 is outside the vocabulary of 37"),
            std::string::npos);
  EXPECT_NE(says(1, 0, {out, nullptr, nullptr, nullptr}).find("temperature above 0"), std::string::npos);
  EXPECT_NE(says(1, 1, {out, nullptr, out + 1, nullptr}).find("no value head"), std::string::npos);
  EXPECT_NE(says(1, 1, {out, nullptr, nullptr, out + 1}).find("reference"), std::string::npos);
}

}  // namespace
}  // namespace hone::test
