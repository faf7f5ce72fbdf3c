// decode_stream_test.cpp -- text that comes token by token is the text of all tokens, in whole characters.
#include "core/text/decode_stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/text/tokenizer_files.h"
#include "core/text/utf8.h"

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
    return raw_ ? text : with_replaced_subparts(text);
  }
  int32_t id_of(std::string_view) const override { return -1; }
  std::string token_of(int32_t) const override { return ""; }
  const char *type() const override { return "bytes"; }
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

std::unique_ptr<Tokenizer> golden(const std::string &name) {
  const auto file =
      nlohmann::json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/" + name + ".json"));
  return make_tokenizer(parse_tokenizer_json(file["tokenizer"].dump(), "golden"));
}

// The token of each byte.
std::vector<int32_t> byte_tokens(const Tokenizer &tokenizer) {
  std::vector<int32_t> ids;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    int32_t id = tokenizer.id_of(name);
    for (int32_t other = 0; id < 0 && other < static_cast<int32_t>(tokenizer.size()); ++other)
      if (tokenizer.decode({other}) == std::string(1, static_cast<char>(byte))) id = other;
    ids.push_back(id);
  }
  return ids;
}

TEST(DecodeStream, LosesNothingAfterARunOfBadBytes) {
  const Bytes bytes(false);
  std::vector<int32_t> ids(15, 0x80);
  for (const int32_t id : {0xE2, 0x82, 0xAC, static_cast<int>('x')}) ids.push_back(id);
  std::string expected;
  for (int i = 0; i < 15; ++i) expected += "\uFFFD";
  EXPECT_EQ(streamed(bytes, ids, false), expected + "€x");
  const auto llama = golden("llama2");
  const auto byte = byte_tokens(*llama);
  EXPECT_EQ(streamed(*llama, {byte[0xF0], byte[0x9F], byte[0x98], byte[0x80], byte[0xFF], byte['a'], llama->id_of("a")},
                     false),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDa");
}

TEST(DecodeStream, IsTheTextOfAllTokensWhateverTheBytesAre) {
  for (const char *name : {"llama2", "smollm", "metaspace"}) {
    const auto tokenizer = golden(name);
    const auto byte = byte_tokens(*tokenizer);
    std::vector<int32_t> pieces;  // whole texts and bytes in turn
    for (const char *text : {"a", " ", " b", "€", "😀", "é", "1", "\n"})
      for (const int32_t id : tokenizer->encode(text)) pieces.push_back(id);
    const std::string bytes = "\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xA9\x80\xFF\xF0\xE2 a";
    for (const char c : bytes)
      if (byte[static_cast<unsigned char>(c)] >= 0) pieces.push_back(byte[static_cast<unsigned char>(c)]);
    std::mt19937 random(9);
    for (int trial = 0; trial < 4000; ++trial) {
      std::vector<int32_t> ids;
      for (uint32_t n = random() % 40; n > 0; --n) {
        const uint32_t kind = random() % 4;
        if (kind == 0)
          ids.push_back(static_cast<int32_t>(random() % tokenizer->size()));
        else if (kind == 1)
          for (const unsigned char c : std::string("€😀")) ids.push_back(std::max(0, byte[c]));
        else
          ids.push_back(pieces[random() % pieces.size()]);
      }
      if (ids.size() > 60) ids.resize(60);
      for (const bool skip : {false, true})
        ASSERT_EQ(streamed(*tokenizer, ids, skip), tokenizer->decode(ids, skip)) << name << " trial " << trial;
    }
  }
}

TEST(DecodeStream, HoldsUpNoLongTextOfFallbackBytes) {
  const auto tokenizer = golden("llama2");
  const auto byte = byte_tokens(*tokenizer);
  std::vector<int32_t> ids;
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text += "€é😀a";
    for (const unsigned char c : std::string("€é😀a")) ids.push_back(byte[c]);
  }
  DecodeStream stream(*tokenizer);
  std::string shown;
  size_t most = 0, shown_tokens = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string part = stream.push(ids[i]);
    shown += part;
    if (!part.empty()) shown_tokens = i;
    most = std::max(most, i - shown_tokens);
  }
  EXPECT_LE(most, 64u);
  EXPECT_EQ(shown + stream.finish(), text);
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
  const std::vector<int32_t> many(300'000, 'a'), special(300'000, 256), bad(300'000, 0x80);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(streamed(tokenizer, many, true).size(), many.size());
  EXPECT_EQ(streamed(tokenizer, special, true), "");
  EXPECT_EQ(streamed(tokenizer, bad, true).size(), 3 * bad.size());
  const auto llama = golden("llama2");
  EXPECT_EQ(streamed(*llama, std::vector<int32_t>(300'000, llama->id_of("<0x80>")), true).size(), 3 * bad.size());
  // Decoding from the start each time would be 45 thousand million bytes.
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), 20);
}

}  // namespace
}  // namespace hone
