// tokenizer_test.cpp -- word-level vocabularies: text to ids and back, files in and out, and files that are wrong.
#include "core/text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/failure.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

const std::vector<std::string> kWords = {"<pad>", "<bos>", "<eos>", "<unk>", "<think>", "</think>",
                                         "1",     "2",     "=",     "wait",  "ok"};
const std::vector<std::string> kSpecial = {"<pad>", "<bos>", "<eos>", "<unk>"};

std::unique_ptr<Tokenizer> make() { return Tokenizer::from_words(kWords, kSpecial, "<unk>"); }

std::string refusal(const std::string &text, const std::string &config = "") {
  ScratchFolder folder;
  const auto path = folder.write("tokenizer.json", text);
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  return refusal_of([&] { Tokenizer::from_file(path); });
}

nlohmann::json valid() { return nlohmann::json::parse(make()->files().at("tokenizer.json")); }

TEST(Tokenizer, SplitsAtAnyWhiteSpace) {
  EXPECT_EQ(make()->encode("1  2\n=\t ok "), (std::vector<int32_t>{6, 7, 8, 10}));
  EXPECT_EQ(make()->encode("1\u00a02\u20032\u3000ok"), (std::vector<int32_t>{6, 7, 7, 10}));
  EXPECT_EQ(make()->encode(""), std::vector<int32_t>{});
  EXPECT_EQ(make()->encode(" \n"), std::vector<int32_t>{});
}

TEST(Tokenizer, GivesTheUnknownTokenForOtherWords) {
  EXPECT_EQ(make()->encode("1 seven 2"), (std::vector<int32_t>{6, 3, 7}));
  const auto strict = Tokenizer::from_words({"a", "b"}, {}, "");
  EXPECT_THROW(strict->encode("a c"), Failure);
}

TEST(Tokenizer, FindsSpecialTokensWithinWords) {
  EXPECT_EQ(make()->encode("1<eos>2"), (std::vector<int32_t>{6, 2, 7}));
  EXPECT_EQ(make()->encode("<eos><eos>"), (std::vector<int32_t>{2, 2}));
  EXPECT_EQ(make()->encode("<eos"), (std::vector<int32_t>{3}));
  EXPECT_EQ(make()->encode("<think> 1"), (std::vector<int32_t>{4, 6}));
}

TEST(Tokenizer, PrefersTheLongestSpecialToken) {
  const auto tokenizer = Tokenizer::from_words({"<a", "<a>", "x"}, {"<a", "<a>"}, "");
  EXPECT_EQ(tokenizer->encode("<a>x<ax"), (std::vector<int32_t>{1, 2, 0, 2}));
}

TEST(Tokenizer, KnowsBeginningAndEndAndLeavesSpecialTokensOut) {
  const auto tokenizer = make();
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->encode("1", true), (std::vector<int32_t>{1, 6}));
  EXPECT_EQ(tokenizer->decode({1, 4, 6, 5, 2}), "<bos> <think> 1 </think> <eos>");
  EXPECT_EQ(tokenizer->decode({1, 4, 6, 5, 2}, true), "<think> 1 </think>");
  EXPECT_EQ(tokenizer->decode({-1, 99, 6}), "1");
  EXPECT_TRUE(tokenizer->is_special(2));
  EXPECT_FALSE(tokenizer->is_special(6));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(1000));
  EXPECT_EQ(tokenizer->token_of(9), "wait");
  EXPECT_EQ(tokenizer->token_of(99), "");
  EXPECT_EQ(tokenizer->id_of("wait"), 9);
  EXPECT_EQ(tokenizer->id_of("Wait"), -1);
}

TEST(Tokenizer, DecodesWhatItEncodes) {
  const auto tokenizer = make();
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int32_t> ids(random() % 20);
    for (int32_t &id : ids) id = static_cast<int32_t>(random() % kWords.size());
    EXPECT_EQ(tokenizer->encode(tokenizer->decode(ids)), ids);
  }
}

