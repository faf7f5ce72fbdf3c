// my_plugin_test.cpp -- numbers worked out by hand; `hone check` adds finite differences.
#include <hone/testing.hpp>

int main() {
  hone::testing::Rows rows;
  rows.add(0, 1, {-0.5f, -1.5f});
  rows.add(0, 0, {-1.0f});
  const auto out = rows.run(hone::testing::Component("my_plugin"));
  HONE_EXPECT(out.advantage == (std::vector<float>{0.5f, 0.5f, -0.5f}));
  HONE_EXPECT(std::fabs(out.loss - (0.5 * 2.0 - 0.5 * 1.0) / 3) < 1e-6);
  HONE_EXPECT(std::fabs(out.dlogp[0] + 0.5 / 3) < 1e-6 && std::fabs(out.dlogp[2] - 0.5 / 3) < 1e-6);
  return hone::testing::result();
}
