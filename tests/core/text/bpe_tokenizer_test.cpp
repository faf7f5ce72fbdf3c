// bpe_tokenizer_test.cpp -- what must hold of any BPE tokenizer: merges against a plain reference, text there and back,
// threads, long texts, bytes that are no text, and which tokens end a response.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/base/file.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

using nlohmann::json;

std::unique_ptr<Tokenizer> load(const json &tokenizer) {
  return make_tokenizer(parse_tokenizer_json(tokenizer.dump(), "test"));
}

json golden(const std::string &name) {
  return json::parse(
      read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/" + name + ".json"))["tokenizer"];
}

struct Merges {
  std::map<std::string, int32_t> vocabulary;
  std::vector<std::pair<std::string, std::string>> list;
};

// Random merges over a small alphabet.
Merges random_merges(std::mt19937 &random) {
  Merges made;
  std::vector<std::string> tokens = {"a", "b", "c"};
  for (const std::string &token : tokens) made.vocabulary.emplace(token, made.vocabulary.size());
  for (int i = 0; i < 40; ++i) {
    const std::string left = tokens[random() % tokens.size()], right = tokens[random() % tokens.size()];
    if ((left + right).size() > 12 || std::count(made.list.begin(), made.list.end(), std::pair(left, right))) continue;
    made.list.emplace_back(left, right);
    if (made.vocabulary.emplace(left + right, made.vocabulary.size()).second) tokens.push_back(left + right);
  }
  return made;
}

// The definition, word for word: look for the first merge of the list that some neighbours match, merge its leftmost
// occurrence, and begin again.
std::vector<int32_t> reference(const Merges &merges, const std::string &word) {
  std::vector<std::string> tokens;
  for (char c : word) tokens.emplace_back(1, c);
  for (bool merged = true; merged;) {
    merged = false;
    for (const auto &[left, right] : merges.list) {
      for (size_t i = 0; i + 1 < tokens.size() && !merged; ++i)
        if (tokens[i] == left && tokens[i + 1] == right) {
          tokens[i] += right;
          tokens.erase(tokens.begin() + i + 1);
          merged = true;
        }
      if (merged) break;
    }
  }
  std::vector<int32_t> ids;
  for (const std::string &token : tokens) ids.push_back(merges.vocabulary.at(token));
  return ids;
}

TEST(BpeTokenizer, MergesShortAndLongWordsAsTheDefinitionSays) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 30; ++trial) {
    const Merges merges = random_merges(random);
    json list = json::array();
    for (const auto &[left, right] : merges.list) {
      if (trial % 2)
        list.push_back(left + " " + right);
      else
        list.push_back({left, right});
    }
    const auto tokenizer = load({{"model", {{"type", "BPE"}, {"vocab", merges.vocabulary}, {"merges", list}}}});
    for (const size_t length : {1, 2, 5, 17, 31, 32, 33, 34, 60, 150}) {
      std::string word;
      while (word.size() < length) word += "aaabbc"[random() % 6];
      const std::vector<int32_t> expected = reference(merges, word);
      EXPECT_EQ(tokenizer->encode(word), expected) << word;
      EXPECT_EQ(tokenizer->encode(word), expected) << word << " from the cache";
    }
  }
}

std::string random_text(std::mt19937 &random, size_t characters) {
  std::string text;
  for (size_t i = 0; i < characters; ++i) {
    const uint32_t c = random() % 4 == 0   ? random() % 0x110000
                       : random() % 3 == 0 ? random() % 0x3000
                                           : random() % 0x80;
    if (c >= 0xD800 && c < 0xE000) continue;
    const char bytes[] = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
                          static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    if (c < 0x80)
      text += static_cast<char>(c);
    else if (c < 0x800)
      text += {static_cast<char>(0xC0 | c >> 6), bytes[3]};
    else if (c < 0x10000)
      text += {static_cast<char>(0xE0 | c >> 12), bytes[2], bytes[3]};
    else
      text.append(bytes, 4);
  }
  return text;
}

TEST(BpeTokenizer, DecodesAnyTextThatItEncodes) {
  std::mt19937 random(11);
  for (const char *name : {"gpt2", "llama3", "smollm", "gpt4o", "llama2"}) {
    const auto tokenizer = load(golden(name));
    for (int trial = 0; trial < 200; ++trial) {
      const std::string text = random_text(random, random() % 60);
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
    }
  }
}

