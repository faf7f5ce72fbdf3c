// my_plugin.cpp -- a stage: samples `num_generations` responses to each prompt, `batch_size` prompts in a step, and keeps
// those that end by themselves.
#include <hone/json.hpp>
#include <hone/rollouts.hpp>

#include <algorithm>

namespace {

class MyPlugin final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  uint32_t num_generations = 4, max_completion_length = 256, batch_size = 32;

  static auto params() {
    return hone::params(hone::param("model", &MyPlugin::model, "the model that responds", {.required = true}),
                        hone::param("prompts", &MyPlugin::prompts, "what it responds to", {.required = true}),
                        hone::param("num_generations", &MyPlugin::num_generations, "responses per prompt", {.min = 1, .max = 4096}),
                        hone::param("max_completion_length", &MyPlugin::max_completion_length, "tokens of a response", {.min = 1}),
                        hone::param("batch_size", &MyPlugin::batch_size, "prompts in one step", {.min = 1}));
  }

  void start(const hone::Services &services) { host_ = hone::StageHost(services); }

  bool step() override {
    if (all_.size() == 0) all_ = hone::Prompts::read(host_, prompts);  // the same rows in every process
    const size_t end = std::min(done_ + batch_size, all_.size());
    if (done_ < end) {
      const auto responses = hone::Responses::sample(host_, model, all_, done_, end,
                                                     {.num_generations = num_generations, .max_completion_length = max_completion_length,
                                                      .step = static_cast<uint32_t>(done_ / batch_size)});
      // Rows {prompt, response, ...}, which another stage can train on.
      hone::Table rows = responses.table();
      hone::Table kept;
      for (size_t row = 0; row < responses.size(); ++row)
        if (!responses.truncated[row]) kept.append(rows.view(), row);
      if (kept.rows() > 0) host_.emit(kept.view());
    }
    done_ = end;
    host_.progress(done_, all_.size());
    return done_ < all_.size();
  }

  // What it takes to go on in another process: nothing may hide anywhere else.
  std::string save() const override { return hone::Json(std::map<std::string, hone::Json>{{"done", done_}}).text(); }
  void load(std::string_view saved) override { done_ = static_cast<size_t>(hone::Json::parse(saved)["done"].as_integer()); }

 private:
  hone::StageHost host_;
  hone::Prompts all_;
  size_t done_ = 0;  // prompts
};

}  // namespace

HONE_PLUGIN("org.example.my_plugin", "0.1.0", hone::component<MyPlugin>("my_plugin", "keeps the responses that end by themselves"));
