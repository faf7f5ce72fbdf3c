// language_test.cpp -- shares of words by hand.
#include <gtest/gtest.h>

#include "tests/plugins/rewards/open_reward.h"

namespace hone {
namespace {

TEST(Language, IsTheShareOfTargetWords) {
  OpenReward english("language");
  const auto think = [](const std::string &text) { return "<think>" + text + "</think> <answer>答案</answer>"; };
  EXPECT_EQ(english(think("one two three")), 1);
  EXPECT_EQ(english(think("one два three четыре")), 0.5f);
  EXPECT_EQ(english(think("so 我们 go")), 0.5f) << "two characters are two words";
  EXPECT_EQ(english(think("3 + 4 = 7 ; wait")), 1) << "signs and ASCII digits are everybody's";
  EXPECT_EQ(english(think("3 + 4")), 1);
  EXPECT_EQ(english(think("naïve café don't")), 1);
  EXPECT_EQ(english(think("nai\xCC\x88ve")), 1) << "a combining mark";
  EXPECT_EQ(english(think("6 * \xD9\xA2 = \xD9\xA3")), 0.6f) << "another script's digits";
  EXPECT_EQ(english(think("mixедword ok")), 0.5f);
  EXPECT_EQ(english(think("bad\xff\xfe ok")), 0.5f);
  EXPECT_EQ(english(think("привет")), 0);
}

TEST(Language, KnowsOtherLanguagesAndScripts) {
  OpenReward chinese("language", {{"expect", "zh"}});
  EXPECT_EQ(chinese("<think>我们 so 看</think>"), 0.75f);
  EXPECT_EQ(chinese("<think>我们：3 + 4。</think>"), 1);
  EXPECT_EQ(OpenReward("language", {{"expect", "ja"}})("<think>これは漢字 カナ</think>"), 1);
  EXPECT_EQ(OpenReward("language", {{"expect", "ru"}})("<think>да no</think>"), 0.5f);
  EXPECT_EQ(OpenReward("language", {{"expect", "Arabic"}})("<think>\xD9\xA2 = x</think>"), float(2.0 / 3));
  for (const char *bad : {"", "xx", "english", "Klingon-like"}) {
    try {
      OpenReward language("language", {{"expect", bad}});
      FAIL() << bad;
    } catch (const std::exception &error) {
      EXPECT_NE(std::string(error.what()).find("expect"), std::string::npos);
    }
  }
}

TEST(Language, AnEmptyThinkEarnsNothingUnlessAllowed) {
  OpenReward strict("language"), lax("language", {{"require_thinking", false}});
  for (const char *text : {"<think></think> <answer>7</answer>", "<think> \n </think>", "<think>"}) {
    EXPECT_EQ(strict(text), 0) << text;
    EXPECT_EQ(lax(text), 1) << text;
  }
  EXPECT_EQ(strict("no tags"), 0);
  EXPECT_EQ(lax("no теги"), 0.5f);
  EXPECT_EQ(strict("the prompt opened it</think> да"), 1);
}

}  // namespace
}  // namespace hone
