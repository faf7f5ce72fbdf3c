// recheck.cpp -- a stage for the tests: samples once, asks for the log-probs of what it got, and fails unless they are the same bits.
#include <hone/stage.hpp>

#include <cstring>

namespace {

class Recheck final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  float temperature = 1;

  static auto params() {
    return hone::params(hone::param("model", &Recheck::model, "the model", {.required = true}),
                        hone::param("prompts", &Recheck::prompts, "its prompts", {.required = true}),
                        hone::param("temperature", &Recheck::temperature, "of sampling", {.min = 0.01, .max = 10}));
  }
  void start(const hone::Services &services) { host_ = hone::StageHost(services); }

  bool step() override {
    const hone::TableView all = host_.data(prompts);
    const hone::TableView responses = host_.rollout(model, all, {.num_generations = 2, .max_completion_length = 12, .temperature = temperature, .step = 1});
    std::vector<std::string> prompt;
    std::vector<std::vector<int32_t>> ids;
    std::vector<std::vector<float>> recorded;
    for (uint64_t i = 0; i < responses.rows(); ++i) {
      prompt.emplace_back(all.text("prompt", static_cast<uint64_t>(responses.ints("prompt_row")[i])));
      const auto list = responses.int_list("ids", i);
      const auto logprobs = responses.float_list("logprobs", i);
      ids.emplace_back(list.begin(), list.end());
      recorded.emplace_back(logprobs.begin(), logprobs.end());
    }
    hone::Table rows;
    rows.texts("prompt", prompt).int_lists("ids", ids);
    const hone::TableView again = host_.logprobs(model, rows.view(), temperature);
    for (uint64_t i = 0; i < again.rows(); ++i) {
      const auto list = again.float_list("logprobs", i);
      if (list.size() != recorded[i].size() || std::memcmp(list.data(), recorded[i].data(), list.size_bytes()) != 0)
        throw hone::Error("row " + std::to_string(i) + " has other log-probs now");
    }
    hone::Table one;
    one.floats("rows", {static_cast<double>(again.rows())});
    host_.result("rechecked", one.view());
    return false;
  }
  std::string save() const override { return ""; }
  void load(std::string_view) override {}

 private:
  hone::StageHost host_;
};

}  // namespace

HONE_PLUGIN("org.hone.tests.recheck", "1.0.0", hone::component<Recheck>("recheck", "log-probs of what was sampled, twice"));
