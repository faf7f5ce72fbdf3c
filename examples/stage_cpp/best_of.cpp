// best_of.cpp -- a stage: samples `num_generations` responses to each prompt and keeps the one with the highest reward.
// Of equals the first; of prompts whose responses have no score, none.
#include <hone/json.hpp>
#include <hone/stage.hpp>

#include <algorithm>
#include <cmath>

namespace {

class BestOf final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  uint32_t num_generations = 8, max_completion_length = 256, batch_size = 32;
  float temperature = 1;

  static auto params() {
    return hone::params(hone::param("model", &BestOf::model, "the model that responds", {.required = true}),
                        hone::param("prompts", &BestOf::prompts, "what it responds to", {.required = true}),
                        hone::param("rewards", &BestOf::rewards, "what is best", {.required = true}),
                        hone::param("num_generations", &BestOf::num_generations, "responses per prompt", {.min = 1, .max = 4096}),
                        hone::param("max_completion_length", &BestOf::max_completion_length, "tokens of a response", {.min = 1}),
                        hone::param("batch_size", &BestOf::batch_size, "prompts in one step", {.min = 1}),
                        hone::param("temperature", &BestOf::temperature, "of sampling", {.min = 0, .max = 10}));
  }

  void start(const hone::Services &services) { host_ = hone::StageHost(services); }

  bool step() override {
    const hone::TableView all = host_.data(prompts);
    const uint64_t begin = done_, end = std::min<uint64_t>(begin + batch_size, all.rows());
    const auto number = static_cast<uint32_t>(begin / batch_size);
    if (begin < end) {
      hone::Table batch;
      for (uint64_t row = begin; row < end; ++row) batch.append(all, row);
      const hone::TableView responses = host_.rollout(
          model, batch.view(),
          {.num_generations = num_generations, .max_completion_length = max_completion_length, .temperature = temperature, .step = number});
      hone::Table rows = with_prompts(batch.view(), responses);
      const hone::TableView scored = host_.score(rewards, rows.view(), number);
      keep_best(rows, scored.floats("reward"));
    }
    done_ = end;
    host_.progress(done_, all.rows());
    return done_ < all.rows();
  }

  std::string save() const override { return hone::Json(std::map<std::string, hone::Json>{{"done", done_}}).text(); }
  void load(std::string_view saved) override { done_ = static_cast<uint64_t>(hone::Json::parse(saved)["done"].as_integer()); }

 private:
  static hone::Table with_prompts(const hone::TableView &prompts, const hone::TableView &responses) {
    std::vector<std::string> prompt, answer, columns, response;
    std::vector<int64_t> truncated;
    for (uint64_t i = 0; i < responses.rows(); ++i) {
      const auto from = static_cast<uint64_t>(responses.ints("prompt_row")[i]);
      prompt.emplace_back(prompts.text("prompt", from));
      answer.emplace_back(prompts.text("answer", from));
      columns.emplace_back(prompts.text("columns", from));
      response.emplace_back(responses.text("response", i));
      truncated.push_back(responses.ints("truncated")[i]);
    }
    hone::Table out;
    out.texts("prompt", prompt).texts("answer", answer).texts("columns", columns).texts("response", response).ints("truncated", truncated);
    return out;
  }

  void keep_best(hone::Table &rows, std::span<const double> reward) {
    const hone::TableView view = rows.view();
    hone::Table best;
    for (uint64_t first = 0; first < reward.size(); first += num_generations) {
      uint64_t which = first;
      for (uint64_t i = first; i < first + num_generations; ++i)
        if (std::isnan(reward[which]) || reward[i] > reward[which]) which = i;
      if (!std::isnan(reward[which])) best.append(view, which);
    }
    if (best.rows() > 0) host_.emit(best.view());
  }

  hone::StageHost host_;
  uint64_t done_ = 0;
};

}  // namespace

HONE_PLUGIN("org.example.best_of", "1.0.0", hone::component<BestOf>("best_of", "keeps the best of several responses to each prompt"));
