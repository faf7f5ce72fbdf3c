// continues.cpp -- a stage for the tests: samples greedily, goes on from every cut of what it got, and fails unless the end is the same
// bits.
#include <algorithm>
#include <cstring>
#include <hone/stage.hpp>

namespace {

class Continues final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;

  static auto params() {
    return hone::params(hone::param("model", &Continues::model, "the model", {.required = true}),
                        hone::param("prompts", &Continues::prompts, "its prompts", {.required = true}));
  }
  void start(const hone::Services &services) { host_ = hone::StageHost(services); }

  bool step() override {
    const hone::TableView all = host_.data(prompts);
    const hone::TableView whole = host_.rollout(model, all, {.max_completion_length = 12, .temperature = 0, .step = 1});
    struct Cut {
      std::vector<int32_t> rest;
      std::vector<float> logprobs;
      std::string text;
    };
    std::vector<Cut> expected;
    std::vector<std::string> prompt;
    std::vector<std::vector<int32_t>> begun;
    for (uint64_t i = 0; i < whole.rows(); ++i) {
      const auto ids = whole.int_list("ids", i);
      const auto logprobs = whole.float_list("logprobs", i);
      for (size_t cut = 0; cut < ids.size(); ++cut) {
        prompt.emplace_back(all.text("prompt", i));
        begun.emplace_back(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(cut));
        expected.push_back({{ids.begin() + static_cast<ptrdiff_t>(cut), ids.end()},
                            {logprobs.begin() + static_cast<ptrdiff_t>(cut), logprobs.end()},
                            std::string(whole.text("response", i))});
      }
    }
    hone::Table rows;
    rows.texts("prompt", prompt).int_lists("ids", begun);
    const hone::TableView again = host_.rollout(model, rows.view(), {.max_completion_length = 12, .temperature = 0, .step = 2});
    for (uint64_t i = 0; i < again.rows(); ++i) {
      const std::string where = "cut " + std::to_string(begun[i].size()) + " of \"" + expected[i].text + "\"";
      const auto ids = again.int_list("ids", i);
      const auto logprobs = again.float_list("logprobs", i);
      const size_t n = expected[i].rest.size();  // what was cut off at the limit goes further now
      if (ids.size() < n || !std::equal(expected[i].rest.begin(), expected[i].rest.end(), ids.begin()))
        throw hone::Error(where + " goes on otherwise");
      if (std::memcmp(logprobs.data(), expected[i].logprobs.data(), n * sizeof(float)) != 0)
        throw hone::Error(where + " has other log-probs");
      if (!again.text("response", i).starts_with(expected[i].text))
        throw hone::Error(where + " has the text " + std::string(again.text("response", i)));
    }
    hone::Table one;
    one.floats("rows", {static_cast<double>(again.rows())});
    host_.result("continued", one.view());
    return false;
  }
  std::string save() const override { return ""; }
  void load(std::string_view) override {}

 private:
  hone::StageHost host_;
};

}  // namespace

HONE_PLUGIN("org.hone.tests.continues", "1.0.0", hone::component<Continues>("continues", "responses that are gone on with from any token"));
