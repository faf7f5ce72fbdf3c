// response_steps_test.cpp -- steps of a response begin where its separators are complete, in tokens and in text alike.
#include "core/text/response_steps.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/base/file.h"
#include "core/text/tokenizer_files.h"

namespace hone {
namespace {

std::unique_ptr<Tokenizer> golden(const std::string &name) {
  const auto file = nlohmann::json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/text/goldens/" + name + ".json"));
  return make_tokenizer(parse_tokenizer_json(file["tokenizer"].dump(), "golden"));
}
std::unique_ptr<Tokenizer> words() {
  return Tokenizer::from_words({"<bos>", "<eos>", "a", "b", "c", ";", "</step>"}, {"<bos>", "<eos>"}, "");
}

// The steps' texts, checked against the tokens: those of the steps before decode to what stands before.
std::vector<std::string> texts(const Tokenizer &tokenizer, const std::vector<int32_t> &ids, const std::vector<std::string> &separators) {
  const ResponseSteps steps = response_steps(tokenizer, ids, separators);
  EXPECT_EQ(steps.start.size(), steps.text.size());
  std::vector<int32_t> kept = ids;
  if (!kept.empty() && kept.back() == tokenizer.eos()) kept.pop_back();
  const std::string whole = tokenizer.decode(kept);
  std::vector<std::string> out;
  for (size_t i = 0; i < steps.start.size(); ++i) {
    EXPECT_EQ(steps.text[i], tokenizer.decode({ids.begin(), ids.begin() + steps.start[i]}).size()) << "step " << i << " of " << whole;
    const size_t end = i + 1 < steps.text.size() ? steps.text[i + 1] : whole.size();
    out.push_back(whole.substr(steps.text[i], end - steps.text[i]));
  }
  return out;
}
using Texts = std::vector<std::string>;

TEST(ResponseSteps, OfWordsEndWithTheTokenThatCompletesASeparator) {
  const auto tokenizer = words();
  const auto of = [&](const std::string &text, const Texts &separators) { return texts(*tokenizer, tokenizer->encode(text), separators); };
  EXPECT_EQ(of("a b ; c ; b", {";"}), (Texts{"a b ;", " c ;", " b"}));
  EXPECT_EQ(of("a </step> b ; c </step>", {"</step>", ";"}), (Texts{"a </step>", " b ;", " c </step>"}));
  EXPECT_EQ(of("a b c", {";"}), Texts{"a b c"});
  EXPECT_EQ(of("a ; b", {}), Texts{"a ; b"});
  EXPECT_EQ(response_steps(*tokenizer, {}, {";"}).start, std::vector<uint32_t>{});
}

TEST(ResponseSteps, TheTokenThatEndsTheResponseIsInTheLastStepAndNoneByItself) {
  const auto tokenizer = words();
  std::vector<int32_t> ids = tokenizer->encode("a ; b ;");
  ids.push_back(tokenizer->eos());
  EXPECT_EQ(response_steps(*tokenizer, ids, {";"}).start, (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(texts(*tokenizer, ids, {";"}), (Texts{"a ;", " b ;"}));
  EXPECT_EQ(response_steps(*tokenizer, {tokenizer->eos()}, {";"}).start, (std::vector<uint32_t>{0}));
}

TEST(ResponseSteps, WhatHasNothingBeforeItsSeparatorIsNoStep) {
  const auto tokenizer = words();
  const auto of = [&](const std::string &text) { return texts(*tokenizer, tokenizer->encode(text), {";"}); };
  EXPECT_EQ(of("; ; a ; ; ; b ; ;"), (Texts{"; ; a ;", " ; ; b ; ;"}));
  EXPECT_EQ(of("; ;"), Texts{"; ;"});
}

TEST(ResponseSteps, OfBytePairsAreLinesHoweverTheTokensLie) {
  for (const char *name : {"smollm", "llama3", "qwen2", "llama2"}) {
    const auto tokenizer = golden(name);
    // A token may hold two line breaks, or the spaces of the next line.
    const std::string text = "First, 3 + 4 = 7.\nThen 7 é 日本 😀\n\n  so it is 14.\n";
    const std::vector<int32_t> ids = tokenizer->encode(text);
    const Texts steps = texts(*tokenizer, ids, {"\n"});
    ASSERT_EQ(steps.size(), 3u) << name;
    for (const std::string &step : {steps[0], steps[1]}) EXPECT_NE(step.find('\n'), std::string::npos) << name << ": " << step;
    EXPECT_NE(steps[0].find("First"), std::string::npos);
    EXPECT_NE(steps[1].find("Then"), std::string::npos) << name << ": " << steps[0] << "|" << steps[1];
    EXPECT_NE(steps[2].find("so it is"), std::string::npos);
  }
}

// Byte-fallback tokens have no text of their own until a run of them is over, and none of their own at all in a bad run.
TEST(ResponseSteps, EndWithALineBreakThatIsAByte) {
  const auto tokenizer = golden("llama2");
  const auto byte = [&](int value) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", value);
    return tokenizer->id_of(name);
  };
  const int32_t a = tokenizer->id_of("a");
  EXPECT_EQ(response_steps(*tokenizer, {a, byte('\n'), a, a, byte('\n'), byte('\n'), a}, {"\n"}).start, (std::vector<uint32_t>{0, 2, 5}));
  EXPECT_EQ(texts(*tokenizer, {a, byte('\n'), byte(0xE2), byte(0x82), byte(0xAC), byte('\n'), a}, {"\n"}), (Texts{"a\n", "€\n", "a"}));
  EXPECT_EQ(texts(*tokenizer, {a, byte('\n'), a, byte('\n')}, {"\n"}), (Texts{"a\n", "a\n"}));
  const ResponseSteps bad = response_steps(*tokenizer, {a, byte('\n'), byte(0xFF), a}, {"\n"});
  EXPECT_EQ(bad.start, (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(bad.text, (std::vector<uint32_t>{0, 1}));
}

// Against a search of the whole text: a step's text ends with the first token after which one more separator is complete.
TEST(ResponseSteps, AreThoseOfASearchOfTheDecodedText) {
  std::mt19937 random(7);
  const auto tokenizer = golden("smollm");
  for (int trial = 0; trial < 200; ++trial) {
    std::string text;
    for (uint32_t n = 1 + random() % 12; n > 0; --n) text += (const char *[]){"one", " two", "##", "#", " x = 3"}[random() % 5];
    const std::vector<int32_t> ids = tokenizer->encode(text);
    std::vector<uint32_t> expected{0};
    std::string step;
    size_t shown = 0;
    for (uint32_t t = 0; t < ids.size(); ++t) {
      const std::string so_far = tokenizer->decode({ids.begin(), ids.begin() + t + 1});
      step += so_far.substr(shown), shown = so_far.size();
      std::string_view rest = step;
      while (rest.starts_with("##")) rest.remove_prefix(2);
      if (rest.find("##") == std::string_view::npos) continue;
      expected.push_back(t + 1), step.clear();
    }
    std::string_view rest = step;
    while (rest.starts_with("##")) rest.remove_prefix(2);
    if (expected.size() > 1 && rest.empty()) expected.pop_back();
    EXPECT_EQ(response_steps(*tokenizer, ids, {"##"}).start, expected) << text;
  }
}

}  // namespace
}  // namespace hone
