// gguf_test.cpp -- block formats against the `gguf` package's numbers (tests/parity/gguf_blocks.py), and files written
// to do harm.
#include "core/model/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/file.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_tokenizer.h"
#include "core/model/gguf_writer.h"
#include "core/text/tokenizer.h"
#include "tests/core/model/golden.h"
#include "tests/core/model/small_gguf.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone::test {
namespace {

// A file by hand: what a writer would put, and worse.
struct Bytes {
  std::string out;
  template <class T>
  Bytes &raw(T value) {
    out.append(reinterpret_cast<const char *>(&value), sizeof value);
    return *this;
  }
  Bytes &text(const std::string &value) {
    raw<uint64_t>(value.size());
    out += value;
    return *this;
  }
  Bytes &head(uint64_t tensors, uint64_t values, uint32_t version = 3) {
    out += "GGUF";
    return raw(version).raw(tensors).raw(values);
  }
  Bytes &tensor(const std::string &name, std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    text(name).raw(static_cast<uint32_t>(dims.size()));
    for (uint64_t dim : dims) raw(dim);
    return raw(type).raw(offset);
  }
  Bytes &data(size_t bytes) {
    out.resize((out.size() + 31) / 32 * 32);
    out.append(bytes, 'x');
    return *this;
  }
};

std::string refused(const Bytes &bytes) {
  const ScratchFolder folder;
  const auto path = folder.write("model.gguf", bytes.out);
  return refusal_of([&] { Gguf file(path); });
}

TEST(Gguf, DequantisesEveryBlockTypeAsTheGgufPackageDoes) {
  const Gguf file(golden("blocks.gguf"));
  int types = 0;
  for (const auto &[name, tensor] : file.tensors()) {
    if (name.ends_with(".expected")) continue;
    ++types;
    const GgufTensor &expected = *file.find(name + ".expected");
    ASSERT_EQ(tensor.elements, expected.elements);
    std::vector<float> wanted(expected.elements), got(tensor.elements);
    file.read_floats(expected, 0, wanted.size(), wanted.data());
    file.read_floats(tensor, 0, got.size(), got.data());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], wanted[i]) << name << " number " << i;
    // any part, from within one block to within another
    std::mt19937 random(1);
    for (int trial = 0; trial < 50; ++trial) {
      const size_t begin = random() % wanted.size(), count = random() % (wanted.size() - begin + 1);
      std::vector<float> part(count, 12345);
      file.read_floats(tensor, begin, count, part.data());
      ASSERT_TRUE(std::equal(part.begin(), part.end(), wanted.begin() + static_cast<long>(begin)))
          << name << " from " << begin << ", " << count;
    }
  }
  EXPECT_EQ(types, 13);
}

TEST(Gguf, RefusesAnotherFormatVersionOrByteOrder) {
  EXPECT_SAYS(refused({}), "0 bytes", "too few for a GGUF file");
  Bytes wrong;
  wrong.head(0, 0);
  wrong.out[3] = 'L';
  EXPECT_SAYS(refused(wrong), "model.gguf: is no GGUF file", "4747554c");
  EXPECT_SAYS(refused(Bytes().head(0, 0, 1)), "GGUF version 1", "2 and 3");
  EXPECT_SAYS(refused(Bytes().head(0, 0, 0x03000000)), "big-endian");
  EXPECT_EQ(refused(Bytes().head(0, 0, 2)), "");
  EXPECT_EQ(refused(Bytes().head(0, 0)), "");
}

TEST(Gguf, RefusesCountsAndLengthsBeyondTheFile) {
  EXPECT_SAYS(refused(Bytes().head(uint64_t{1} << 60, 0)), "the number of tensors is 1152921504606846976");
  EXPECT_SAYS(refused(Bytes().head(0, uint64_t{1} << 60)), "the number of metadata values is 1152921504606846976");
  EXPECT_SAYS(refused(Bytes().head(0, 1).raw(uint64_t{1} << 63).raw<uint64_t>(0)),
              "a text of 9223372036854775808 bytes");
  EXPECT_SAYS(refused(Bytes().head(0, 1).text("key.x").raw<uint32_t>(8).raw(UINT64_MAX)), "\"key.x\"",
              "18446744073709551615");
  EXPECT_SAYS(refused(Bytes().head(0, 1).text("key.x").raw<uint32_t>(9).raw<uint32_t>(4).raw(uint64_t{1} << 62)),
              "the length of metadata \"key.x\"", "4611686018427387904");
  EXPECT_SAYS(
      refused(Bytes().head(0, 1).text("key.x").raw<uint32_t>(9).raw<uint32_t>(8).raw(uint64_t{1}).raw<uint64_t>(9)),
      "element 0", "9 bytes");
  EXPECT_SAYS(refused(Bytes().head(0, 1).text("key.x").raw<uint32_t>(10)), "ends within metadata \"key.x\"");
  EXPECT_SAYS(refused(Bytes().head(0, 1).text("key.x").raw<uint32_t>(13).raw<uint64_t>(0)), "unknown value type 13");
}

