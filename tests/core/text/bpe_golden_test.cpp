// bpe_golden_test.cpp -- ids and text of BPE tokenizers against Hugging Face's library and SentencePiece, by golden
// files that tests/parity/compare_tokenizers.py --write-goldens makes (and 10,000 strings by the same script without
// it).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/file.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"

namespace hone {
namespace {

nlohmann::json golden(const std::string &name) {
  return nlohmann::json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/" + name + ".json"));
}

std::unique_ptr<Tokenizer> load(const nlohmann::json &tokenizer) {
  return make_tokenizer(parse_tokenizer_json(tokenizer.dump(), "golden"));
}

bool has_any(const std::string &text, std::initializer_list<const char *> parts) {
  for (const char *part : parts)
    if (text.find(part) != std::string::npos) return true;
  return false;
}

class BpeGolden : public testing::TestWithParam<const char *> {};

TEST_P(BpeGolden, GivesTheIdsAndTheTextOfTheTokenizersLibrary) {
  const auto strings = golden("strings").get<std::vector<std::string>>();
  const nlohmann::json file = golden(GetParam());
  const auto tokenizer = load(file["tokenizer"]);
  ASSERT_GT(strings.size(), 100u);
  ASSERT_EQ(file["ids"].size(), strings.size());
  for (size_t i = 0; i < strings.size(); ++i) {
    const auto expected = file["ids"][i].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer->encode(strings[i], true), expected) << strings[i];
    const auto text = file["text"].find(std::to_string(i));  // only where it is not the string itself
    EXPECT_EQ(tokenizer->decode(expected, true), text == file["text"].end() ? strings[i] : text->get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, BpeGolden,
                         testing::Values("gpt2", "llama3", "qwen2", "deepseek3", "smollm", "gpt4o", "others", "words",
                                         "llama2", "metaspace"),
                         [](const auto &param) { return std::string(param.param); });

// GGUF has no words for lstrip, rstrip, single_word and normalized: strings with such tokens are left out.
class ByteLevelInGguf : public testing::TestWithParam<std::pair<const char *, const char *>> {};

TEST_P(ByteLevelInGguf, ComesBackFromGgufWithTheSameIds) {
  const auto [name, pre] = GetParam();
  const auto tokenizer = load(golden(name)["tokenizer"]);
  GgufVocabulary vocabulary = tokenizer->gguf_vocabulary();
  EXPECT_EQ(vocabulary.model, "gpt2");
  EXPECT_EQ(vocabulary.pre, pre);
  const auto back = Tokenizer::from_gguf(vocabulary, "a.gguf");
  EXPECT_EQ(back->size(), tokenizer->size());
  EXPECT_EQ(back->bos(), tokenizer->bos());
  EXPECT_EQ(back->eos(), tokenizer->eos());
  size_t compared = 0;
  for (const std::string &text : golden("strings").get<std::vector<std::string>>()) {
    if (has_any(text, {"<mask>", "<sep>", "both", "mot", "Caf"})) continue;
    EXPECT_EQ(back->encode(text, true), tokenizer->encode(text, true)) << text;
    ++compared;
  }
  EXPECT_GT(compared, 80u);
  // The tokenizer.json that was made for it reads back alike.
  const auto again = load(nlohmann::json::parse(back->files().at("tokenizer.json")));
  EXPECT_EQ(again->encode("It's 1234 <|im_end|> 的  x", true), back->encode("It's 1234 <|im_end|> 的  x", true));
}

INSTANTIATE_TEST_SUITE_P(Styles, ByteLevelInGguf,
                         testing::Values(std::pair("gpt2", "gpt-2"), std::pair("llama3", "llama-bpe"),
                                         std::pair("qwen2", "qwen2"), std::pair("deepseek3", "deepseek-v3"),
                                         std::pair("smollm", "smollm"), std::pair("gpt4o", "gpt-4o")),
                         [](const auto &param) { return std::string(param.param.first); });

GgufVocabulary sentencepiece_vocabulary(const nlohmann::json &file) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = file["tokens"].get<std::vector<std::string>>();
  vocabulary.scores = file["scores"].get<std::vector<float>>();
  vocabulary.types = file["types"].get<std::vector<int32_t>>();
  vocabulary.unknown = 0;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.add_bos = true;
  return vocabulary;
}

TEST(SentencePieceInGguf, MergesByScoreAsSentencePieceDoes) {
  const nlohmann::json file = golden("sentencepiece");
  const auto tokenizer = Tokenizer::from_gguf(sentencepiece_vocabulary(file), "a.gguf");
  ASSERT_GT(file["strings"].size(), 80u);
  for (size_t i = 0; i < file["strings"].size(); ++i) {
    const std::string text = file["strings"][i];
    EXPECT_EQ(tokenizer->encode(text), file["ids"][i].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, true), true), text);
  }
  EXPECT_EQ(tokenizer->encode("a", true).front(), 1);
}

TEST(SentencePieceInGguf, ComesBackFromGgufWithTheSameIds) {
  const nlohmann::json file = golden("sentencepiece");
  const auto tokenizer = Tokenizer::from_gguf(sentencepiece_vocabulary(file), "a.gguf");
  const GgufVocabulary vocabulary = tokenizer->gguf_vocabulary();
  EXPECT_EQ(vocabulary.model, "llama");
  EXPECT_EQ(vocabulary.types, file["types"].get<std::vector<int32_t>>());
  EXPECT_TRUE(vocabulary.add_bos);
  EXPECT_FALSE(vocabulary.add_eos);
  EXPECT_TRUE(vocabulary.add_space_prefix);
  const auto back = Tokenizer::from_gguf(vocabulary, "b.gguf");
  for (size_t i = 0; i < file["strings"].size(); ++i)
    EXPECT_EQ(back->encode(file["strings"][i].get<std::string>()), file["ids"][i].get<std::vector<int32_t>>());
}

}  // namespace
}  // namespace hone
