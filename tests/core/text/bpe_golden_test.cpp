// bpe_golden_test.cpp -- ids and text of BPE tokenizers against Hugging Face's library and SentencePiece, by golden
// files that tests/parity/compare_tokenizers.py --write-goldens makes (and 10,000 strings by the same script without
// it).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/file.h"
#include "core/text/gguf_pre_tokenizers.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"
#include "tests/support/refusal.h"

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

// What encoding and decoding make of it: Qwen's tokenizers compose.
std::string normalised(const std::string &pre, const std::string &text) {
  if (!pre.starts_with("qwen")) return text;
  std::string out = text;
  for (const auto &[from, to] : {std::pair<std::string, std::string>{"\u212a", "K"}, {"\u2126", "\u03a9"}, {"\u1fd3", "\u0390"}, {"\u1f7d", "\u03ce"}})
    for (size_t at; (at = out.find(from)) != std::string::npos;) out.replace(at, from.size(), to);
  return out;
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

// The names of tokenizer.ggml.pre that hone knows, as it lists them.
std::vector<std::string> pre_tokenizer_names() {
  const std::string said = refusal_of([] { gguf_pre_tokenizer("no such", "f"); });
  const size_t from = said.find("(it knows ") + 10;
  std::istringstream list(said.substr(from, said.rfind(')') - from));
  std::vector<std::string> names;
  for (std::string name; std::getline(list >> std::ws, name, ',');) names.push_back(name);
  return names;
}

TEST(GgufPreTokenizers, EachOneCutsTextAndPutsItTogetherAgain) {
  const std::vector<std::string> names = pre_tokenizer_names();
  ASSERT_GT(names.size(), 40u);
  GgufVocabulary vocabulary = load(golden("gpt2")["tokenizer"])->gguf_vocabulary();
  for (const std::string &name : names) {
    vocabulary.pre = name;
    const auto tokenizer = Tokenizer::from_gguf(vocabulary, name);
    for (const char *text : {"Hello, World! It's 12345.67", "  x\r\n\n y\t", "\u1f7d \u1f74 \u1fd3 \u212a \u2126 \u00b5 \u00df", "漢字カナ 한글 Ж"})
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), true), normalised(name, text)) << name;
  }
}

// As tokenizer.json of DeepSeek-V2 and DeepSeek-LLM has it: line ends as such, and digits apart.
TEST(GgufPreTokenizers, DeepseeksOwnFileIsKnownByLlamaCppsName) {
  nlohmann::json pre = gguf_pre_tokenizer("deepseek-llm", "f").pre_tokenizer;
  EXPECT_EQ(gguf_pre_name(pre, false, "f"), "deepseek-llm");
  nlohmann::json &list = pre["pretokenizers"];
  list[0]["pattern"]["Regex"] = "[\r\n]";
  list[5] = {{"type", "Digits"}, {"individual_digits", true}};
  EXPECT_EQ(gguf_pre_name(pre, false, "f"), "deepseek-llm");
  const std::string scripts = list[1]["pattern"]["Regex"];
  EXPECT_NE(scripts.find("\u1f5f-\u1f7d"), std::string::npos) << "a range that a composing editor would turn around";
  list[3]["pattern"]["Regex"] = "\\s+";
  EXPECT_NE(refusal_of([&] { gguf_pre_name(pre, false, "f"); }).find("llama.cpp has no name"), std::string::npos);
}

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