TEST(Gguf, RefusesNestedArraysAtTheFirst) {
  Bytes bomb;
  bomb.head(0, 1).text("bomb").raw<uint32_t>(9);
  for (int i = 0; i < 100000; ++i) bomb.raw<uint32_t>(9).raw<uint64_t>(1);
  EXPECT_SAYS(refused(bomb), "\"bomb\" is an array of arrays");
}

TEST(Gguf, RefusesTensorsThatCannotBe) {
  const auto one = [](std::vector<uint64_t> dims, uint32_t type, uint64_t offset, size_t data) {
    return refused(Bytes().head(1, 0).tensor("a.weight", dims, type, offset).data(data));
  };
  EXPECT_EQ(one({4, 2}, 0, 0, 32), "");
  EXPECT_SAYS(one({4, 2}, 0, 0, 31), "\"a.weight\"", "bytes 0 .. 32", "31 of it", "cut short");
  EXPECT_SAYS(one({4, 2}, 0, uint64_t{1} << 40, 32), "\"a.weight\"", "1099511627776");
  EXPECT_SAYS(one({4, 2}, 0, UINT64_MAX - 31, 64), "\"a.weight\"", "claims bytes");
  EXPECT_SAYS(one({4, 2}, 0, 8, 64), "not a multiple of general.alignment, 32");
  EXPECT_SAYS(one({4, 0}, 0, 0, 32), "a dimension of 0");
  EXPECT_SAYS(one({}, 0, 0, 32), "0 dimensions");
  EXPECT_SAYS(one({1, 1, 1, 1, 1}, 0, 0, 32), "5 dimensions");
  EXPECT_SAYS(one({uint64_t{1} << 33, uint64_t{1} << 33}, 0, 0, 32), "impossibly large shape [8589934592, 8589934592]");
  EXPECT_SAYS(one({uint64_t{1} << 62}, 0, 0, 32), "impossibly large");
  EXPECT_SAYS(one({4, 2}, 4, 0, 32), "unknown type 4", "Q4_K");
  EXPECT_SAYS(one({33}, 2, 0, 64), "of type Q4_0 has rows of 33");
  Bytes overlapping, twice;
  EXPECT_SAYS(refused(overlapping.head(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32).data(64)),
              "\"a\" and \"b\" overlap");
  EXPECT_SAYS(refused(twice.head(2, 0).tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32).data(64)),
              "\"a\" is there twice");
  const auto aligned = [](uint32_t alignment) {
    return refused(
        Bytes().head(1, 1).text("general.alignment").raw<uint32_t>(4).raw(alignment).tensor("a", {8}, 0, 0).data(64));
  };
  EXPECT_EQ(aligned(8), "");
  EXPECT_SAYS(aligned(0), "general.alignment is 0");
  EXPECT_SAYS(aligned(48), "general.alignment is 48");
  EXPECT_SAYS(
      refused(
          Bytes().head(0, 2).text("k").raw<uint32_t>(4).raw<uint32_t>(1).text("k").raw<uint32_t>(4).raw<uint32_t>(1)),
      "\"k\" is there twice");
  const ScratchFolder folder;
  const auto path = folder.write("integers.gguf", Bytes().head(1, 0).tensor("a", {8}, 27, 0).data(64).out);
  const Gguf integers(path);
  float number;
  EXPECT_SAYS(refusal_of([&] { integers.read_floats(*integers.find("a"), 0, 1, &number); }), "integers.gguf",
              "\"a\" has type I64", "hone reads");
  EXPECT_SAYS(refusal_of([&] { integers.read_floats(*integers.find("a"), 0, 0, nullptr); }), "has type I64");
}

