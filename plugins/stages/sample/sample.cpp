// sample.cpp -- rejection sampling (DeepSeek-R1, arXiv 2501.12948, section 2.3.3): responses are sampled, scored and
// sifted; what is kept is data for the next stage. mode "pairs" gives the best against the worst of each prompt, for a
// reward model.
#include <algorithm>
#include <cmath>
#include <hone/json.hpp>
#include <hone/response.hpp>
#include <hone/stage.hpp>
#include <set>

namespace {

// 64-bit FNV-1a of a prompt and its response, apart.
uint64_t fingerprint(std::string_view prompt, std::string_view response) {
  uint64_t h = 0xcbf29ce484222325u;
  const auto add = [&h](std::string_view text) {
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    h = (h ^ 0xff) * 0x100000001b3u;  // not a byte of UTF-8, so "ab","c" and "a","bc" differ
  };
  add(prompt);
  add(response);
  return h;
}

class Sample final : public hone::Stage {
 public:
  hone::ModelHandle model;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  hone::FunctionHandle keep;
  std::string mode = "all", part = "response";
  double threshold = 1;
  bool deduplicate = false;
  uint64_t limit = 0;
  uint32_t num_generations = 4, max_completion_length = 256, batch_size = 64, top_k = 0;
  float temperature = 1, top_p = 1, min_p = 0;

  static auto params() {
    using S = Sample;
    return hone::params(
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
        hone::param("limit", &S::limit, "stop after this many kept rows; 0: when every prompt was used"),
        hone::param("num_generations", &S::num_generations, "responses to each prompt", {.min = 1, .max = 65536}),
        hone::param("temperature", &S::temperature, "of sampling; 0: greedy", {.min = 0, .max = 100}),
        hone::param("top_p", &S::top_p,
                    "sample from the most likely tokens that together have this probability; 1: all",
                    {.min = 0, .max = 1}),
        hone::param("min_p", &S::min_p,
                    "sample only tokens with at least this share of the likeliest one's probability",
                    {.min = 0, .max = 1}),
        hone::param("top_k", &S::top_k, "sample only from this many likeliest tokens; 0: all"),
        hone::param("max_completion_length", &S::max_completion_length, "tokens of a response at most",
                    {.min = 1, .max = 1e6}),
        hone::param("batch_size", &S::batch_size, "prompts sampled at once", {.min = 1, .max = 1e6}));
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    log_ = hone::Log(services);
    if (mode != "all" && !rewards) throw hone::Error("mode \"" + mode + "\" needs rewards to compare responses by");
    if (mode == "pairs" && num_generations < 2) throw hone::Error("mode \"pairs\" needs num_generations of at least 2");
  }

  bool step() override {
    read_prompts();
    if (!unfinished()) return finish();
    const size_t end = std::min(prompt_.size(), next_ + batch_size);
    Batch batch = sample(next_, end);
    std::vector<bool> allowed(batch.size(), true);
    if (keep) allowed = host_.call(keep, batch.table().view());
    for (size_t i = 0; i < batch.size(); ++i)
      if (rewards && std::isnan(batch.reward[i]))
        allowed[i] = false;  // no score is not a low score, and no reason to keep
    const uint64_t kept_before = kept_;
    if (mode == "pairs")
      emit_pairs(batch, allowed);
    else
      emit_rows(batch, allowed);
    report(batch, kept_ - kept_before);
    next_ = end;
    ++steps_;
    host_.progress(next_, prompt_.size());
    if (unfinished()) return true;
    log_.info("kept " + std::to_string(kept_) + (mode == "pairs" ? " pairs of " : " of ") + std::to_string(sampled_) +
              " responses to " + std::to_string(next_) + " prompts");
    return finish();
  }

  std::string save() const override {
    std::vector<hone::Json> seen;
    for (const uint64_t h : seen_) seen.emplace_back(static_cast<int64_t>(h));
    return hone::Json(std::map<std::string, hone::Json>{{"next", next_},
                                                        {"steps", steps_},
                                                        {"kept", kept_},
                                                        {"sampled", sampled_},
                                                        {"seen", std::move(seen)}})
        .text();
  }

  void load(std::string_view saved) override {
    const hone::Json state = hone::Json::parse(saved);
    next_ = static_cast<size_t>(state["next"].as_integer());
    steps_ = static_cast<uint32_t>(state["steps"].as_integer());
    kept_ = static_cast<uint64_t>(state["kept"].as_integer());
    sampled_ = static_cast<uint64_t>(state["sampled"].as_integer());
    seen_.clear();
    for (const hone::Json &h : state["seen"].as_list()) seen_.insert(static_cast<uint64_t>(h.as_integer()));
  }

 private:
  // The responses of one step, column by column, num_generations for each prompt.
  struct Batch {
    std::vector<std::string> prompt, response, answer, columns, domain;
    std::vector<std::vector<int32_t>> ids;
    std::vector<int64_t> truncated;
    std::vector<double> reward;
    std::vector<std::pair<std::string, std::vector<double>>> parts;  // a reward each
    size_t size() const { return response.size(); }

    hone::Table table() const {
      hone::Table table;
      table.texts("prompt", prompt).texts("response", response).texts("answer", answer).texts("columns", columns);
      table.texts("domain", domain).ints("truncated", truncated);
      if (!reward.empty()) table.floats("reward", reward);
      for (const auto &[name, values] : parts) table.floats(name, values);
      return table;
    }
  };

  bool unfinished() const { return next_ < prompt_.size() && (limit == 0 || kept_ < limit); }

