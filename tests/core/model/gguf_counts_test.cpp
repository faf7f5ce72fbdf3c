// gguf_counts_test.cpp -- a small GGUF file whose metadata claims huge counts is refused by its tensors' names and
// shapes, before time or memory is spent on what it claims.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "core/model/gguf_model.h"
#include "tests/core/model/small_gguf.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {

long most_memory() {  // in KiB, of this process so far
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Of gigabytes that the counts would make. AddressSanitizer keeps freed memory and adds its own.
#if defined(__SANITIZE_ADDRESS__)
constexpr long kMostGrowth = 1000 << 10;
#elif defined(__has_feature)
constexpr long kMostGrowth = (__has_feature(address_sanitizer) ? 1000 : 200) << 10;
#else
constexpr long kMostGrowth = 200 << 10;
#endif

TEST(GgufCounts, ThatTheTensorsDoNotHaveAreRefusedAtOnce) {
  const ScratchFolder scratch;
  const std::filesystem::path path = scratch.path / "model.gguf";
  nlohmann::json config = deepseek_config();
  config.update({{"vocab_size", 37000}, {"num_hidden_layers", 2}});  // 7 MB
  save_gguf(path, *random_weights(architecture("deepseek_moe", config), 3), small_vocabulary(), "F32");
  const std::string good = read_file(path);
  Registry registry;
  registry.components_ = {component("deepseek_moe")};
  const auto refused = [&](uint32_t experts, uint32_t blocks) {
    std::string bytes = with_metadata(good, "deepseek2.expert_count", experts);
    scratch.write("model.gguf", with_metadata(bytes, "deepseek2.block_count", blocks));
    return refusal_of([&] { load_model(path, registry, host()); });
  };
  EXPECT_EQ(refused(8, 2), "");
  const long memory = most_memory();
  EXPECT_SAYS(refused(65536, 400), path.c_str(), "model.layers.22.mlp.experts.{}", "65536 experts", "4194304 tensors");
  EXPECT_SAYS(refused(65536, 3), path.c_str(), "model.layers.1.mlp.gate.weight", "[8, 24]", "[65536, 24]");
  EXPECT_SAYS(refused(8, 4000), path.c_str(), "lacks the tensors \"model.layers.2.", "and more that its metadata");
  EXPECT_SAYS(refused(65536, 22), path.c_str(), "model.layers.1.mlp.gate.weight");
  EXPECT_LT(most_memory() - memory, kMostGrowth);
}

}  // namespace
}  // namespace hone::test