// Every cut and many damages of a good file are refused or read within its bytes (sanitizers watch).
TEST(Gguf, NeverReadsBeyondADamagedFile) {
  const ScratchFolder folder;
  const std::string good = read_file(golden("qwen2/model.gguf")).substr(0, 6000);  // its header and some of its tensors
  std::mt19937 random(1);
  const auto look = [&](const std::string &bytes) {
    const auto path = folder.write("model.gguf", bytes);
    return refusal_of([&] {
      const Gguf file(path);
      for (const auto &[name, tensor] : file.tensors()) {
        std::vector<float> numbers(tensor.elements);
        file.read_floats(tensor, 0, numbers.size(), numbers.data());
      }
      config_from_gguf(file);
      vocabulary_from_gguf(file);
    });
  };
  for (size_t size = 0; size < good.size(); size += 7) ASSERT_NE(look(good.substr(0, size)), "") << size;
  const std::string whole = read_file(golden("qwen2/model.gguf"));
  ASSERT_EQ(look(whole), "");
  for (int trial = 0; trial < 1500; ++trial) {
    std::string bad = whole;
    for (int i = 0; i < 3; ++i) bad[random() % 3000] = static_cast<char>(random());
    look(bad);
  }
}

TEST(Gguf, ConfigurationsThatHoneCannotServeAreRefusedByKey) {
  const ScratchFolder folder;
  const auto with = [&](auto &&change, const char *architecture = "llama") {
    GgufWriter writer;
    const std::string at = std::string(architecture) + ".";
    writer.set_text("general.architecture", architecture);
    for (const char *key :
         {"embedding_length", "block_count", "feed_forward_length", "context_length", "attention.head_count"})
      writer.set_integer(at + key, 8);
    writer.set_number(at + "attention.layer_norm_rms_epsilon", 1e-5);
    writer.add_tensor("token_embd.weight", {4, 8}, "F32");
    change(writer);
    writer.begin(folder.path / "m.gguf");
    const std::vector<float> numbers(32);
    writer.write(numbers.data(), 128);
    writer.finish();
    return refusal_of([&] { config_from_gguf(Gguf(folder.path / "m.gguf")); });
  };
  EXPECT_EQ(with([](GgufWriter &) {}), "");
  EXPECT_EQ(with([](GgufWriter &w) { w.set_number("llama.rope.scaling.factor", 4); }), "");
  EXPECT_EQ(config_from_gguf(Gguf(folder.path / "m.gguf")).at("rope_scaling"), (nlohmann::json{{"rope_type", "linear"}, {"factor", 4.0}}))
      << "llama.cpp's default";
  EXPECT_SAYS(with([](GgufWriter &) {}, "mamba"), "m.gguf: general.architecture is \"mamba\"", "qwen3moe");
  EXPECT_SAYS(with([](GgufWriter &) {}, "qwen3moe"), "lacks \"qwen3moe.expert_used_count\"");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integer("llama.expert_count", 8); }), "\"llama.expert_count\" is 8");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integer("llama.vocab_size", 5); }), "\"llama.vocab_size\" is 5", "4 rows");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integer("llama.attention.sliding_window", 5); }), "sliding_window\" is 5");
  EXPECT_SAYS(with([](GgufWriter &w) {
                w.set_integer("llama.rope.dimension_count", 6), w.set_integer("llama.attention.key_length", 8);
              }),
              "rope.dimension_count\" is 6");
  EXPECT_SAYS(with([](GgufWriter &w) {
                w.set_text("llama.rope.scaling.type", "longrope"), w.set_number("llama.rope.scaling.factor", 2);
              }),
              "\"longrope\"");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_text("llama.rope.freq_base", "x"); }),
              "\"llama.rope.freq_base\" must be a number");
  EXPECT_SAYS(with([](GgufWriter &w) {
                w.set_integers("llama.attention.head_count_kv", {1, 2});
              }),
              "not the same in all layers");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integer("split.count", 3); }), "one of 3 parts");
}

