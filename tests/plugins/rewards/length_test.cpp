// length_test.cpp -- the curves at their corners and between.
#include <gtest/gtest.h>

#include "tests/plugins/rewards/open_reward.h"

namespace hone {
namespace {

TEST(Length, IsLinearBetweenItsLimits) {
  OpenReward shorter("length", {{"min_tokens", 10}, {"max_tokens", 30}});
  OpenReward longer("length", {{"mode", "long"}, {"min_tokens", 10}, {"max_tokens", 30}});
  for (const auto &[tokens, score] : {std::pair<size_t, float>{0, 1}, {10, 1}, {15, 0.75f}, {20, 0.5f}, {30, 0}, {99, 0}}) {
    EXPECT_EQ(shorter("", "", false, tokens), score) << tokens;
    EXPECT_EQ(longer("", "", false, tokens), 1 - score) << tokens;
  }
}

TEST(Length, OverlongIsDaposEquation13) {
  // Cases of the equation as printed, beside.
  OpenReward overlong("length", {{"mode", "overlong"}, {"max_tokens", 100}, {"cache", 40}});
  for (size_t tokens = 0; tokens < 150; ++tokens) {
    const double expected = tokens <= 60 ? 0 : tokens <= 100 ? (60.0 - double(tokens)) / 40 : -1;
    EXPECT_FLOAT_EQ(overlong("", "", false, tokens), float(expected)) << tokens;
  }
}

TEST(Length, LimitsThatContradictAreSentences) {
  EXPECT_THROW(OpenReward("length", {{"min_tokens", 30}, {"max_tokens", 30}}), std::exception);
  EXPECT_THROW(OpenReward("length", {{"mode", "overlong"}, {"max_tokens", 30}, {"cache", 31}}), std::exception);
  EXPECT_THROW(OpenReward("length", {{"mode", "medium"}}), std::exception);
}

}  // namespace
}  // namespace hone
