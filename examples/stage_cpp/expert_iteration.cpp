// expert_iteration.cpp -- a stage that trains: expert iteration (Anthony et al., arXiv 1705.08439), with `restart` the outer loop
// of STaR (Zelikman et al., arXiv 2203.14465, without its rationalization) and of ReST-EM (arXiv 2312.06585).
//
//   rounds times:  sample num_generations responses to each prompt    one step() for batch_size prompts
//                  keep those whose reward is at least threshold
//                  begin anew from the first weights, if restart
//                  learn what was kept once, in random order          one step() for train_batch_size rows
#include <hone/json.hpp>
#include <hone/stage.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace {

class ExpertIteration final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  hone::OptimizerHandle optimizer;
  double threshold = 1;
  bool restart = false;
  uint32_t rounds = 3, num_generations = 8, max_completion_length = 256, batch_size = 32, train_batch_size = 32;
  float temperature = 1;

  static auto params() {
    using E = ExpertIteration;
    return hone::params(hone::param("model", &E::model, "the model to train; it is not changed", {.required = true}),
                        hone::param("prompts", &E::prompts, "what it responds to", {.required = true}),
                        hone::param("rewards", &E::rewards, "what a good response is", {.required = true}),
                        hone::param("optimizer", &E::optimizer, "hone.optimizer \"name\" {...}", {.required = true}),
                        hone::param("rounds", &E::rounds, "of sampling and learning", {.min = 1, .max = 1e6}),
                        hone::param("threshold", &E::threshold, "the least reward of a response that is learnt"),
                        hone::param("restart", &E::restart, "learn with the first weights in each round, or go on with the last round's"),
                        hone::param("num_generations", &E::num_generations, "responses per prompt", {.min = 1, .max = 4096}),
                        hone::param("max_completion_length", &E::max_completion_length, "tokens of a response", {.min = 1}),
                        hone::param("temperature", &E::temperature, "of sampling", {.min = 0, .max = 10}),
                        hone::param("batch_size", &E::batch_size, "prompts sampled in one step", {.min = 1}),
                        hone::param("train_batch_size", &E::train_batch_size, "responses learnt in one step", {.min = 1}));
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    random_.emplace(services);
    trained_ = host_.trainer(model, "sft", optimizer);
  }

  bool step() override {
    if (round_ == rounds) return false;
    const hone::TableView all = host_.data(prompts);
    metrics_.put("round", round_ + 1);
    if (next_ < all.rows()) sample(all);
    else learn();
    // Half of a round is sampling, half is learning.
    const uint64_t n = all.rows(), learnt = kept_.empty() ? 0 : n * learnt_ / kept_.size();
    host_.progress(round_ * 2 * n + next_ + learnt, rounds * 2 * n);
    return round_ < rounds;
  }

  std::string save() const override {
    std::vector<hone::Json> kept;
    for (const Kept &row : kept_) {
      const std::vector<hone::Json> ids(row.ids.begin(), row.ids.end());
      kept.push_back(std::map<std::string, hone::Json>{{"prompt", row.prompt}, {"ids", ids}});
    }
    return hone::Json(std::map<std::string, hone::Json>{
                          {"round", round_}, {"next", next_}, {"samplings", samplings_}, {"learnt", learnt_}, {"kept", kept}})
        .text();
  }
  void load(std::string_view saved) override {
    const hone::Json state = hone::Json::parse(saved);
    round_ = static_cast<uint32_t>(state["round"].as_integer());
    next_ = static_cast<uint64_t>(state["next"].as_integer());
    samplings_ = static_cast<uint32_t>(state["samplings"].as_integer());
    learnt_ = static_cast<size_t>(state["learnt"].as_integer());
    kept_.clear();
    for (const hone::Json &row : state["kept"].as_list()) {
      kept_.push_back({row["prompt"].as_string(), {}});
      for (const hone::Json &id : row["ids"].as_list()) kept_.back().ids.push_back(static_cast<int32_t>(id.as_integer()));
    }
  }

 private:
  struct Kept {
    std::string prompt;
    std::vector<int32_t> ids;
  };

  void sample(const hone::TableView &all) {
    const uint64_t end = std::min<uint64_t>(next_ + batch_size, all.rows());
    hone::Table asked;
    for (uint64_t row = next_; row < end; ++row) asked.append(all, row);
    const hone::TableView responses = host_.rollout(
        trained_, asked.view(),
        {.num_generations = num_generations, .max_completion_length = max_completion_length, .temperature = temperature, .step = ++samplings_});
    hone::Table rows;
    for (uint64_t i = 0; i < responses.rows(); ++i) rows.append(all, next_ + static_cast<uint64_t>(responses.ints("prompt_row")[i]));
    std::vector<std::string> response;
    for (uint64_t i = 0; i < responses.rows(); ++i) response.emplace_back(responses.text("response", i));
    const auto truncated = responses.ints("truncated");
    rows.texts("response", response).ints("truncated", {truncated.begin(), truncated.end()});

    const auto scores = host_.score(rewards, rows.view(), samplings_).floats("reward");
    const hone::TableView judged = rows.floats("reward", {scores.begin(), scores.end()}).view();
    double sum = 0, scored = 0;
    hone::Table good;
    for (uint64_t i = 0; i < judged.rows(); ++i) {
      if (std::isnan(scores[i])) continue;  // no score
      sum += scores[i], ++scored;
      if (scores[i] < threshold) continue;
      good.append(judged, i);
      const auto ids = responses.int_list("ids", i);
      kept_.push_back({std::string(judged.text("prompt", i)), {ids.begin(), ids.end()}});
    }
    if (good.rows() > 0) host_.emit(good.view());
    if (scored > 0) metrics_.put("reward", sum / scored);
    metrics_.put("kept_ratio", static_cast<double>(good.rows()) / static_cast<double>(judged.rows()));
    next_ = end;
    if (next_ < all.rows()) return;
    if (kept_.empty())
      throw hone::Error("no response of round " + std::to_string(round_ + 1) + " has a reward of " + std::to_string(threshold) +
                        " or more, so there is nothing to learn; lower threshold, or sample more");
    if (restart) host_.restart(trained_);
  }

  void learn() {
    const std::vector<size_t> order = shuffled();
    const size_t end = std::min<size_t>(learnt_ + train_batch_size, order.size());
    std::vector<std::string> prompt;
    std::vector<std::vector<int32_t>> ids;
    for (size_t i = learnt_; i < end; ++i) {
      prompt.push_back(kept_[order[i]].prompt);
      ids.push_back(kept_[order[i]].ids);
    }
    hone::Table rows;
    rows.texts("prompt", prompt).int_lists("ids", ids);
    const hone::TableView measured = host_.train_step(trained_, rows.view());
    for (const std::string &name : measured.names()) metrics_.put(name, measured.floats(name)[0]);
    learnt_ = end;
    if (learnt_ < kept_.size()) return;
    ++round_;
    next_ = learnt_ = 0;
    kept_.clear();
  }

  // The same in every step of a round.
  std::vector<size_t> shuffled() const {
    std::vector<std::pair<uint32_t, size_t>> drawn;
    for (size_t i = 0; i < kept_.size(); ++i) drawn.emplace_back(random_->bits(0, round_, static_cast<uint32_t>(i), 0)[0], i);
    std::sort(drawn.begin(), drawn.end());
    std::vector<size_t> order;
    for (const auto &[key, i] : drawn) order.push_back(i);
    return order;
  }

  hone::StageHost host_;
  hone::Metrics metrics_;
  std::optional<hone::Random> random_;
  hone::TrainedModel trained_;
  // What save() tells; the host keeps weights and optimizer.
  uint32_t round_ = 0, samplings_ = 0;
  uint64_t next_ = 0;  // first prompt of the next sampling
  size_t learnt_ = 0;  // of kept_, in shuffled order
  std::vector<Kept> kept_;
};

}  // namespace

HONE_PLUGIN("org.example.expert_iteration", "1.0.0",
            hone::component<ExpertIteration>("expert_iteration", "samples, keeps the good responses, learns them, and so on"));
