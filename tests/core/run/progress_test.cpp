// progress_test.cpp -- progress leaves its final line, and nothing when nothing was done.
#include "core/run/progress.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(Progress, LeavesOneFinalLineInAFile) {
  testing::internal::CaptureStderr();
  {
    Progress progress("02 first_rl", 4);
    for (uint64_t i = 1; i <= 4; ++i) progress.update(i, "reward 0.83");
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("02 first_rl  4/4  100%"), std::string::npos) << text;
  EXPECT_NE(text.find("reward 0.83"), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos) << "a file is no terminal";
}

TEST(Progress, IsSilentWhenNothingWasDone) {
  testing::internal::CaptureStderr();
  { Progress progress("01 sft", 0); }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace hone