  // False, or why there is nothing to go on with.
  bool finish() const {
    if (kept_ == 0)
      throw hone::Error("none of the " + std::to_string(sampled_) +
                        " responses was kept, so there is no data for the next stage; "
                        "loosen `keep` or `threshold`, or sample more");
    return false;
  }

  // Once in a process; the host reads the same rows each time.
  void read_prompts() {
    if (!prompt_.empty()) return;
    const hone::TableView rows = host_.data(prompts);
    for (uint64_t i = 0; i < rows.rows(); ++i) {
      prompt_.emplace_back(rows.text("prompt", i));
      answer_.emplace_back(rows.text("answer", i));
      columns_.emplace_back(rows.text("columns", i));
      domain_.emplace_back(rows.text("domain", i));
    }
    if (prompt_.empty()) throw hone::Error("the prompts have no rows");
    if (next_ > prompt_.size())
      throw hone::Error("the saved place is prompt " + std::to_string(next_) + " of " + std::to_string(prompt_.size()) +
                        ": the prompts have changed since; start a new run");
  }

  Batch sample(size_t begin, size_t end) {
    hone::Table asked;
    asked.texts("prompt", std::vector<std::string>(prompt_.begin() + static_cast<ptrdiff_t>(begin),
                                                   prompt_.begin() + static_cast<ptrdiff_t>(end)));
    hone::Sampling sampling{num_generations, max_completion_length, top_k, temperature, top_p, min_p, steps_ + 1};
    const hone::TableView out = host_.rollout(model, asked.view(), sampling);
    Batch batch;
    for (uint64_t i = 0; i < out.rows(); ++i) {
      const size_t from = begin + static_cast<size_t>(out.ints("prompt_row")[i]);
      if (from >= end) throw hone::Error("the host answered for a prompt that was not asked");
      batch.prompt.push_back(prompt_[from]);
      batch.answer.push_back(answer_[from]);
      batch.columns.push_back(columns_[from]);
      batch.domain.push_back(domain_[from]);
      batch.response.emplace_back(out.text("response", i));
      const auto ids = out.int_list("ids", i);
      batch.ids.emplace_back(ids.begin(), ids.end());
      batch.truncated.push_back(out.ints("truncated")[i]);
    }
    sampled_ += batch.size();
    if (rewards) {
      hone::Table rows = batch.table();
      rows.int_lists("ids", batch.ids);
      const hone::TableView scores = host_.score(rewards, rows.view(), steps_ + 1);
      for (const hone_column &column : scores.columns()) {
        const std::string name(hone::detail::view(column.name));
        const auto values = scores.floats(name);
        if (name == "reward")
          batch.reward.assign(values.begin(), values.end());
        else
          batch.parts.emplace_back(name, std::vector<double>(values.begin(), values.end()));
      }
      if (batch.reward.size() != batch.size()) throw hone::Error("the host gave no \"reward\" column");
    }
    return batch;
  }

  // Whether another row may be kept, counting it when so.
  bool take(std::string_view prompt, std::string_view response) {
    if (limit > 0 && kept_ >= limit) return false;
    if (deduplicate && !seen_.insert(fingerprint(prompt, response)).second) return false;
    ++kept_;
    return true;
  }

  void emit_rows(Batch &batch, const std::vector<bool> &allowed) {
    hone::Table all = batch.table(), chosen;
    const hone::TableView view = all.view();
    for (size_t begin = 0; begin < batch.size(); begin += num_generations) {
      size_t best = batch.size();
      for (size_t i = begin; i < std::min(begin + num_generations, batch.size()); ++i) {
        if (!allowed[i] || (mode == "passing" && !(batch.reward[i] >= threshold))) continue;
        if (mode == "best") {
          if (best == batch.size() || batch.reward[i] > batch.reward[best]) best = i;  // the first of equals
        } else if (take(batch.prompt[i], batch.response[i])) {
          chosen.append(view, i);
        }
      }
      if (best < batch.size() && take(batch.prompt[best], batch.response[best])) chosen.append(view, best);
    }
    if (chosen.rows() > 0) host_.emit(chosen.view());
  }

  void emit_pairs(Batch &batch, const std::vector<bool> &allowed) {
    Batch rows;  // prompt, answer, columns, domain of each pair
    std::vector<std::string> chosen, rejected;
    std::vector<double> reward_chosen, reward_rejected;
    for (size_t begin = 0; begin < batch.size(); begin += num_generations) {
      size_t best = batch.size(), worst = batch.size();
      for (size_t i = begin; i < std::min(begin + num_generations, batch.size()); ++i) {
        if (!allowed[i]) continue;
        if (best == batch.size() || batch.reward[i] > batch.reward[best]) best = i;
        if (worst == batch.size() || batch.reward[i] < batch.reward[worst]) worst = i;
      }
      if (best == batch.size() || !(batch.reward[best] - batch.reward[worst] >= threshold)) continue;
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
      reward_chosen.push_back(batch.reward[best]);
      reward_rejected.push_back(batch.reward[worst]);
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
      if (rewards && !std::isnan(batch.reward[i])) reward += batch.reward[i], ++scored;
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
  std::vector<std::string> prompt_, answer_, columns_, domain_;
  // What save() tells.
  size_t next_ = 0;  // first prompt of the next step
  uint32_t steps_ = 0;
  uint64_t kept_ = 0, sampled_ = 0;
  std::set<uint64_t> seen_;
};

}  // namespace

HONE_PLUGIN("hone.stages.sample", "0.1.0",
            hone::component<Sample>("sample", "samples responses and keeps the good ones as data for later stages"));
