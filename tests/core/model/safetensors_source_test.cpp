// safetensors_source_test.cpp -- block-scaled FP8 against its formula in double, shards and indexes that lie, and
// numbers that are none.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/model/number_formats.h"
#include "core/model/safetensors.h"
#include "core/model/weight_pieces.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {
using nlohmann::json;

const json kFp8 = {{"quantization_config", {{"quant_method", "fp8"}, {"weight_block_size", {2, 3}}}}};

struct Fp8File {
  std::vector<uint8_t> weight;
  std::vector<float> scale;
  void write(const std::filesystem::path &folder, std::vector<uint64_t> scale_shape = {3, 3}, bool with_scale = true) {
    for (int i = 0; i < 5 * 8; ++i) weight.push_back(static_cast<uint8_t>((i * 37 + 11) % 127 | (i % 3 ? 0 : 128)));
    for (int i = 0; i < 9; ++i) scale.push_back(0.01f * static_cast<float>(i + 1));
    std::vector<TensorToWrite> tensors = {{"a.weight", "F8_E4M3", {5, 8}, weight.data(), 40}};
    const uint64_t n = scale_shape[0] * scale_shape[1];
    if (with_scale) tensors.push_back({"a.weight_scale_inv", "F32", scale_shape, scale.data(), n * 4});
    write_safetensors(folder / "model.safetensors", tensors);
  }
};

TEST(Fp8Weights, AreMultipliedByTheirBlocksScales) {
  const ScratchFolder folder;
  Fp8File file;
  file.write(folder.path);
  const auto source = open_safetensors(folder.path, kFp8);
  EXPECT_EQ(source->names(), std::vector<std::string>{"a.weight"});
  EXPECT_EQ(source->shape("a.weight_scale_inv"), nullptr);
  std::vector<float> wanted;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 8; ++j) {
      const int bits = file.weight[static_cast<size_t>(8 * i + j)], exponent = bits >> 3 & 15;
      const double w8 = (bits & 128 ? -1 : 1) *
                        (exponent ? std::ldexp(1 + (bits & 7) / 8.0, exponent - 7) : std::ldexp((bits & 7) / 8.0, -6));
      wanted.push_back(
          static_cast<float>(w8 * static_cast<double>(file.scale[static_cast<size_t>(i / 2 * 3 + j / 3)])));
    }
  for (size_t begin = 0; begin < 40; ++begin)
    for (size_t count = 0; begin + count <= 40; count += 3) {
      std::vector<float> got(count);
      source->read_floats("a.weight", begin, count, got.data());
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(got[i], wanted[begin + i]) << begin << " " << i;
    }
}

TEST(Fp8Weights, AreRefusedWithoutTheirScalesOrBlocks) {
  const auto says = [](const json &config, std::vector<uint64_t> shape = {3, 3}, bool with_scale = true) {
    const ScratchFolder folder;
    Fp8File().write(folder.path, shape, with_scale);
    return refusal_of([&] { open_safetensors(folder.path, config); });
  };
  EXPECT_EQ(says(kFp8), "");
  EXPECT_SAYS(says(kFp8, {3, 3}, false), "model.safetensors", "\"a.weight\" of dtype F8_E4M3",
              "no tensor \"a.weight_scale_inv\"");
  EXPECT_SAYS(says(kFp8, {3, 2}), "\"a.weight_scale_inv\"", "[3, 2]", "need [3, 3]");
  EXPECT_SAYS(says(json::object()), "\"a.weight\"", "weight_block_size");
  EXPECT_SAYS(says({{"quantization_config", {{"quant_method", "gptq"}}}}),
              "config.json: quantization_config: quant_method \"gptq\"");
  EXPECT_SAYS(says({{"quantization_config", {{"quant_method", "fp8"}}}}),
              "weight_block_size must be two whole numbers");
  EXPECT_SAYS(says({{"quantization_config", {{"quant_method", "fp8"}, {"weight_block_size", {0, 128}}}}}),
              "weight_block_size", "[0,128]");
  EXPECT_SAYS(says({{"quantization_config", 5}}), "quantization_config must be an object");
}

TEST(WeightTypes, ThatAreNoWeightsAreRefusedByName) {
  const ScratchFolder folder;
  const std::vector<int64_t> integers(2);
  write_safetensors(folder.path / "model.safetensors", {{"a", "I64", {2}, integers.data(), 16},
                                                        {"b", "I8", {2}, integers.data(), 2},
                                                        {"c", "F8_E5M2", {2}, integers.data(), 2}});
  const auto source = open_safetensors(folder.path, json::object());
  float numbers[2];
  for (const auto &[name, dtype] : {std::pair{"a", "I64"}, {"b", "I8"}, {"c", "F8_E5M2"}})
    EXPECT_SAYS(refusal_of([&, name = name] { source->read_floats(name, 0, 2, numbers); }), "model.safetensors", name, "has dtype",
                dtype, "hone reads F64, F32");
}

