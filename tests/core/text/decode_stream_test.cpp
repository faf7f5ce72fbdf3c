// decode_stream_test.cpp -- text that comes token by token is the text of all tokens, in whole characters.
#include "core/text/decode_stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "core/base/text.h"

namespace hone {
namespace {

// A byte is a token: ids 0 to 255, and 256, which is special. Decodes as a byte-level BPE does; raw: bytes as they are.
class Bytes final : public Tokenizer {
 public:
  explicit Bytes(bool raw) : raw_(raw) {}
  std::vector<int32_t> encode(std::string_view text, bool = false) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(const std::vector<int32_t> &ids, bool skip_special = false) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 256)
        text += static_cast<char>(id);
      else if (!skip_special)
        text += "<end>";
    }
    return raw_ ? text : with_replaced_invalid_utf8(text);
  }
  int32_t id_of(std::string_view) const override { return -1; }
  std::string token_of(int32_t) const override { return ""; }
  uint32_t size() const override { return 257; }
  int32_t bos() const override { return -1; }
  int32_t eos() const override { return 256; }
  bool is_special(int32_t id) const override { return id == 256; }
  std::vector<int32_t> stop_ids() const override { return {256}; }
  std::map<std::string, std::string> files() const override { return {}; }
  GgufVocabulary gguf_vocabulary() const override { return {}; }

 private:
  bool raw_;
};

std::string streamed(const Tokenizer &tokenizer, const std::vector<int32_t> &ids, bool skip_special) {
  DecodeStream stream(tokenizer, skip_special);
  std::string all;
  for (const int32_t id : ids) {
    const std::string part = stream.push(id);
    EXPECT_EQ(invalid_utf8(part), std::string::npos) << "a broken character";
    all += part;
  }
  return all + stream.finish();
}

TEST(DecodeStream, NeverShowsABrokenCharacterAndLosesNone) {
  std::mt19937 random(5);
  const std::string letters[] = {"a", " ", "\n", "é", "ß", "日", "😀", "👩‍🚀", "\xEF\xBF\xBD", "e\u0301"};
  for (const bool raw : {false, true}) {
    const Bytes tokenizer(raw);
    for (int trial = 0; trial < 300; ++trial) {
      std::string text;
      std::vector<int32_t> ids;
      for (uint32_t n = random() % 30; n > 0; --n) {
        const std::string &letter = letters[random() % std::size(letters)];
        text += letter;
        for (const int32_t id : tokenizer.encode(letter)) ids.push_back(id);
        if (random() % 10 == 0) ids.push_back(256);
      }
      EXPECT_EQ(streamed(tokenizer, ids, true), text);
      EXPECT_EQ(streamed(tokenizer, ids, false), tokenizer.decode(ids));
    }
  }
}

TEST(DecodeStream, ShowsACharacterAsSoonAsItIsWhole) {
  const Bytes tokenizer(false);
  DecodeStream stream(tokenizer);
  const auto ids = tokenizer.encode("a😀b");
  std::vector<std::string> parts;
  for (const int32_t id : ids) parts.push_back(stream.push(id));
  EXPECT_EQ(parts, (std::vector<std::string>{"a", "", "", "", "😀", "b"}));
}

TEST(DecodeStream, WhatNeverBecomesACharacterIsReplacedAndHoldsUpNothing) {
  const Bytes tokenizer(true);
  DecodeStream stream(tokenizer);
  std::string text;
  for (int i = 0; i < 100; ++i) text += stream.push(0xFF);
  EXPECT_GT(text.size(), 200u);
  text += stream.push('x');
  text += stream.finish();
  EXPECT_EQ(invalid_utf8(text), std::string::npos);
  EXPECT_TRUE(text.ends_with("x"));
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(DecodeStream, JoinsWordsAsDecodingAllOfThemDoes) {
  const auto tokenizer = Tokenizer::from_words({"<eos>", "a", "b", "c"}, {"<eos>"}, "");
  std::mt19937 random(6);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<int32_t> ids(random() % 40);
    for (int32_t &id : ids) id = static_cast<int32_t>(random() % 4);
    EXPECT_EQ(streamed(*tokenizer, ids, true), tokenizer->decode(ids, true));
    EXPECT_EQ(streamed(*tokenizer, ids, false), tokenizer->decode(ids, false));
  }
}

TEST(DecodeStream, TakesTheSameTimeForEachTokenHoweverManyThereAre) {
  const Bytes tokenizer(false);
  const std::vector<int32_t> many(300'000, 'a'), special(300'000, 256);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(streamed(tokenizer, many, true).size(), many.size());
  EXPECT_EQ(streamed(tokenizer, special, true), "");
  // Decoding from the start each time would be 45 thousand million bytes.
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), 20);
}

}  // namespace
}  // namespace hone
