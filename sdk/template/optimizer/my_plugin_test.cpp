// my_plugin_test.cpp -- two steps worked out by hand.
#include <hone/testing.hpp>

int main() {
  const hone::testing::Component optimizer("my_plugin", {{"learning_rate", 0.5}, {"momentum", 0.5}});
  std::vector<float> parameter = {1, -1};
  std::vector<std::vector<float>> state;
  hone::testing::update(optimizer, 1, parameter, {2, 0}, state);
  HONE_EXPECT(parameter == (std::vector<float>{0, -1}));
  hone::testing::update(optimizer, 2, parameter, {0, 0}, state);
  HONE_EXPECT(parameter == (std::vector<float>{-0.5f, -1}));
  return hone::testing::result();
}
