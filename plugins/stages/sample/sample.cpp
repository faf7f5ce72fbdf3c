// sample.cpp -- rejection sampling (DeepSeek-R1, arXiv 2501.12948, section 2.3.3): responses are sampled, scored and
// sifted; what is kept is data for the next stage. mode "pairs" gives the best against the worst of each prompt, for a
// reward model.
#include <algorithm>
#include <cmath>
#include <hone/json.hpp>
#include <hone/response.hpp>
#include <hone/rollouts.hpp>

#include "../shared/prompt_walk.hpp"

namespace {

class Sample final : public hone::Stage, public hone::SamplingSettings {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  hone::FunctionHandle keep;
  std::string mode = "all", part = "response";
  double threshold = 1;
  bool deduplicate = false;
  uint64_t limit = 0;

  static auto params() {
    using S = Sample;
    const auto own = hone::params(
        hone::param("model", &S::model, "the model to sample from", {.required = true}),
        hone::param("prompts", &S::prompts, "rows {prompt, answer, ...}; or one list per domain", {.required = true}),
        hone::param("rewards", &S::rewards, "what scores a response; needed by every mode but all"),
        hone::param("keep", &S::keep,
                    "function(row) -> bool over {prompt, response, answer, reward, a column per reward, "
                    "truncated, domain, the row's own}: responses that it refuses are not kept"),
        hone::param("mode", &S::mode,
                    "all: every response that `keep` allows; passing: of them, those with at least `threshold`; "
                    "best: of each prompt, the one with the highest reward; pairs: best and worst of each "
                    "prompt as {chosen, rejected} when their rewards differ by at least `threshold`",
                    {.choices = {"all", "passing", "best", "pairs"}}),
        hone::param("threshold", &S::threshold, "of modes passing and pairs"),
        hone::param("part", &S::part, "of mode pairs: the whole response, or only its answer",
                    {.choices = {"response", "answer"}}),
        hone::param("deduplicate", &S::deduplicate, "keep equal responses to equal prompts only once"),
        hone::param("limit", &S::limit, "stop after this many kept rows; 0: when every prompt was used"));
    return std::tuple_cat(own, hone::sampling_params());
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    log_ = hone::Log(services);
    sampling(0);
    if (mode != "all" && !rewards) throw hone::Error("mode \"" + mode + "\" needs rewards to compare responses by");
    if (mode == "pairs" && num_generations < 2) throw hone::Error("mode \"pairs\" needs num_generations of at least 2");
  }

  bool step() override {
    walk_.read(host_, prompts);
    if (!unfinished()) return finish();
    const size_t end = walk_.end_of_batch(batch_size);
    const Batch batch = sample(walk_.next, end);
    std::vector<bool> allowed(batch.size(), true);
    if (keep) allowed = host_.call(keep, batch.table().view());
    for (size_t i = 0; i < batch.size(); ++i)
      if (rewards && std::isnan(batch.scores.reward[i]))
        allowed[i] = false;  // no score is not a low score, and no reason to keep
    const uint64_t kept_before = kept_;
    if (mode == "pairs")
      emit_pairs(batch, allowed);
    else
      emit_rows(batch, allowed);
    report(batch, kept_ - kept_before);
    walk_.advance(host_, end);
    if (unfinished()) return true;
    log_.info("kept " + std::to_string(kept_) + (mode == "pairs" ? " pairs of " : " of ") + std::to_string(walk_.sampled) +
              " responses to " + std::to_string(walk_.next) + " prompts");
    return finish();
  }

  std::string save() const override {
    std::map<std::string, hone::Json> state = walk_.save();
    state["kept"] = kept_;
    return hone::Json(std::move(state)).text();
  }

  void load(std::string_view saved) override {
    const hone::Json state = hone::Json::parse(saved);
    walk_.load(state);
    kept_ = static_cast<uint64_t>(state["kept"].as_integer());
  }

 private:
  // The responses of one step and, with rewards, their scores.
  struct Batch : hone::Responses {
    hone::Scores scores;

    hone::Table table() const {
      hone::Table table = hone::Responses::table();
      if (!scores.reward.empty()) table.floats("reward", scores.reward);
      for (const auto &[name, values] : scores.parts) table.floats(name, values);
      return table;
    }
  };

  bool unfinished() const { return !walk_.at_end() && (limit == 0 || kept_ < limit); }

  // False, or why there is nothing to go on with.
  bool finish() const {
    if (kept_ == 0)
      throw hone::Error("none of the " + std::to_string(walk_.sampled) +
                        " responses was kept, so there is no data for the next stage; "
                        "loosen `keep` or `threshold`, or sample more");
    return false;
  }