// DeepSeek-V2's and V3's published configurations: 3 of 8 groups among 160 experts, 4 of 8 among 256.
TEST(Gguf, GroupsOfExpertsThatOldFilesDoNotTellAreThoseOfDeepSeek) {
  const ScratchFolder folder;
  const auto config = [&](uint32_t experts, uint32_t gate, bool told) {
    GgufWriter w;
    w.set_text("general.architecture", "deepseek2");
    for (const char *key : {"embedding_length", "block_count", "feed_forward_length", "context_length",
                            "attention.head_count", "attention.kv_lora_rank", "attention.key_length",
                            "attention.value_length", "expert_used_count", "expert_feed_forward_length"})
      w.set_integer(std::string("deepseek2.") + key, 8);
    w.set_integer("deepseek2.rope.dimension_count", 4);
    w.set_number("deepseek2.attention.layer_norm_rms_epsilon", 1e-6);
    w.set_integer("deepseek2.expert_count", experts);
    w.set_integer("deepseek2.expert_gating_func", gate);
    if (told) w.set_integer("deepseek2.expert_group_count", 2), w.set_integer("deepseek2.expert_group_used_count", 1);
    w.add_tensor("token_embd.weight", {4, 8}, "F32");
    w.begin(folder.path / "d.gguf");
    const std::vector<float> numbers(32);
    w.write(numbers.data(), 128);
    w.finish();
    return config_from_gguf(Gguf(folder.path / "d.gguf"));
  };
  const auto groups = [](const nlohmann::json &c) {
    return std::tuple<int, int, std::string>{c["n_group"], c["topk_group"], c["topk_method"]};
  };
  EXPECT_EQ(groups(config(256, 2, false)), std::tuple(8, 4, "noaux_tc"));
  EXPECT_EQ(groups(config(160, 1, false)), std::tuple(8, 3, "group_limited_greedy"));
  EXPECT_EQ(groups(config(64, 1, false)), std::tuple(1, 1, "greedy"));
  EXPECT_EQ(groups(config(256, 2, true)), std::tuple(2, 1, "noaux_tc"));
}

TEST(Gguf, AVocabularyThatContradictsItselfIsRefusedByKey) {
  const ScratchFolder folder;
  const auto with = [&](auto &&change) {
    GgufWriter writer;
    writer.set_text("tokenizer.ggml.model", "gpt2");
    writer.set_texts("tokenizer.ggml.tokens", {"a", "b", "c"});
    change(writer);
    writer.begin(folder.path / "v.gguf");
    writer.finish();
    return refusal_of([&] { vocabulary_from_gguf(Gguf(folder.path / "v.gguf")); });
  };
  EXPECT_EQ(with([](GgufWriter &w) { w.set_integer("tokenizer.ggml.eos_token_id", 2); }), "");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integer("tokenizer.ggml.eos_token_id", 3); }), "v.gguf",
              "\"tokenizer.ggml.eos_token_id\" is 3, but there are 3 tokens");
  EXPECT_SAYS(with([](GgufWriter &w) {
                w.set_integers("tokenizer.ggml.token_type", {1, 1});
              }),
              "token_type\" has 2 elements for 3 tokens");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integers("tokenizer.ggml.token_type", {1, 1, 9}); }), "unknown type 9");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_numbers("tokenizer.ggml.scores", {1}); }), "scores\" has 1 elements");
  EXPECT_SAYS(with([](GgufWriter &w) { w.set_integers("tokenizer.ggml.merges", {1}); }),
              "merges\" must be an array of texts");
}

