// vocabulary_as_wide_as_a_layer_test.cpp -- a layer with as many outputs as there are words was taken for the embedding and could
// not be multiplied with: the shape was asked instead of the declaration.
#include <gtest/gtest.h>

#include "core/tape/tape.h"
#include "tests/support/built_component.h"

namespace hone {

TEST(Weights, AVocabularyMayBeAsWideAsALayer) {
  Pool pool(1);
  const Host host(pool, 1);
  const ComponentInfo &info = built_component("model", "llama");
  const nlohmann::json config = {{"vocab_size", 32},        {"hidden_size", 32},         {"intermediate_size", 32}, {"num_hidden_layers", 1},
                                 {"num_attention_heads", 2}, {"num_key_value_heads", 2}, {"max_position_embeddings", 16}};
  const auto weights = Weights::initialised(
      std::make_shared<const Architecture>(info, host, check_settings(info.settings, config, "llama")), 1);
  weights->prepare(pool);
  Tape tape(kernels(), Pool::serial_stream());
  const std::vector<int32_t> ids = {1, 2, 3};
  const std::vector<uint32_t> rows = {0, 3};
  EXPECT_NE(tape.forward(*weights, {ids, rows}, false), nullptr);
}

}  // namespace hone
