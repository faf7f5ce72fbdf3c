// gguf_models_test.cpp -- tiny models that transformers saved, beside the GGUF files that tests/parity/gguf_models.py
// made of them with the `gguf` package: what is read from the one must be what is in the other, and what hone writes
// must be that file.
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/file.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_model.h"
#include "core/model/gguf_rope.h"
#include "core/model/gguf_source.h"
#include "core/model/gguf_tokenizer.h"
#include "core/model/opened_model.h"
#include "core/model/safetensors.h"
#include "core/model/weight_pieces.h"
#include "tests/core/model/golden.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {
using nlohmann::json;

const char *const kModels[] = {"llama", "llama_tied", "qwen2", "qwen3", "qwen3moe", "deepseek2", "deepseek2_lite"};

std::vector<float> all_numbers(const TensorSource &source, const std::string &name) {
  uint64_t size = 1;
  for (uint64_t dim : *source.shape(name)) size *= dim;
  std::vector<float> numbers(size);
  source.read_floats(name, 0, size, numbers.data());
  return numbers;
}

class GgufModels : public testing::TestWithParam<const char *> {
 protected:
  std::filesystem::path folder = golden(GetParam());
  Gguf file{folder / "model.gguf"};
  json config = config_from_gguf(file);
  json saved = json::parse(read_file(folder / "config.json"));
};

TEST_P(GgufModels, HaveTheTensorsThatTransformersSaved) {
  const auto ours = open_gguf_tensors(file, config), theirs = open_safetensors(folder, saved);
  EXPECT_EQ(ours->names(), theirs->names());
  std::mt19937 random(1);
  for (const std::string &name : theirs->names()) {
    ASSERT_NE(ours->shape(name), nullptr) << name;
    ASSERT_EQ(*ours->shape(name), *theirs->shape(name)) << name;
    const std::vector<float> wanted = all_numbers(*theirs, name);
    ASSERT_EQ(all_numbers(*ours, name), wanted) << name;
    for (int trial = 0; trial < 10; ++trial) {
      const size_t begin = random() % wanted.size(), count = random() % (wanted.size() - begin + 1);
      std::vector<float> part(count);
      ours->read_floats(name, begin, count, part.data());
      ASSERT_TRUE(std::equal(part.begin(), part.end(), wanted.begin() + static_cast<long>(begin)))
          << name << " from " << begin;
    }
  }
}

TEST_P(GgufModels, HaveTheConfigurationThatTransformersSaved) {
  json rope = saved.at("rope_parameters");
  EXPECT_EQ(config.at("rope_theta"), rope.at("rope_theta"));
  rope.erase("rope_theta");
  json scaling = config.at("rope_scaling");
  if (scaling.is_null()) scaling = {{"rope_type", "default"}};
  for (const auto &[key, value] : scaling.items()) {
    ASSERT_TRUE(rope.contains(key)) << key;
    if (value.is_number())
      EXPECT_NEAR(value.get<double>(), rope[key].get<double>(), 1e-6 * rope[key].get<double>()) << key;
    else
      EXPECT_EQ(value, rope[key]) << key;
  }
  for (const auto &[key, value] : rope.items())
    if (key != "beta_fast" && key != "beta_slow" && !value.is_null()) {  // those are the usual 32 and 1
      EXPECT_TRUE(scaling.contains(key)) << key;
    }
  for (const auto &[key, value] : config.items()) {
    if (key == "rope_theta" || key == "rope_scaling") continue;
    if (key == "num_experts") {  // the published checkpoints' name; transformers 5 writes another
      EXPECT_EQ(value, saved["num_local_experts"]);
      continue;
    }
    if (!saved.contains(key)) {  // what transformers does not keep: it is implied by the model type
      static const std::set<std::string> implied = {"scoring_func", "topk_method", "head_dim"};
      EXPECT_TRUE(implied.contains(key)) << key;
      continue;
    }
    EXPECT_EQ(value, saved[key]) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, GgufModels, testing::ValuesIn(kModels),
                         [](const auto &info) { return std::string(info.param); });

// Those whose models the plugins of this build have.
class GgufExports : public GgufModels {
 protected:
  std::unique_ptr<Weights> weights() {
    for (const char *name : {"llama", "deepseek_moe"}) {
      const ComponentInfo info = component(name);
      if (std::find(info.model_types.begin(), info.model_types.end(), config.at("model_type")) ==
          info.model_types.end())
        continue;
      json known = json::object();
      for (const Setting &setting : info.settings)
        if (config.contains(setting.name) && !config[setting.name].is_null())
          known[setting.name] = config[setting.name];
      auto made = std::make_unique<Weights>(
          std::make_shared<const Architecture>(info, host(), check_settings(info.settings, known, "golden")), false);
      read_weights(*made, *open_gguf_tensors(file, config), file.path().string(), "its metadata");
      return made;
    }
    return nullptr;
  }
};

TEST_P(GgufExports, AreTheFilesThatTheGgufPackageWrites) {
  const std::unique_ptr<Weights> weights = this->weights();
  ASSERT_TRUE(weights) << "no model of this build serves " << config.at("model_type");
  const ScratchFolder scratch;
  save_gguf(scratch.path / "model.gguf", *weights, vocabulary_from_gguf(file), "F32");
  const Gguf ours(scratch.path / "model.gguf");
  ASSERT_EQ(ours.tensors().size(), file.tensors().size());
  for (const auto &[name, tensor] : file.tensors()) {
    const GgufTensor *written = ours.find(name);
    ASSERT_NE(written, nullptr) << name;
    EXPECT_EQ(written->shape, tensor.shape) << name;
    ASSERT_EQ(written->bytes, tensor.bytes) << name;
    if (name == "rope_freqs.weight") {
      std::vector<float> a(tensor.elements), b(tensor.elements);
      file.read_floats(tensor, 0, a.size(), a.data());
      ours.read_floats(*written, 0, b.size(), b.data());
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6 * a[i]);
    } else {
      EXPECT_EQ(std::memcmp(written->data, tensor.data, tensor.bytes), 0) << name;
    }
  }
  // Every value of the package's file is in ours, of the same type.
  for (const auto &[key, value] : file.metadata()) {
    const auto found = ours.metadata().find(key);
    ASSERT_NE(found, ours.metadata().end()) << key;
    EXPECT_EQ(found->second.kind, value.kind) << key;
    if (const auto *real = std::get_if<double>(&value.value))
      EXPECT_NEAR(std::get<double>(found->second.value), *real, 1e-6 * std::abs(*real)) << key;
    else
      EXPECT_TRUE(found->second.value == value.value) << key;
  }
}