TEST(BpeTokenizer, GivesTheSameIdsToManyThreadsAtOnce) {
  const auto tokenizer = load(golden("deepseek3"));
  std::vector<std::string> texts;
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i)
    texts.push_back("incomprehensibly unquestionable " + std::to_string(random() % 50) + random_text(random, 20));
  std::vector<std::vector<std::vector<int32_t>>> ids(4);
  std::vector<std::thread> threads;
  for (auto &mine : ids)
    threads.emplace_back([&] {
      for (const std::string &text : texts) mine.push_back(tokenizer->encode(text));
    });
  for (std::thread &thread : threads) thread.join();
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto expected = load(golden("deepseek3"))->encode(texts[i]);  // a new one: it has seen no word before
    for (const auto &mine : ids) EXPECT_EQ(mine[i], expected) << texts[i];
  }
}

// A megabyte takes a fraction of a second; a search of all pairs after every merge would take hours.
TEST(BpeTokenizer, TakesLongRunsWithoutASpaceInTimeThatGrowsWithThem) {
  for (const char *name : {"gpt2", "qwen2", "deepseek3", "llama2"}) {
    const auto tokenizer = load(golden(name));
    for (const std::string &text :
         {std::string(1000000, 'a'), std::string(1000000, ' ') + "x", std::string(500000, '\n')}) {
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << name;
    }
  }
}

// Unicode 15, table 3-8.
TEST(BpeTokenizer, ReadsBytesThatAreNoTextAsReplacementCharacters) {
  const auto tokenizer = load(golden("gpt2"));
  EXPECT_EQ(tokenizer->encode("a\xF1\x80\x80\xE1\x80\xC2"
                              "b\x80"
                              "c\x80\xBF"
                              "d"),
            tokenizer->encode("a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd"));
  EXPECT_EQ(tokenizer->encode("\xF0\x9F\x98"), tokenizer->encode("\uFFFD"));
}

TEST(BpeTokenizer, DecodesHalfACharacterAsOneReplacement) {
  const auto tokenizer = load(golden("gpt2"));
  std::vector<int32_t> ids = tokenizer->encode("\U00013000");  // in no merge: one token for each of its four bytes
  ASSERT_EQ(ids.size(), 4u);
  ids.pop_back();
  EXPECT_EQ(tokenizer->decode(ids), "\uFFFD");
  ids.push_back(tokenizer->encode("x")[0]);
  EXPECT_EQ(tokenizer->decode(ids), "\uFFFDx");
  EXPECT_EQ(tokenizer->decode({-5, 1 << 30}), "");
}

// As transformers has it: tokens that only tokenizer_config.json has are added, and its flags win.
TEST(BpeTokenizer, TakesAddedTokensFromTokenizerConfig) {
  const ScratchFolder folder;
  nlohmann::json file = golden("llama3");
  folder.write("tokenizer.json", file.dump());
  const auto plain = Tokenizer::from_directory(folder.path);
  const auto size = static_cast<int32_t>(plain->size());
  const auto with = [&](const nlohmann::json &config) {
    folder.write("tokenizer_config.json", config.dump());
    return Tokenizer::from_directory(folder.path);
  };
  EXPECT_GT(plain->encode("<think>").size(), 1u);
  const std::string id = std::to_string(size), next = std::to_string(size + 1);
  auto tokenizer = with({{"added_tokens_decoder",
                          {{next, {{"content", "<|done|>"}, {"special", true}, {"normalized", false}}}, {id, {{"content", "<think>"}, {"normalized", false}}}}},
                         {"eos_token", "<|done|>"}});
  EXPECT_EQ(tokenizer->encode("<think><|done|>"), (std::vector<int32_t>{size, size + 1}));
  EXPECT_EQ(tokenizer->eos(), size + 1);
  EXPECT_TRUE(tokenizer->is_special(size + 1));
  EXPECT_FALSE(tokenizer->is_special(size));
  EXPECT_EQ(tokenizer->files().at("tokenizer.json"), file.dump()) << "files are kept as they were";

  // Flags of a token that tokenizer.json has as well.
  file["added_tokens"].push_back({{"id", size}, {"content", "<tool>"}, {"special", false}, {"normalized", false}, {"lstrip", false}, {"rstrip", false}});
  folder.write("tokenizer.json", file.dump());
  const std::vector<int32_t> apart = with(nlohmann::json::object())->encode("a <tool> b");
  tokenizer = with({{"added_tokens_decoder", {{id, {{"content", "<tool>"}, {"lstrip", true}, {"rstrip", true}}}}}});
  std::vector<int32_t> wanted = tokenizer->encode("a");
  wanted.push_back(size);
  wanted.push_back(tokenizer->encode("b")[0]);
  EXPECT_EQ(tokenizer->encode("a <tool> b"), wanted);
  EXPECT_NE(apart, wanted);

  // In older directories the names alone; tokenizer_config.json, where it has a word on them, is all that counts.
  folder.write("added_tokens.json", nlohmann::json{{"<think>", size + 1}, {"<tool>", size}}.dump());
  EXPECT_EQ(with(nlohmann::json::object())->encode("<think>"), std::vector<int32_t>{size + 1});
  EXPECT_GT(with({{"added_tokens_decoder", nlohmann::json::object()}})->encode("<think>").size(), 1u);

  const auto refusal = [&](const nlohmann::json &config) { return refusal_of([&] { with(config); }); };
  EXPECT_NE(refusal({{"added_tokens_decoder", {{"x", {{"content", "a"}}}}}}).find("tokenizer_config.json: added_tokens_decoder[\"x\"] must be a token id"),
            std::string::npos);
  EXPECT_NE(refusal({{"added_tokens_decoder", {{id, 5}}}}).find("but it is 5"), std::string::npos);
  EXPECT_NE(refusal({{"added_tokens_decoder", 5}}).find("must be an object"), std::string::npos);
  EXPECT_NE(refusal({{"added_tokens_decoder", {{"4", {{"content", "<four>"}}}}}}).find("belongs to both"), std::string::npos);
  folder.write("added_tokens.json", R"({"<a>": "b"})");
  EXPECT_NE(refusal(nlohmann::json::object()).find("added_tokens.json: \"<a>\" must be a token with its id"), std::string::npos);
}