TEST(Tokenizer, ReadsBackTheFilesThatItWrites) {
  const auto tokenizer = make();
  ScratchFolder folder;
  const auto path = folder.write("tokenizer.json", tokenizer->files().at("tokenizer.json"));
  folder.write("tokenizer_config.json", tokenizer->files().at("tokenizer_config.json"));
  const auto again = Tokenizer::from_file(path);
  EXPECT_EQ(again->files().at("tokenizer.json"), tokenizer->files().at("tokenizer.json"));
  EXPECT_EQ(again->files().at("tokenizer_config.json"), tokenizer->files().at("tokenizer_config.json"));
  EXPECT_EQ(again->size(), kWords.size());
  EXPECT_EQ(again->eos(), 2);
  EXPECT_EQ(again->encode("1 <think> 2 what", true), tokenizer->encode("1 <think> 2 what", true));
}

// The keys that Hugging Face's reader insists on.
TEST(Tokenizer, WritesWhatHuggingFaceReads) {
  const nlohmann::json file = valid();
  for (const char *key : {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                          "post_processor", "decoder", "model"})
    EXPECT_TRUE(file.contains(key)) << key;
  EXPECT_EQ(file["model"]["type"], "WordLevel");
  EXPECT_EQ(file["model"]["unk_token"], "<unk>");
  for (const auto &token : file["added_tokens"])
    for (const char *key : {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"})
      EXPECT_TRUE(token.contains(key)) << key;
  EXPECT_EQ(file["post_processor"]["special_tokens"]["<bos>"]["ids"], nlohmann::json::array({1}));
}

TEST(Tokenizer, TakesNamesFromItsConfiguration) {
  ScratchFolder folder;
  const auto path = folder.write("tokenizer.json", make()->files().at("tokenizer.json"));
  folder.write("tokenizer_config.json",
               R"({"eos_token": {"content": "ok"}, "bos_token": "wait", "chat_template": "{{ x }}"})");
  const auto tokenizer = Tokenizer::from_file(path);
  EXPECT_EQ(tokenizer->eos(), 10);
  EXPECT_EQ(tokenizer->bos(), 9);
  EXPECT_EQ(nlohmann::json::parse(tokenizer->files().at("tokenizer_config.json"))["chat_template"], "{{ x }}");
}

TEST(Tokenizer, TakesNamesThatItsConfigurationLacksFromTheMapOfSpecialTokens) {
  ScratchFolder folder;
  const auto path = folder.write("tokenizer.json", make()->files().at("tokenizer.json"));
  folder.write("tokenizer_config.json",
               R"({"bos_token": "wait", "chat_template": "{{ bos_token }} {{ eos_token }} {{ sep_token }}"})");
  folder.write("special_tokens_map.json",
               R"({"bos_token": "ok", "eos_token": {"content": "ok"}, "sep_token": "=", "cls_token": null})");
  const auto tokenizer = Tokenizer::from_file(path);
  EXPECT_EQ(tokenizer->bos(), 9);
  EXPECT_EQ(tokenizer->eos(), 10);
  EXPECT_EQ(tokenizer->stop_ids(), std::vector<int32_t>{10});
  EXPECT_EQ(tokenizer->chat().render({{{"role", "user"}, {"content", "x"}}}, false, nullptr, nullptr, "row"),
            "wait ok =");
  const auto wrong = [&](const char *map) -> std::string {
    folder.write("special_tokens_map.json", map);
    return refusal_of([&] { Tokenizer::from_file(path); });
  };
  EXPECT_NE(wrong(R"({"eos_token": "none such"})").find("special_tokens_map.json's eos_token \"none such\""),
            std::string::npos);
  EXPECT_NE(wrong("[").find("special_tokens_map.json: not JSON"), std::string::npos);
}

// The answers of the tokenizers library (0.23) for the same file.
TEST(Tokenizer, TreatsAddedTokensOfWordsAsTheLibraryDoes) {
  nlohmann::json file = valid();
  file["added_tokens"].push_back({{"id", 11},
                                  {"content", "é"},
                                  {"single_word", true},
                                  {"lstrip", false},
                                  {"rstrip", false},
                                  {"normalized", false},
                                  {"special", false}});
  file["added_tokens"].push_back({{"id", 12},
                                  {"content", "<s>"},
                                  {"single_word", false},
                                  {"lstrip", false},
                                  {"rstrip", false},
                                  {"normalized", false},
                                  {"special", true}});
  file["post_processor"]["special_tokens"]["<bos>"]["ids"] = {2, 2};
  ScratchFolder folder;
  const auto tokenizer = Tokenizer::from_file(folder.write("tokenizer.json", file.dump()));
  EXPECT_EQ(tokenizer->encode("é—é"), (std::vector<int32_t>{11, 3, 11}));  // a dash is no character of a word
  EXPECT_EQ(tokenizer->encode("éé é"), (std::vector<int32_t>{3, 11}));
  EXPECT_EQ(tokenizer->encode("1<s>2"), (std::vector<int32_t>{6, 12, 7}));
  EXPECT_EQ(tokenizer->encode("1", true), (std::vector<int32_t>{2, 2, 6}));
  EXPECT_EQ(tokenizer->prefix_ids(), (std::vector<int32_t>{2, 2}));
}

TEST(Tokenizer, ReadsBytesThatAreNoTextAsReplacementCharacters) {
  const auto tokenizer = Tokenizer::from_words({"a\uFFFD", "b"}, {}, "");
  EXPECT_EQ(tokenizer->encode("a\xFF b"), (std::vector<int32_t>{0, 1}));
  EXPECT_THROW(Tokenizer::from_words({"a\xFF"}, {}, ""), Failure);
}

TEST(Tokenizer, RefusesOtherTypesByName) {
  nlohmann::json file = valid();
  file["model"]["type"] = "Unigram";
  EXPECT_NE(refusal(file.dump()).find("model type \"Unigram\" is not supported"), std::string::npos);
  file = valid();
  file["pre_tokenizer"] = {{"type", "ByteLevel"}};
  EXPECT_NE(refusal(file.dump()).find("pre_tokenizer \"ByteLevel\""), std::string::npos);
  file = valid();
  file["normalizer"] = {{"type", "NFC"}};
  EXPECT_NE(refusal(file.dump()).find("normalizer \"NFC\""), std::string::npos);
  file = valid();
  file["post_processor"] = {{"type", "BertProcessing"}};
  EXPECT_NE(refusal(file.dump()).find("post_processor \"BertProcessing\""), std::string::npos);
}

TEST(Tokenizer, RefusesDamagedFiles) {
  EXPECT_NE(refusal("{").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("[1]").find("must be a JSON object"), std::string::npos);
  EXPECT_NE(refusal("{}").find("no \"model\" object"), std::string::npos);
  const auto changed = [](const char *pointer, const nlohmann::json &value) {
    nlohmann::json file = valid();
    file[nlohmann::json::json_pointer(pointer)] = value;
    return refusal(file.dump());
  };
  EXPECT_NE(changed("/model/vocab", nlohmann::json::object()).find("model.vocab"), std::string::npos);
  EXPECT_NE(changed("/model/vocab/wait", -3).find("id -3"), std::string::npos);
  EXPECT_NE(changed("/model/vocab/wait", 1e15).find("whole number"), std::string::npos);
  EXPECT_NE(changed("/model/vocab/wait", 1000000000000).find("outside"), std::string::npos);
  EXPECT_NE(changed("/model/vocab/wait", "9").find("whole number"), std::string::npos);
  EXPECT_NE(changed("/model/vocab/wait", 8).find("belongs to both"), std::string::npos);
  EXPECT_NE(changed("/added_tokens", 3).find("added_tokens must be a list"), std::string::npos);
  EXPECT_NE(changed("/added_tokens/0/content", "").find("added_tokens[0] must have a \"content\""), std::string::npos);
  EXPECT_NE(changed("/added_tokens/0/id", 5).find("belongs to both"), std::string::npos);
  EXPECT_NE(refusal(valid().dump(), R"({"eos_token": "<end>"})").find("eos_token \"<end>\" is not in the vocabulary"),
            std::string::npos);
  EXPECT_NE(refusal(valid().dump(), "nonsense").find("tokenizer_config.json: not JSON"), std::string::npos);
  EXPECT_THROW(Tokenizer::from_file("/nowhere/tokenizer.json"), Failure);
}

TEST(Tokenizer, RefusesVocabulariesThatCannotWork) {
  EXPECT_THROW(Tokenizer::from_words({}, {}, ""), Failure);
  EXPECT_THROW(Tokenizer::from_words({"a", "a"}, {}, ""), Failure);
  EXPECT_THROW(Tokenizer::from_words({"a b"}, {}, ""), Failure);
  EXPECT_THROW(Tokenizer::from_words({""}, {}, ""), Failure);
  EXPECT_THROW(Tokenizer::from_words({"a"}, {"b"}, ""), Failure);
  EXPECT_THROW(Tokenizer::from_words({"a"}, {}, "b"), Failure);
}

}  // namespace
}  // namespace hone
