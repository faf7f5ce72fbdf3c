// my_plugin_test.cpp -- what the reward promises.
#include <hone/testing.hpp>

using hone::testing::Component;
using hone::testing::score;

int main() {
  const Component usual("my_plugin"), strict("my_plugin", {{"limit", 4}});
  HONE_EXPECT(score(usual, "it is 42", "42") == 1);
  HONE_EXPECT(score(usual, "it is 41", "42") == 0);
  HONE_EXPECT(score(strict, "it is 42", "42") == 0.5f);
  HONE_EXPECT(std::isnan(score(usual, "it is 42")));  // no answer, no score
  return hone::testing::result();
}
