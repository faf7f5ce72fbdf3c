// format_test.cpp -- only the whole form scores.
#include <gtest/gtest.h>

#include "tests/plugins/rewards/open_reward.h"

namespace hone {
namespace {

TEST(Format, OnlyTheWholeFormScores) {
  OpenReward format("format");
  for (const char *good : {"<think>a</think><answer>b</answer>", "  <think>\nlong\n</think>\n\n<answer> 7 </answer>\n",
                           "<think>2 < 3</think> <answer>x > y</answer>"})
    EXPECT_EQ(format(good), 1) << good;
  for (const char *bad : {"", "7", "<think></think><answer>b</answer>", "<think> \n</think><answer>b</answer>", "<think>a</think><answer></answer>",
                          "<think>a</think><answer> </answer>", "x<think>a</think><answer>b</answer>", "<think>a</think>x<answer>b</answer>",
                          "<think>a</think><answer>b</answer>x", "<think>a<answer>b</answer>", "<think>a</think><answer>b",
                          "<answer>b</answer><think>a</think>", "<think>a</think></think><answer>b</answer>",
                          "<think><think>a</think><answer>b</answer>", "<think>a</think><answer>b</answer><answer>c</answer>",
                          "<think>a<answer>x</answer></think><answer>b</answer>", "a</think><answer>b</answer>", "<THINK>a</THINK><answer>b</answer>",
                          "<think>a</think><answer>"})
    EXPECT_EQ(format(bad), 0) << bad;
  EXPECT_EQ(format("<think>a</think><answer>b</answer>", "", true), 0) << "truncated";
}

TEST(Format, TakesOtherTagsNoAnswerTagsAndAnOpenedPrompt) {
  OpenReward bare("format", {{"answer_open", ""}, {"answer_close", ""}});
  EXPECT_EQ(bare("<think>a</think> b"), 1);
  EXPECT_EQ(bare("<think>a</think> "), 0);
  OpenReward opened("format", {{"opened", true}});
  EXPECT_EQ(opened("a</think><answer>b</answer>"), 1);
  EXPECT_EQ(opened("<think>a</think><answer>b</answer>"), 0);
  OpenReward other("format", {{"open", "{"}, {"close", "}"}, {"answer_open", "["}, {"answer_close", "]"}});
  EXPECT_EQ(other("{a}[b]"), 1);
  EXPECT_EQ(other("{a}[b"), 0);
  EXPECT_THROW(OpenReward("format", {{"open", ""}}), std::exception);
  EXPECT_THROW(OpenReward("format", {{"answer_open", ""}}), std::exception);
}

}  // namespace
}  // namespace hone