TEST(ShardIndex, ThatLiesIsRefused) {
  const auto says = [](const std::string &index) {
    const ScratchFolder folder;
    const float x = 1;
    write_safetensors(folder.path / "one.safetensors", {{"a", "F32", {1}, &x, 4}});
    std::filesystem::create_directory(folder.path / "sub");
    write_safetensors(folder.path / "sub/two.safetensors", {{"b", "F32", {1}, &x, 4}});
    folder.write("model.safetensors.index.json", index);
    return refusal_of([&] { open_safetensors(folder.path, json::object()); });
  };
  EXPECT_EQ(says(R"({"weight_map": {"a": "one.safetensors"}})"), "");
  EXPECT_SAYS(says(R"({"weight_map": {"a": "one.safetensors", "b": "three.safetensors"}})"), "index.json",
              "three.safetensors for \"b\"", "no such file");
  for (const char *name :
       {"../one.safetensors", "sub/two.safetensors", "..", ".", "", "/etc/passwd", "a\\\\b", "a\\u0000b"})
    EXPECT_SAYS(says(R"({"weight_map": {"b": ")" + std::string(name) + "\"}}"), "index.json: weight_map[\"b\"]",
                "same folder");
  EXPECT_SAYS(says(R"({"weight_map": {"a": 5}})"), "weight_map[\"a\"]", "not 5");
  EXPECT_SAYS(says(R"({"weight_map": {"b": "one.safetensors"}})"), "\"b\" is in one.safetensors, but it is not");
  EXPECT_SAYS(says(R"({"weight_map": [1]})"), "no \"weight_map\" object");
  EXPECT_SAYS(says("{\"weight_map\""), "index.json: not JSON");
  EXPECT_SAYS(says(std::string(100000, '[')), "index.json", "nested more than");
}

TEST(ReadWeights, RefusesNumbersThatAreNoneByTensorAndIndex) {
  const auto shape = architecture("llama", llama_config());
  const auto weights = random_weights(shape, 3);
  const ScratchFolder folder;
  const std::string name = "model.layers.1.self_attn.k_proj.weight";
  const auto with = [&](float bad, const std::string &dtype) {
    return refusal_of([&] {
      std::vector<TensorPlan> plans;
      for (const WeightPiece &piece : weight_pieces(*weights)) plans.push_back({piece.name, dtype, piece.shape});
      SafetensorsWriter writer(folder.path / "model.safetensors", plans);
      for (const WeightPiece &piece : weight_pieces(*weights)) {
        std::vector<float> numbers(weights->data() + piece.offset, weights->data() + piece.offset + piece.size);
        if (piece.name == name) numbers[5 * piece.shape[1] + 7] = bad;
        encode_numbers(numbers.data(), 0, numbers.size(), dtype, piece.name, piece.shape,
                       [&](const void *data, uint64_t bytes) { writer.write(data, bytes); });
      }
      writer.finish();
      Weights loaded(shape, false);
      read_weights(loaded, *open_safetensors(folder.path, json::object()), "here", "config.json");
    });
  };
  for (const char *dtype : {"F32", "BF16", "F16"}) {
    EXPECT_EQ(with(1, dtype), "");
    EXPECT_SAYS(with(NAN, dtype), "model.safetensors", name.c_str(), "is NaN at [5, 7]");
    EXPECT_SAYS(with(INFINITY, dtype), name.c_str(), "is infinite at [5, 7]");
    EXPECT_SAYS(with(-INFINITY, dtype), name.c_str(), "is minus infinity at [5, 7]");
  }
  EXPECT_SAYS(with(70000, "F16"), name.c_str(), "has 70000 at [5, 7], beyond what F16 holds");
  EXPECT_EQ(with(70000, "BF16"), "");
}

// Routers and what balances experts stay in full precision: 16 bits would lose what training moves them by.
TEST(SavedWeights, AreTheNearestNumbersOfTheirType) {
  const auto weights = random_weights(architecture("deepseek_moe", deepseek_config()), 3);
  const auto tokenizer = Tokenizer::from_words({"a", "b"}, {}, "");
  for (const auto &[dtype, name] : {std::pair{"BF16", "bfloat16"}, {"F16", "float16"}, {"F32", "float32"}}) {
    const ScratchFolder folder;
    save_model(folder.path, *weights, *tokenizer, dtype);
    const Safetensors file(folder.path / "model.safetensors");
    uint32_t in_full = 0;
    for (const WeightPiece &piece : weight_pieces(*weights)) {
      const bool whole = piece.name.ends_with(".e_score_correction_bias") || piece.name.ends_with(".mlp.gate.weight");
      in_full += whole;
      ASSERT_EQ(file.require(piece.name).dtype, whole ? "F32" : dtype) << piece.name;
      std::vector<float> numbers(piece.size);
      file.read_floats(piece.name, numbers.data(), piece.size);
      for (uint64_t i = 0; i < piece.size; ++i) {
        const float exact = weights->data()[piece.offset + i];
        ASSERT_EQ(numbers[i], whole                         ? exact
                              : dtype == std::string("BF16")  ? from_bf16(to_bf16(exact))
                              : dtype == std::string("F16") ? from_f16(to_f16(exact))
                                                            : exact);
      }
    }
    EXPECT_EQ(in_full, 4u) << "of two layers with experts";
    std::ifstream config(folder.path / "config.json");
    EXPECT_EQ(json::parse(config)["torch_dtype"], name);
  }
}

}  // namespace
}  // namespace hone::test