TEST_P(GgufExports, ReadBackInBfloat16AndHalfAsTheNearestNumbers) {
  const std::unique_ptr<Weights> weights = this->weights();
  ASSERT_TRUE(weights) << "no model of this build serves " << config.at("model_type");
  const ScratchFolder scratch;
  for (const auto &[dtype, step] : {std::pair{"BF16", 0x1p-8}, {"F16", 0x1p-11}}) {
    const auto path = scratch.path / (std::string(dtype) + ".gguf");
    save_gguf(path, *weights, vocabulary_from_gguf(file), dtype);
    const Gguf written(path);
    const auto exact = open_gguf_tensors(file, config), rounded = open_gguf_tensors(written, config_from_gguf(written));
    EXPECT_EQ(rounded->names(), exact->names());
    for (const std::string &name : exact->names()) {
      const std::vector<float> a = all_numbers(*exact, name), b = all_numbers(*rounded, name);
      for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], step * std::abs(a[i]) + 1e-7) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, GgufExports, testing::ValuesIn(kModels),
                         [](const auto &info) { return std::string(info.param); });

TEST(GgufRows, ArePutBackWhereTheyWere) {
  // llama.cpp's converter: reshape(heads, 2, size / 2).swapaxes(1, 2); so GGUF row 2 i + j of a head is row j size / 2
  // + i.
  for (uint64_t size : {2, 6, 64})
    for (uint64_t head = 0; head < 3; ++head)
      for (uint64_t i = 0; i < size / 2; ++i)
        for (uint64_t j = 0; j < 2; ++j) {
          EXPECT_EQ(hugging_face_row(head * size + 2 * i + j, size), head * size + j * size / 2 + i);
          EXPECT_EQ(gguf_row(head * size + j * size / 2 + i, size), head * size + 2 * i + j);
        }
}

TEST(GgufRows, AContextOtherThanLlama3sIsFoundFromItsFactors) {
  const ScratchFolder scratch;
  const auto round_trip = [&](const json &scaling, double theta, uint64_t size) {
    GgufWriter writer;
    const std::vector<float> factors = rope_scaling_to_gguf(scaling, "llama", theta, size, writer);
    writer.add_tensor("rope_freqs.weight", {factors.size()}, "F32");
    writer.begin(scratch.path / "rope.gguf");
    writer.write(factors.data(), factors.size() * sizeof(float));
    writer.finish();
    return rope_scaling_from_gguf(Gguf(scratch.path / "rope.gguf"), "llama", theta);
  };
  for (const auto &[context, high, factor] :
       {std::tuple{8192, 4, 32.0}, {8192, 4, 8.0}, {4096, 4, 16.0}, {2048, 8, 4.0}}) {
    const json scaling = {{"rope_type", "llama3"},
                          {"factor", factor},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", static_cast<double>(high)},
                          {"original_max_position_embeddings", static_cast<double>(context)}};
    EXPECT_EQ(round_trip(scaling, 500000, 128), scaling);
  }
}

// The bytes of a file whose tensor has another type, of as many bytes.
std::string with_type(std::string bytes, const std::string &tensor, uint32_t type) {
  const size_t end = bytes.find(tensor) + tensor.size();
  uint32_t dimensions;
  std::memcpy(&dimensions, bytes.data() + end, 4);
  std::memcpy(bytes.data() + end + 4 + 8 * dimensions, &type, 4);
  return bytes;
}

TEST(GgufTypes, ThatCannotBeReadAreFoundBeforeAnyNumberIs) {
  Registry registry;
  registry.components_ = {component("llama"), component("deepseek_moe")};
  const ScratchFolder scratch;
  const std::string good = read_file(golden("deepseek2") / "model.gguf");
  const auto planned = [&](const std::string &bytes) {
    return refusal_of([&] { architecture_of(scratch.write("model.gguf", bytes), registry, host()); });
  };
  EXPECT_EQ(planned(good), "");
  // Of one matrix; of one of the two that make kv_b_proj; of a stack of experts.
  for (const char *tensor : {"token_embd.weight", "blk.1.attn_k_b.weight", "blk.1.attn_v_b.weight", "blk.1.ffn_up_exps.weight"}) {
    ASSERT_NE(good.find(tensor), std::string::npos) << tensor;
    EXPECT_SAYS(planned(with_type(good, tensor, 26)), "model.gguf", tensor, "has type I32; hone reads F32, F16");
  }
}

}  // namespace
}  // namespace hone::test
