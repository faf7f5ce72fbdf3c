// allocations_test.cpp -- a warm decode loop and a warm pass of training ask for no memory: neither operator new nor the kernels'
// allocate is called.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/rollout/packed_pass.h"
#include "core/rollout/sampler.h"
#include "tests/support/tiny_model.h"

namespace {
std::atomic<uint64_t> asked{0};
}
void *operator new(size_t bytes) {
  ++asked;
  if (void *data = std::malloc(bytes ? bytes : 1)) return data;
  throw std::bad_alloc();
}
void *operator new(size_t bytes, std::align_val_t alignment) {
  ++asked;
  const size_t a = static_cast<size_t>(alignment);
  if (void *data = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return data;
  throw std::bad_alloc();
}
void operator delete(void *data) noexcept { std::free(data); }
void operator delete(void *data, size_t) noexcept { std::free(data); }
void operator delete(void *data, std::align_val_t) noexcept { std::free(data); }
void operator delete(void *data, size_t, std::align_val_t) noexcept { std::free(data); }

namespace hone {
namespace {

void *(*real_allocate)(size_t);
hone_kernels counting_kernels() {
  hone_kernels table = kernels("cpu");
  real_allocate = table.allocate;
  table.allocate = [](size_t bytes) {
    ++asked;
    return real_allocate(bytes);
  };
  return table;
}

TEST(Allocations, TheDecodeLoopMakesNone) {
  Pool one(1), two(2);
  const Host host(one, 1);
  const hone_kernels table = counting_kernels();
  for (const char *family : {"llama", "llama_bf16", "llama_blocks", "deepseek_moe"})
    for (const uint64_t small : {small_model_size, uint64_t{0}}) {
      const auto weights = tiny_weights(host, family);
      // Threads that decode apart begin when they please, and allocate when they begin: one has a beginning only.
      Sampler sampler(table, small ? one : two, {.max_rows = 64, .small_model = small});
      std::vector<SampleRequest> requests;
      for (uint32_t i = 0; i < 4; ++i) requests.push_back({{1, 2, static_cast<int32_t>(i)}, 8, i * 8});
      std::atomic<uint64_t> tokens{0}, before{0}, after{0};
      SampleSettings settings;
      settings.max_tokens = 100, settings.top_p = 0.9f, settings.top_k = 20;
      settings.on_token = [&](size_t, int32_t) {
        // From the tenth token of the rows to the ninetieth; each has a hundred.
        const uint64_t n = ++tokens;
        if (n == 32 * 10) before = asked.load();
        if (n == 32 * 90) after = asked.load();
        return true;
      };
      sampler.generate(*weights, nullptr, requests, settings);
      EXPECT_GT(asked.load(), 0u);
      tokens = 0;
      sampler.generate(*weights, nullptr, requests, settings);
      EXPECT_EQ(after - before, 0u) << family << ", small models of " << small;
      EXPECT_EQ(tokens, 3200u);
    }
}

TEST(Allocations, AWarmPassOfTrainingMakesNone) {
  Pool pool(2);
  const Host host(pool, 1);
  const hone_kernels table = counting_kernels();
  for (const char *family : {"llama", "llama_bf16", "llama_blocks", "deepseek_moe"})
    for (const bool checkpointing : {false, true}) {
      const auto weights = tiny_weights(host, family);
      weights->prepare(pool);
      PackedPass pass(table, pool.stream());
      PackedRows rows;
      for (int32_t r = 0; r < 6; ++r) {
        std::vector<int32_t> ids(30, r + 1);
        std::vector<uint32_t> places;
        for (uint32_t t = 1; t < ids.size(); ++t) places.push_back(t);
        rows.add(ids, places, false);
      }
      std::vector<float> logp(rows.predicted()), dlogp(rows.predicted(), 0.1f), gradient(weights->trained_size());
      const auto step = [&] {
        pass.forward(*weights, rows, 1, {logp.data(), nullptr, nullptr, nullptr}, true, checkpointing);
        pass.backward(*weights, rows, 1, {dlogp.data(), nullptr, nullptr, nullptr}, gradient.data(), 0.1f);
      };
      for (int i = 0; i < 2; ++i) step();  // the second lays what the first took into one piece
      const uint64_t before = asked;
      for (int i = 0; i < 3; ++i) step();
      EXPECT_EQ(asked - before, 0u) << family << (checkpointing ? ", checkpointing" : "");
    }
}

}  // namespace
}  // namespace hone
