// label_steps.cpp -- labels the steps of sampled responses by Monte-Carlo roll-outs, without a person: Math-Shepherd, arXiv 2312.08935,
// section 3.3; soft labels are also those of arXiv 2406.06592.
//
//   From the prompt and steps 1 .. j, N completions are sampled and scored; a completion is right when its reward is at least `threshold`.
//   hard   y_j = 1 if any of them is right, else 0
//   soft   y_j = the share of them that is right
//
// The last step ends the response, so its label is whether the response itself is right. A step none of whose completions has a score
// has no label (null), and a response without a score is left out. What is emitted, {prompt, answer, steps, labels} beside the row's
// own columns, is data for stage prm.
#include <cmath>
#include <hone/json.hpp>
#include <hone/rollouts.hpp>

#include "../shared/prompt_walk.hpp"

namespace {

class LabelSteps final : public hone::Stage, public hone::SamplingSettings {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  uint32_t num_rollouts = 8;
  std::string labels = "hard";
  double threshold = 1;
  hone::JsonList step_separators{"[\"\\n\"]"};
  bool deduplicate = true;

  static auto params() {
    using S = LabelSteps;
    const auto own = hone::params(
        hone::param("model", &S::model, "the model whose responses are labelled, and that goes on from their steps", {.required = true}),
        hone::param("prompts", &S::prompts, "rows {prompt, answer, ...}; or one list per domain", {.required = true}),
        hone::param("rewards", &S::rewards, "what says whether a whole response is right", {.required = true}),
        hone::param("num_rollouts", &S::num_rollouts, "completions sampled from the end of each step", {.min = 1, .max = 65536}),
        hone::param("labels", &S::labels, "hard: 1 where any completion is right; soft: the share that is", {.choices = {"hard", "soft"}}),
        hone::param("threshold", &S::threshold, "a response is right when its reward is at least this"),
        hone::param("step_separators", &S::step_separators, "texts: a step ends with the token that completes one of them"),
        hone::param("deduplicate", &S::deduplicate, "label equal responses to equal prompts only once"));
    return std::tuple_cat(own, hone::sampling_params());
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    log_ = hone::Log(services);
    sampling(0);
    hone::texts_of(step_separators, "step_separators");
    if (!rewards) throw hone::Error("no rewards were given: steps are labelled by whether what follows them is right");
  }

  bool step() override {
    walk_.read(host_, prompts);
    if (walk_.at_end()) return finish();
    const size_t end = walk_.end_of_batch(batch_size);
    hone::Sampling how = sampling(2 * walk_.steps + 1);  // random numbers are keyed by it; the roll-outs have the next one
    how.step_separators = hone::texts_of(step_separators, "step_separators");
    const hone::Responses responses = hone::Responses::sample(host_, model, walk_.prompts, walk_.next, end, how);
    const std::vector<double> reward = hone::Scores::of(host_, rewards, responses, walk_.steps + 1).reward;
    std::vector<size_t> kept;
    for (size_t i = 0; i < responses.size(); ++i) {
      if (std::isnan(reward[i]) || responses.response[i].empty()) continue;
      if (deduplicate && !walk_.is_new(responses.prompt[i], responses.response[i])) continue;
      kept.push_back(i);
    }
    label(responses, reward, kept);
    walk_.sampled += responses.size();
    walk_.advance(host_, end);
    if (!walk_.at_end()) return true;
    log_.info("labelled " + std::to_string(labelled_) + " of " + std::to_string(walk_.sampled) + " responses to " + std::to_string(walk_.next) +
              " prompts");
    return finish();
  }

  std::string save() const override {
    std::map<std::string, hone::Json> state = walk_.save();
    state["labelled"] = labelled_;
    return hone::Json(std::move(state)).text();
  }

  void load(std::string_view saved) override {
    const hone::Json state = hone::Json::parse(saved);
    walk_.load(state);
    labelled_ = static_cast<uint64_t>(state["labelled"].as_integer());
  }

 private:
  bool finish() const {
    if (labelled_ == 0)
      throw hone::Error("none of the " + std::to_string(walk_.sampled) +
                        " responses was labelled, so there is no data for the next stage; "
                        "each was empty or had no score");
    return false;
  }