// What llama.cpp takes for granted, whose readers these files were made for.
TEST(Gguf, AVocabularyThatLeavesKeysOutMeansWhatLlamaCppMeans) {
  const ScratchFolder folder;
  const auto read = [&](auto &&change, uint32_t eos = 0) {
    GgufWriter writer;
    writer.set_text("tokenizer.ggml.model", "gpt2");
    writer.set_texts("tokenizer.ggml.tokens", {"a", "<|eot_id|>", "", "<|im_end|>"});
    writer.set_integer("tokenizer.ggml.eos_token_id", eos);
    change(writer);
    writer.begin(folder.path / "v.gguf");
    writer.finish();
    return vocabulary_from_gguf(Gguf(folder.path / "v.gguf"));
  };
  const auto named = [&](const char *pre) { return read([&](GgufWriter &w) { w.set_text("tokenizer.ggml.pre", pre); }); };
  EXPECT_TRUE(named("llama-bpe").add_bos);
  EXPECT_TRUE(named("tekken").add_bos);
  EXPECT_FALSE(named("qwen2").add_bos);
  EXPECT_FALSE(named("dots1").add_bos) << "cut like llama-bpe, but not begun like it";
  EXPECT_FALSE(read([](GgufWriter &w) {
                 w.set_text("tokenizer.ggml.pre", "llama-bpe");
                 w.set_boolean("tokenizer.ggml.add_bos_token", false);
               }).add_bos);
  const std::vector<int32_t> types = {1, 3, 0, 3};
  const auto chat = read([&](GgufWriter &w) { w.set_integers("tokenizer.ggml.token_type", types); });
  EXPECT_EQ(chat.ends, (std::vector<int64_t>{1, 3})) << "known by their texts";
  EXPECT_EQ(chat.types, (std::vector<int32_t>{1, 3, 1, 3}));
  EXPECT_EQ(chat.tokens[2], "[EMPTY_2]");
  EXPECT_EQ(read([](GgufWriter &) {}).ends, (std::vector<int64_t>{1, 3})) << "whatever their type";
  EXPECT_EQ(read([](GgufWriter &) {}, 3).ends, (std::vector<int64_t>{1}));
  EXPECT_EQ(read([](GgufWriter &w) { w.set_integer("tokenizer.ggml.eom_token_id", 2); }).ends, (std::vector<int64_t>{1, 2, 3}));
}

TEST(Gguf, WhatEndsAResponseIsKeptThroughAFile) {
  const ScratchFolder folder;
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.tokens = {"a", "<|eot_id|>", "b", "<|im_end|>", "c"};
  vocabulary.eos = 3;
  const std::vector<std::vector<int64_t>> all = {{}, {1}, {2}, {0, 2}, {0, 1, 4}};
  for (const std::vector<int64_t> &ends : all) {
    vocabulary.ends = ends;
    GgufWriter writer;
    vocabulary_to_gguf(vocabulary, 5, writer);
    writer.begin(folder.path / "w.gguf");
    writer.finish();
    const Gguf file(folder.path / "w.gguf");
    EXPECT_EQ(vocabulary_from_gguf(file).ends, ends);
    EXPECT_EQ(file.has("hone.stop_token_ids"), ends != (std::vector<int64_t>{1})) << "where GGUF's own keys and texts say it, nothing is added";
    if (!ends.empty()) EXPECT_EQ(file.integer("tokenizer.ggml.eot_token_id"), ends[0] == 1 ? 1 : ends[0]);
  }
}

TEST(Gguf, ChatTemplatesWithNamesAreKept) {
  const ScratchFolder folder;
  GgufVocabulary vocabulary = small_vocabulary();
  vocabulary.chat_template = "{{ messages }}";
  vocabulary.named_templates = {{"tool_use", "{{ tools }}"}, {"rag", "{{ documents }}"}};
  GgufWriter writer;
  vocabulary_to_gguf(vocabulary, vocabulary.tokens.size(), writer);
  writer.begin(folder.path / "t.gguf");
  writer.finish();
  const auto back = vocabulary_from_gguf(Gguf(folder.path / "t.gguf"));
  EXPECT_EQ(back.named_templates, vocabulary.named_templates);
  const auto tokenizer = Tokenizer::from_gguf(back, "t.gguf");
  EXPECT_EQ(tokenizer->chat().texts().at("rag"), "{{ documents }}");
  EXPECT_EQ(tokenizer->gguf_vocabulary().named_templates, vocabulary.named_templates);
  vocabulary.named_templates = {{"../x", ""}};
  EXPECT_SAYS(refusal_of([&] { Tokenizer::from_gguf(vocabulary, "t.gguf"); }), "t.gguf", "the name \"../x\"");
}

TEST(Gguf, AFileThatIsNotWholeIsNotThere) {
  const ScratchFolder folder;
  {
    GgufWriter writer;
    writer.add_tensor("a", {8}, "F32");
    writer.begin(folder.path / "a.gguf");
    const float numbers[9] = {};
    writer.write(numbers, 16);
    EXPECT_SAYS(refusal_of([&] { writer.finish(); }), "fewer bytes");
    EXPECT_SAYS(refusal_of([&] { writer.write(numbers, 20); }), "more bytes");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

}  // namespace
}  // namespace hone::test
