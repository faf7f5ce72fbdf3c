// stopped_write_test.cpp -- reading and writing a model can be stopped between any two tensors, and what was begun is gone.
#include <gtest/gtest.h>

#include "core/model/gguf_model.h"
#include "tests/core/model/small_gguf.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

struct Stop {};

// Calls work() with a count that stops it before tensor k, for every k; returns how many tensors there are.
template <class Work>
uint64_t stop_everywhere(const Work &work) {
  uint64_t all = 1;
  for (uint64_t k = 0; k < all; ++k)
    EXPECT_THROW(work([&](uint64_t done, uint64_t count) {
                   all = count;
                   if (done == k) throw Stop();
                 }),
                 Stop);
  return all;
}

TEST(StoppedWrite, LeavesNoFileAndAWholeOneCountsToItsEnd) {
  const ScratchFolder scratch;
  const auto weights = random_weights(architecture("llama", llama_config()), 3);
  const auto tokenizer = Tokenizer::from_words({"a", "b"}, {}, "");
  const auto gguf = [&](const EachTensor &each) { save_gguf(scratch.path / "model.gguf", *weights, small_vocabulary(), "F32", each); };
  const auto directory = [&](const EachTensor &each) { save_model(scratch.path, *weights, *tokenizer, "F32", each); };
  EXPECT_GT(stop_everywhere(gguf), 10u);
  EXPECT_GT(stop_everywhere(directory), 10u);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path));
  uint64_t last = 0, all = 1;
  gguf([&](uint64_t done, uint64_t count) { last = done, all = count; });
  EXPECT_EQ(last, all);
  Registry registry;
  registry.components_ = {component("llama")};
  EXPECT_EQ(stop_everywhere([&](const EachTensor &each) { load_model(scratch.path / "model.gguf", registry, host(), HONE_F32, each); }), all);
}

}  // namespace
}  // namespace hone::test