TEST(BpeTokenizer, TakesTheEndsOfAResponseFromAllFiles) {
  const ScratchFolder folder;
  const auto refusal = [&] { return refusal_of([&] { Tokenizer::from_directory(folder.path); }); };
  EXPECT_NE(refusal().find("has no tokenizer.json"), std::string::npos);
  folder.write("tokenizer.json", golden("llama3").dump());
  EXPECT_EQ(Tokenizer::from_directory(folder.path)->stop_ids(),
            std::vector<int32_t>{1});  // <|end_of_text|>, by its spelling
  folder.write("tokenizer_config.json",
               R"({"eos_token": "<|eot_id|>", "bos_token": {"content": "<|begin_of_text|>"}})");
  folder.write("generation_config.json", R"({"eos_token_id": [1, 2, 1]})");
  folder.write("chat_template.jinja", "{{ messages }}");
  const auto tokenizer = Tokenizer::from_directory(folder.path);
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->stop_ids(), (std::vector<int32_t>{2, 1}));
  EXPECT_TRUE(tokenizer->is_special(2));
  EXPECT_FALSE(tokenizer->is_special(3));
  const auto files = tokenizer->files();
  EXPECT_EQ(files.size(), 3u);
  EXPECT_EQ(tokenizer->chat().text(), "{{ messages }}");
  for (const auto &[name, text] : files) EXPECT_EQ(text, read_file(folder.path / name));

  folder.write("generation_config.json", R"({"eos_token_id": [100000, -1, 1]})");  // what is no token ends nothing
  EXPECT_EQ(Tokenizer::from_directory(folder.path)->stop_ids(), (std::vector<int32_t>{2, 1}));
  folder.write("config.json", R"({"eos_token_id": [1, 5]})");  // stands in for generation_config.json alone
  EXPECT_EQ(Tokenizer::from_directory(folder.path)->stop_ids(), (std::vector<int32_t>{2, 1}));
  std::filesystem::remove(folder.path / "generation_config.json");
  EXPECT_EQ(Tokenizer::from_directory(folder.path)->stop_ids(), (std::vector<int32_t>{2, 1, 5}));
  std::filesystem::remove(folder.path / "config.json");
  folder.write("generation_config.json", R"({"eos_token_id": ["x"]})");
  EXPECT_NE(refusal().find("generation_config.json: eos_token_id must be a token id"), std::string::npos);
  folder.write("generation_config.json", "{}");
  folder.write("tokenizer_config.json", R"({"eos_token": null})");
  EXPECT_EQ(Tokenizer::from_directory(folder.path)->stop_ids(), std::vector<int32_t>{});
}

}  // namespace
}  // namespace hone
