// my_plugin_test.cpp -- what the model declares; its numbers are tested with a run.
#include <hone/model.hpp>
#include <hone/testing.hpp>

int main() {
  const hone::testing::Component model("my_plugin", {{"vocab_size", 10}, {"hidden_size", 4}, {"intermediate_size", 8}});
  const auto &methods = model.methods<hone_model>();
  hone_error err{};
  hone_model_info info{};
  info.struct_size = sizeof info;
  HONE_EXPECT(methods.info(model.self(), &info, &err) == HONE_OK);
  std::vector<std::string> names;
  const int32_t code = methods.parameters(
      model.self(),
      [](void *arg, const hone_parameter *p) { static_cast<std::vector<std::string> *>(arg)->emplace_back(p->name.data, p->name.size); },
      &names, &err);
  HONE_EXPECT(code == HONE_OK);
  HONE_EXPECT(names.size() == 11);
  HONE_EXPECT(names.at(info.head) == "lm_head.weight");
  HONE_EXPECT(info.active_parameters == 2 * 10 * 4 + 2 * (4 + 3 * 4 * 8) + 4);
  return hone::testing::result();
}
