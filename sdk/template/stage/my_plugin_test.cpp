// my_plugin_test.cpp -- the stage against a host whose model is a function.
#include <hone/testing_stage.hpp>

int main() {
  hone::testing::StageHost host;
  host.rows.texts("prompt", {"a", "b", "c", "d", "e"});
  host.respond = [](int64_t, std::string_view prompt, uint32_t i) { return std::string(prompt) + std::to_string(i); };
  host.cut_off = [](std::string_view response) { return response.back() == '1'; };
  const hone::testing::Component stage("my_plugin", {{"batch_size", 2}, {"num_generations", 3}}, host.services());
  HONE_EXPECT(hone::testing::run(stage) == 3);
  HONE_EXPECT(host.emitted.rows() == 10);
  HONE_EXPECT(host.emitted.view().text("response", 9) == "e2");
  HONE_EXPECT(host.emitted.view().text("prompt", 9) == "e");

  // A stage that goes on from what was saved is done at once.
  const hone::testing::Component other("my_plugin", {{"batch_size", 2}}, host.services());
  hone::testing::load(other, hone::testing::save(stage));
  HONE_EXPECT(!hone::testing::step(other));
  return hone::testing::result();
}
