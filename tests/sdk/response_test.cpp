// response_test.cpp -- the parts of a response: what is thinking, what is answer, and when there is none.
#include <gtest/gtest.h>

#include <hone/response.hpp>

namespace {

using hone::split_response;

TEST(Response, TheAnswerStandsAfterTheThinking) {
  const auto parts = split_response("<think> a <answer> 9 </answer> </think> so <answer> 1 </answer> .");
  EXPECT_EQ(parts.thinking, " a <answer> 9 </answer> ");
  EXPECT_TRUE(parts.closed);
  EXPECT_EQ(parts.rest, " so <answer> 1 </answer> .");
  EXPECT_EQ(parts.answer, " 1 ");
  EXPECT_EQ(hone::answer_of("<think> a <answer> 9 </answer> </think> 1 "), "1") << "a draft inside the thinking";
  EXPECT_EQ(hone::answer_of("<think> a <answer> 9 </answer>"), "") << "the thinking never ended";
  EXPECT_EQ(hone::answer_of(" 7 "), "7") << "no thinking at all";
  EXPECT_EQ(hone::answer_of("<answer>1</answer> <answer>2</answer> <answer>3"), "2") << "the last whole pair";
}

TEST(Response, ThinkingMayBeginInThePromptAndNeverEnd) {
  EXPECT_EQ(split_response("a </think> b").thinking, "a ");
  EXPECT_EQ(split_response("a </think> <think> b").thinking, "a ");
  EXPECT_EQ(split_response("<think> a").thinking, " a");
  EXPECT_FALSE(split_response("<think> a").closed);
  EXPECT_EQ(split_response("b").thinking, std::nullopt);
  EXPECT_EQ(split_response("").rest, "");
}

TEST(Response, EmptyTagsOccurNowhere) {
  const auto parts = split_response("<think> a </think> <answer> b </answer>", {"", "", "", ""});
  EXPECT_EQ(parts.thinking, std::nullopt);
  EXPECT_EQ(parts.rest, "<think> a </think> <answer> b </answer>");
  EXPECT_EQ(parts.answer, std::nullopt);
  EXPECT_EQ(hone::answer_of("<think> a </think> b", {"<think>", "</think>", "", ""}), "b");
}

TEST(Response, IsWellFormedOnlyWhole) {
  const char *const whole = "<think> a </think> <answer> b </answer>";
  EXPECT_TRUE(hone::well_formed(whole, false));
  EXPECT_FALSE(hone::well_formed(whole, true)) << "truncated";
  EXPECT_FALSE(hone::well_formed(whole + 8, false));
  EXPECT_TRUE(hone::well_formed(whole + 8, false, {}, true)) << "the prompt opened the thinking";
  EXPECT_TRUE(hone::well_formed("<think> a </think> b", false, {"<think>", "</think>", "", ""}));
  EXPECT_FALSE(hone::well_formed("<think> a </think> ", false, {"<think>", "</think>", "", ""}));
}

}  // namespace