  Batch sample(size_t begin, size_t end) {
    Batch batch{hone::Responses::sample(host_, model, walk_.prompts, begin, end, sampling(walk_.steps + 1)), {}};
    walk_.sampled += batch.size();
    if (rewards) batch.scores = hone::Scores::of(host_, rewards, batch, walk_.steps + 1);
    return batch;
  }

  // Whether another row may be kept, counting it when so.
  bool take(std::string_view prompt, std::string_view response) {
    if (limit > 0 && kept_ >= limit) return false;
    if (deduplicate && !walk_.is_new(prompt, response)) return false;
    ++kept_;
    return true;
  }

  void emit_rows(const Batch &batch, const std::vector<bool> &allowed) {
    hone::Table all = batch.table(), chosen;
    const hone::TableView view = all.view();
    for (size_t begin = 0; begin < batch.size(); begin += num_generations) {
      size_t best = batch.size();
      for (size_t i = begin; i < std::min(begin + num_generations, batch.size()); ++i) {
        if (!allowed[i] || (mode == "passing" && !(batch.scores.reward[i] >= threshold))) continue;
        if (mode == "best") {
          if (best == batch.size() || batch.scores.reward[i] > batch.scores.reward[best])
            best = i;  // the first of equals
        } else if (take(batch.prompt[i], batch.response[i])) {
          chosen.append(view, i);
        }
      }
      if (best < batch.size() && take(batch.prompt[best], batch.response[best])) chosen.append(view, best);
    }
    if (chosen.rows() > 0) host_.emit(chosen.view());
  }

  void emit_pairs(const Batch &batch, const std::vector<bool> &allowed) {
    hone::Prompts rows;  // of each pair
    std::vector<std::string> chosen, rejected;
    std::vector<double> reward_chosen, reward_rejected;
    for (size_t begin = 0; begin < batch.size(); begin += num_generations) {
      size_t best = batch.size(), worst = batch.size();
      for (size_t i = begin; i < std::min(begin + num_generations, batch.size()); ++i) {
        if (!allowed[i]) continue;
        if (best == batch.size() || batch.scores.reward[i] > batch.scores.reward[best]) best = i;
        if (worst == batch.size() || batch.scores.reward[i] < batch.scores.reward[worst]) worst = i;
      }
      if (best == batch.size() || !(batch.scores.reward[best] - batch.scores.reward[worst] >= threshold)) continue;
      const std::string good(part == "answer" ? hone::answer_of(batch.response[best])
                                              : std::string_view(batch.response[best]));
      const std::string bad(part == "answer" ? hone::answer_of(batch.response[worst])
                                             : std::string_view(batch.response[worst]));
      if (good == bad || good.empty() || bad.empty()) continue;  // nothing to compare
      if (!take(batch.prompt[best], good + "\n" + bad)) continue;
      rows.prompt.push_back(batch.prompt[best]);
      rows.answer.push_back(batch.answer[best]);
      rows.columns.push_back(batch.columns[best]);
      rows.domain.push_back(batch.domain[best]);
      chosen.push_back(good);
      rejected.push_back(bad);
      reward_chosen.push_back(batch.scores.reward[best]);
      reward_rejected.push_back(batch.scores.reward[worst]);
    }
    if (chosen.empty()) return;
    hone::Table table;
    table.texts("prompt", rows.prompt)
        .texts("answer", rows.answer)
        .texts("columns", rows.columns)
        .texts("domain", rows.domain);
    table.texts("chosen", chosen).texts("rejected", rejected);
    table.floats("reward_chosen", reward_chosen).floats("reward_rejected", reward_rejected);
    host_.emit(table.view());
  }

  void report(const Batch &batch, uint64_t kept) {
    double reward = 0, length = 0, truncated = 0;
    size_t scored = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      length += static_cast<double>(batch.ids[i].size());
      truncated += static_cast<double>(batch.truncated[i] != 0);
      if (rewards && !std::isnan(batch.scores.reward[i])) reward += batch.scores.reward[i], ++scored;
    }
    const auto n = static_cast<double>(batch.size());
    if (scored > 0) metrics_.put("reward", reward / static_cast<double>(scored));
    metrics_.put("completions/mean_length", length / n);
    metrics_.put("completions/clipped_ratio", truncated / n);
    metrics_.put("kept", static_cast<double>(kept));
    metrics_.put("kept_ratio", static_cast<double>(kept) / n);
  }

  hone::StageHost host_;
  hone::Metrics metrics_;
  hone::Log log_;
  // What save() tells.
  hone::PromptWalk walk_;
  uint64_t kept_ = 0;
};

}  // namespace

HONE_PLUGIN("hone.stages.sample", "0.1.0",
            hone::component<Sample>("sample", "samples responses and keeps the good ones as data for later stages"));