  // All prefixes of all responses, gone on with in one call: of response kept[k] those that end with its first, second, ... last but one
  // step, in this order.
  hone::Responses completions(const hone::Responses &responses, const std::vector<size_t> &kept) const {
    hone::Responses out;
    hone::Table asked;
    std::vector<std::string> prompt;
    std::vector<std::vector<int32_t>> begun;
    std::vector<size_t> of;
    for (const size_t i : kept)
      for (size_t j = 1; j < responses.step_start[i].size(); ++j) {
        prompt.push_back(responses.prompt[i]);
        begun.emplace_back(responses.ids[i].begin(), responses.ids[i].begin() + responses.step_start[i][j]);
        of.push_back(i);
      }
    if (of.empty()) return out;
    asked.texts("prompt", prompt).int_lists("ids", begun);
    hone::Sampling how = sampling(2 * walk_.steps + 2);
    how.num_generations = num_rollouts;
    const hone::TableView rows = host_.rollout(model, asked.view(), how);
    if (rows.rows() != of.size() * num_rollouts)
      throw hone::Error("the host gave " + std::to_string(rows.rows()) + " completions, not " + std::to_string(of.size() * num_rollouts));
    for (uint64_t r = 0; r < rows.rows(); ++r) {
      const size_t k = static_cast<size_t>(r / num_rollouts), i = of[k];
      out.prompt.push_back(responses.prompt[i]);
      out.answer.push_back(responses.answer[i]);
      out.columns.push_back(responses.columns[i]);
      out.domain.push_back(responses.domain[i]);
      out.response.emplace_back(rows.text("response", r));
      std::vector<int32_t> &ids = out.ids.emplace_back(begun[k]);
      const auto added = rows.int_list("ids", r);
      ids.insert(ids.end(), added.begin(), added.end());
      out.truncated.push_back(rows.ints("truncated")[r]);
    }
    return out;
  }

  // Of the completions [begin, begin + num_rollouts); null when none has a score.
  hone::Json label_of(const std::vector<double> &reward, size_t begin) const {
    size_t scored = 0, right = 0;
    for (size_t r = begin; r < begin + num_rollouts; ++r) scored += !std::isnan(reward[r]), right += reward[r] >= threshold;
    if (scored == 0) return {};
    return labels == "hard" ? hone::Json(right > 0 ? 1 : 0) : hone::Json(double(right) / double(scored));
  }

  void label(const hone::Responses &responses, const std::vector<double> &reward, const std::vector<size_t> &kept) {
    const hone::Responses more = completions(responses, kept);
    std::vector<double> of_more;
    if (more.size() > 0) of_more = hone::Scores::of(host_, rewards, more, walk_.steps + 1).reward;
    std::vector<std::string> prompt, answer, columns, domain;
    std::vector<double> rewarded;
    double steps = 0, right = 0, sum = 0, labelled = 0;
    size_t at = 0;
    for (const size_t i : kept) {
      std::vector<hone::Json> texts, of_steps;
      const std::vector<int32_t> &begin = responses.step_text[i];
      for (size_t j = 0; j < begin.size(); ++j) {
        const bool last = j + 1 == begin.size();
        texts.emplace_back(
            std::string_view(responses.response[i])
                .substr(static_cast<size_t>(begin[j]), last ? std::string_view::npos : static_cast<size_t>(begin[j + 1] - begin[j])));
        of_steps.push_back(last ? hone::Json(reward[i] >= threshold ? 1 : 0) : label_of(of_more, at));
        if (!last) at += num_rollouts;
        if (!of_steps.back().is_null()) sum += of_steps.back().as_number(), ++labelled;
      }
      steps += double(texts.size());
      right += reward[i] >= threshold;
      prompt.push_back(responses.prompt[i]), answer.push_back(responses.answer[i]), domain.push_back(responses.domain[i]);
      rewarded.push_back(reward[i]);
      std::map<std::string, hone::Json> row = hone::Json::parse(responses.columns[i]).as_table();
      row["steps"] = hone::Json(std::move(texts));
      row["labels"] = hone::Json(std::move(of_steps));
      columns.push_back(hone::Json(std::move(row)).text());
    }
    labelled_ += kept.size();
    const auto n = double(kept.size());
    metrics_.put("labelled", n);
    metrics_.put("completions", double(more.size()));
    if (kept.empty()) return;
    metrics_.put("steps/mean", steps / n);
    metrics_.put("right", right / n);
    if (labelled > 0) metrics_.put("label/mean", sum / labelled);
    hone::Table table;
    table.texts("prompt", prompt).texts("answer", answer).texts("columns", columns).texts("domain", domain).floats("reward", rewarded);
    host_.emit(table.view());
  }

  hone::StageHost host_;
  hone::Metrics metrics_;
  hone::Log log_;
  // What save() tells.
  hone::PromptWalk walk_;
  uint64_t labelled_ = 0;
};

}  // namespace

HONE_PLUGIN("hone.stages.label_steps", "0.1.0",
            hone::component<LabelSteps>("label_steps",
                                        "labels the steps of sampled responses by whether what follows them comes out right"));
