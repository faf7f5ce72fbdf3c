// best_of.cpp -- a stage: samples `num_generations` responses to each prompt and keeps the one with the highest reward.
// Of equals the first; of prompts whose responses have no score, none.
#include <algorithm>
#include <cmath>
#include <hone/rollouts.hpp>

namespace {

class BestOf final : public hone::Stage, public hone::SamplingSettings {
 public:
  BestOf() { num_generations = 8, batch_size = 32; }

  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;

  static auto params() {
    const auto own = hone::params(hone::param("model", &BestOf::model, "the model that responds", {.required = true}),
                                  hone::param("prompts", &BestOf::prompts, "what it responds to", {.required = true}),
                                  hone::param("rewards", &BestOf::rewards, "what is best", {.required = true}));
    return std::tuple_cat(own, hone::sampling_params());
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    sampling(0);  // refuses a wrong `stop` now
  }

  bool step() override {
    if (all_.size() == 0) all_ = hone::Prompts::read(host_, prompts);
    const size_t end = std::min(done_ + batch_size, all_.size());
    if (done_ < end) {
      const auto number = static_cast<uint32_t>(done_ / batch_size);  // of this step: random numbers and scores are keyed by it
      const auto responses = hone::Responses::sample(host_, model, all_, done_, end, sampling(number));
      keep_best(responses, hone::Scores::of(host_, rewards, responses, number).reward);
    }
    done_ = end;
    host_.progress(done_, all_.size());
    return done_ < all_.size();
  }

  std::string save() const override { return hone::Json(std::map<std::string, hone::Json>{{"done", done_}}).text(); }
  void load(std::string_view saved) override { done_ = static_cast<size_t>(hone::Json::parse(saved)["done"].as_integer()); }

 private:
  void keep_best(const hone::Responses &responses, const std::vector<double> &reward) {
    hone::Table all = responses.table(), best;
    const hone::TableView view = all.view();
    for (size_t first = 0; first < reward.size(); first += num_generations) {
      size_t which = first;
      for (size_t i = first; i < first + num_generations; ++i)
        if (std::isnan(reward[which]) || reward[i] > reward[which]) which = i;
      if (!std::isnan(reward[which])) best.append(view, which);
    }
    if (best.rows() > 0) host_.emit(best.view());
  }

  hone::StageHost host_;
  hone::Prompts all_;
  size_t done_ = 0;  // prompts
};

}  // namespace

HONE_PLUGIN("org.example.best_of", "1.0.0", hone::component<BestOf>("best_of", "keeps the best of several responses to each prompt"));
