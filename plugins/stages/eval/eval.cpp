// eval.cpp -- measures models on questions: k sampled responses each, as DeepSeek-R1 does (arXiv 2501.12948, section
// 3).
//   pass@1 = mean over questions of the mean over its k responses, with a 95 % interval: 1.96 standard errors over questions
//   pass@k = share of questions that any of the k answers; cons@k = share that the commonest answer answers
//   best@k (select = LABEL) = share of questions whose response with the most of that reward is correct: best of N by a judge
//   gain, p (compare = true): pass@1 less the first model's on the same questions, and a paired permutation test of it
#include <algorithm>
#include <cmath>
#include <hone/json.hpp>
#include <hone/response.hpp>
#include <hone/rollouts.hpp>
#include <map>

#include "paired_test.h"
#include "scripts_of_writing.h"

namespace {

using hone::Json;

// What has been counted for one model and one domain so far. Values per question stay apart for the intervals.
struct Tally {
  std::vector<double> correct, any, consensus, best;  // per scored question; best: of those with a response that was judged
  std::vector<double> paired;                         // as correct, with NaN in the places of questions without a score
  std::map<std::string, std::vector<double>> others;  // per question, of each further reward
  uint64_t responses = 0, formatted = 0, mixed = 0, truncated = 0, tokens = 0, unscored = 0;
  uint64_t tagged = 0;  // responses with an answer between its tags: without any there is no vote
};

Json list_of(const std::vector<double> &values) { return Json(std::vector<Json>(values.begin(), values.end())); }
std::vector<double> numbers_of(const Json &list) {
  std::vector<double> out;
  for (const Json &value : list.as_list()) out.push_back(value.is_null() ? std::nan("") : value.as_number());
  return out;
}

Json to_json(const Tally &t) {
  std::map<std::string, Json> others;
  for (const auto &[name, values] : t.others) others[name] = list_of(values);
  return Json(std::map<std::string, Json>{{"correct", list_of(t.correct)},
                                          {"any", list_of(t.any)},
                                          {"consensus", list_of(t.consensus)},
                                          {"best", list_of(t.best)},
                                          {"paired", list_of(t.paired)},
                                          {"others", std::move(others)},
                                          {"responses", t.responses},
                                          {"formatted", t.formatted},
                                          {"mixed", t.mixed},
                                          {"truncated", t.truncated},
                                          {"tokens", t.tokens},
                                          {"unscored", t.unscored},
                                          {"tagged", t.tagged}});
}
Tally tally_of(const Json &json) {
  const auto count = [&](const char *name) { return static_cast<uint64_t>(json[name].as_integer()); };
  Tally t{numbers_of(json["correct"]),
          numbers_of(json["any"]),
          numbers_of(json["consensus"]),
          numbers_of(json["best"]),
          numbers_of(json["paired"]),
          {},
          count("responses"),
          count("formatted"),
          count("mixed"),
          count("truncated"),
          count("tokens"),
          count("unscored"),
          count("tagged")};
  for (const auto &[name, values] : json["others"].as_table()) t.others[name] = numbers_of(values);
  return t;
}

double mean(const std::vector<double> &values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// Half of the 95 % interval of the mean; NaN for fewer than two questions.
double half_width(const std::vector<double> &values) {
  if (values.size() < 2) return std::nan("");
  const double m = mean(values);
  double squares = 0;
  for (const double v : values) squares += (v - m) * (v - m);
  return 1.96 * std::sqrt(squares / static_cast<double>(values.size() - 1) / static_cast<double>(values.size()));
}

class Eval final : public hone::Stage, public hone::SamplingSettings {
 public:
  Eval() { temperature = 0.6f, top_p = 0.95f; }  // as DeepSeek-R1 is measured

  hone::ModelHandle model;
  hone::JsonList models;
  hone::DataHandle prompts;
  hone::RewardHandle rewards;
  std::string metric = "accuracy", select, expect = "en";
  std::string open = "<think>", close = "</think>", answer_open = "<answer>", answer_close = "</answer>";
  double threshold = 0.5;
  bool opened = false, compare = false;
  uint32_t record = 4;

  static auto params() {
    using E = Eval;
    const auto own = hone::params(
        hone::param("model", &E::model, "the model to measure, when it is one"),
        hone::param("models", &E::models, "the models to measure: a row of the results each"),
        hone::param("prompts", &E::prompts,
                    "questions {prompt, answer, ...}; or one list per domain, each measured apart", {.required = true}),
        hone::param("rewards", &E::rewards, "what judges a response; or one list per domain", {.required = true}),
        hone::param("metric", &E::metric,
                    "label of the reward that is the accuracy; a domain with only one reward needs none"),
        hone::param("select", &E::select, "label of a reward that chooses one of a question's responses, whose accuracy is best@k; empty: none does"),
        hone::param("threshold", &E::threshold,
                    "a response is correct when that reward is at least this (pass@k, cons@k)"),
        hone::param("expect", &E::expect, "language of the thinking, for the rate of mixing; \"\": not measured",
                    {.choices = {"", "en", "de", "fr", "es", "it", "ru", "el", "ar", "he", "hi", "zh", "ja", "ko"}}),
        hone::param("open", &E::open, "tag that starts the thinking"),
        hone::param("close", &E::close, "tag that ends it"),
        hone::param("answer_open", &E::answer_open,
                    "tag that starts the answer; empty: the answer is what follows the thinking, and none votes"),
        hone::param("answer_close", &E::answer_close, "tag that ends it; empty together with answer_open"),
        hone::param("opened", &E::opened, "whether the prompt already ends with the tag that starts the thinking"),
        hone::param("compare", &E::compare,
                    "compare each model with the first one, question by question: the gain in pass@1 and its p-value"),
        hone::param("record", &E::record,
                    "questions of each domain whose first response is kept as a row of stage.data"));
    return std::tuple_cat(own, hone::sampling_params());
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    if (answer_open.empty() != answer_close.empty())
      throw hone::Error("give both answer_open and answer_close, or leave both empty");
    tags_ = {open, close, answer_open, answer_close};
    sampling(0);
    if (model) models_.push_back(model);
    const Json handles = Json::parse(models.text);
    for (const Json &handle : handles.as_list()) {
      const Json &index = handle["$model"];
      if (index.type() != Json::integer)
        throw hone::Error("models must be a list of models, it holds " + handle.text());
      models_.push_back(hone::ModelHandle{index.as_integer()});
    }
    if (models_.empty()) throw hone::Error("there is no model to measure; give model = ... or models = {...}");
    if (compare && models_.size() < 2) throw hone::Error("compare = true compares models with the first, but there is only one");
    for (const auto &[domain, labels] : host_.labels(rewards)) {
      accuracy_label(labels, domain);
      require_selector(labels, domain);
    }
  }

  bool step() override {
    read_questions();
    if (next_ == models_.size() * batches_.size()) return false;
    const size_t which = next_ / batches_.size();
    const auto [begin, end] = batches_[next_ % batches_.size()];
    measure(models_[which], begin, end);
    ++next_;
    if (next_ % batches_.size() == 0) {
      publish(models_[which], which > 0);
      if (compare && which == 0)
        for (const auto &[domain, tally] : tallies_) first_[domain] = tally.paired;
      tallies_.clear();
    }
    host_.progress(next_, models_.size() * batches_.size());
    return next_ < models_.size() * batches_.size();
  }

  std::string save() const override {
    std::map<std::string, Json> tallies, first;
    for (const auto &[domain, tally] : tallies_) tallies[domain] = to_json(tally);
    for (const auto &[domain, values] : first_) first[domain] = list_of(values);
    return Json(std::map<std::string, Json>{
                    {"next", next_}, {"tallies", std::move(tallies)}, {"first", std::move(first)}})
        .text();
  }

  void load(std::string_view saved) override {
    const Json state = Json::parse(saved);
    next_ = static_cast<size_t>(state["next"].as_integer());
    tallies_.clear();
    for (const auto &[domain, tally] : state["tallies"].as_table()) tallies_[domain] = tally_of(tally);
    first_.clear();
    for (const auto &[domain, values] : state["first"].as_table()) first_[domain] = numbers_of(values);
  }

 private:
  // Reads the questions once in a process and cuts them into batches, none of them across two domains.
  void read_questions() {
    if (!batches_.empty()) return;
    questions_ = hone::Prompts::read(host_, prompts);
    const std::vector<std::string> &domain = questions_.domain;
    for (size_t i = 0; i < questions_.size(); ++i)
      number_.push_back(i > 0 && domain[i] == domain[i - 1] ? number_[i - 1] + 1 : 0);
    for (size_t begin = 0; begin < questions_.size();) {
      size_t end = begin + 1;
      while (end < questions_.size() && end - begin < batch_size && domain[end] == domain[begin]) ++end;
      batches_.emplace_back(begin, end);
      begin = end;
    }
    if (next_ > models_.size() * batches_.size())
      throw hone::Error("the questions have changed since the stage was saved; start a new run");
  }

  // The label of the reward that counts as accuracy. The set of rewards decides, not which of them gave a number: no score
  // is never replaced by another reward's.
  const std::string &accuracy_label(const std::vector<std::string> &labels, const std::string &domain) const {
    const auto found = std::find(labels.begin(), labels.end(), metric);
    if (found != labels.end()) return *found;
    if (labels.size() == 1) return labels[0];
    std::string names;
    for (const std::string &label : labels) names += (names.empty() ? "" : ", ") + label;
    throw hone::Error("no reward" + (domain.empty() ? std::string() : " of domain \"" + domain + "\"") +
                      " is labelled \"" + metric + "\" (there are: " + names + "); give one of them label = \"" +
                      metric + "\", or set metric");
  }

  void require_selector(const std::vector<std::string> &labels, const std::string &domain) const {
    if (select.empty() || std::find(labels.begin(), labels.end(), select) != labels.end()) return;
    throw hone::Error("select is \"" + select + "\", but no reward" + (domain.empty() ? std::string() : " of domain \"" + domain + "\"") +
                      " is labelled so; give one of them that label");
  }

  void measure(hone::ModelHandle which, size_t begin, size_t end) {
    const auto step = static_cast<uint32_t>(next_ + 1);
    const hone::Responses out = hone::Responses::sample(host_, which, questions_, begin, end, sampling(step));
    const std::map<std::string, std::vector<double>> parts = hone::Scores::of(host_, rewards, out, step).parts;
    const std::string &domain = out.domain[0];  // of all of them
    if (parts.empty())
      throw hone::Error("no reward judges" + (domain.empty() ? " the responses" : " domain \"" + domain + "\""));
    std::vector<std::string> labels;
    for (const auto &[label, values] : parts) labels.push_back(label);
    const std::string &accuracy = accuracy_label(labels, domain);
    require_selector(labels, domain);

    Tally &tally = tallies_[domain];
    for (size_t first = 0; first < out.size(); first += num_generations)
      count_question(tally, parts, accuracy, first, out.response);
    for (size_t i = 0; i < out.size(); ++i) {
      ++tally.responses;
      tally.tokens += out.ids[i].size();
      tally.truncated += out.truncated[i] != 0;
      const hone::ResponseParts said = hone::split_response(out.response[i], tags_);
      tally.tagged += said.answer.has_value();
      tally.formatted += hone::well_formed(out.response[i], out.truncated[i] != 0, tags_, opened);
      tally.mixed += !expect.empty() && has_foreign_word(said.thinking.value_or(""), expect);
      tally.unscored += std::isnan(parts.at(accuracy)[i]);
    }
    if (!tally.correct.empty()) metrics_.put(column(domain, "pass@1"), mean(tally.correct));
    emit_samples(which, begin, out, parts.at(accuracy));
  }

  // One question's k responses begin at row `first`. A response without a score is left out of the means; a question
  // without any scored response is left out altogether, and the column "unscored" tells.
  void count_question(Tally &tally, const std::map<std::string, std::vector<double>> &parts,
                      const std::string &accuracy, size_t first, const std::vector<std::string> &response) const {
    for (const auto &[name, values] : parts) {
      double sum = 0;
      size_t scored = 0;
      bool any = false;
      for (size_t i = first; i < first + num_generations; ++i)
        if (!std::isnan(values[i])) sum += values[i], ++scored, any = any || values[i] >= threshold;
      if (name == accuracy) tally.paired.push_back(scored ? sum / static_cast<double>(scored) : std::nan(""));
      if (scored == 0) continue;
      if (name != accuracy) {
        tally.others[name].push_back(sum / static_cast<double>(scored));
        continue;
      }
      tally.correct.push_back(sum / static_cast<double>(scored));
      tally.any.push_back(any);
      tally.consensus.push_back(consensus_is_correct(values, first, response));
    }
    if (select.empty()) return;
    const std::vector<double> &judged = parts.at(select), &right = parts.at(accuracy);
    size_t best = first + num_generations;
    for (size_t i = first; i < first + num_generations; ++i)
      if (!std::isnan(judged[i]) && !std::isnan(right[i]) && (best == first + num_generations || judged[i] > judged[best])) best = i;
    if (best < first + num_generations) tally.best.push_back(right[best] >= threshold);
  }

  // The commonest answer; of equally common ones, the one given first. Only an answer between its tags votes: what a
  // reward would take out of other text is not known here.
  bool consensus_is_correct(const std::vector<double> &values, size_t first,
                            const std::vector<std::string> &response) const {
    std::map<std::string_view, std::pair<uint32_t, size_t>> votes;  // answer -> count, first row
    for (size_t i = first; i < first + num_generations; ++i)
      if (const auto answer = hone::trimmed(hone::split_response(response[i], tags_).answer.value_or(""));
          !answer.empty() && !std::isnan(values[i]))
        ++votes.try_emplace(answer, 0u, i).first->second.first;
    const std::pair<uint32_t, size_t> *best = nullptr;
    for (const auto &[answer, vote] : votes)
      if (!best || vote.first > best->first || (vote.first == best->first && vote.second < best->second)) best = &vote;
    return best && values[best->second] >= threshold;
  }

  static std::string column(const std::string &domain, const std::string &name) {
    return domain.empty() ? name : domain + "/" + name;
  }

  void publish(hone::ModelHandle which, bool with_gain) {
    hone::Table row;
    for (const auto &[domain, t] : tallies_) {
      const auto put = [&, &domain = domain](const std::string &name, double value) {
        if (!std::isnan(value)) row.floats(column(domain, name), {value});
      };
      const auto put_mean = [&](const std::string &name, const std::vector<double> &values) {
        put(name, mean(values));
        put(name + "_ci", half_width(values));
      };
      const auto share = [&t = t](uint64_t count) {
        return static_cast<double>(count) / static_cast<double>(t.responses);
      };
      put_mean("pass@1", t.correct);
      if (compare && with_gain) {
        const hone::PairedTest test = hone::paired_test(first_[domain], t.paired);
        put("gain", test.difference);
        put("gain_ci", test.half_width);
        put("p", test.p);
      }
      if (num_generations > 1) {
        put("pass@" + std::to_string(num_generations), mean(t.any));
        if (t.tagged > 0) put("cons@" + std::to_string(num_generations), mean(t.consensus));
      }
      if (!select.empty() && !t.best.empty()) put_mean("best@" + std::to_string(num_generations), t.best);
      for (const auto &[name, values] : t.others) put_mean(name, values);
      put("format", share(t.formatted));
      if (!expect.empty()) put("mixing", share(t.mixed));
      put("length", share(t.tokens));
      put("truncated", share(t.truncated));
      if (t.unscored > 0) put("unscored", share(t.unscored));
      row.ints(column(domain, "questions"), {static_cast<int64_t>(t.correct.size())});
    }
    host_.result(host_.model_name(which), row.view());
  }

  void emit_samples(hone::ModelHandle which, size_t begin, const hone::Responses &out,
                    const std::vector<double> &reward) {
    std::vector<size_t> rows;
    for (size_t first = 0; first < out.size(); first += num_generations)
      if (number_[begin + first / num_generations] < record) rows.push_back(first);
    if (rows.empty()) return;
    const auto pick = [&rows](const auto &all) {
      std::decay_t<decltype(all)> picked;
      for (const size_t i : rows) picked.push_back(all[i]);
      return picked;
    };
    hone::Table table;
    table.texts("model", std::vector<std::string>(rows.size(), host_.model_name(which)));
    table.texts("prompt", pick(out.prompt))
        .texts("response", pick(out.response))
        .texts("answer", pick(out.answer))
        .texts("domain", pick(out.domain));
    table.floats("reward", pick(reward)).ints("truncated", pick(out.truncated));
    host_.emit(table.view());
  }

  hone::StageHost host_;
  hone::Metrics metrics_;
  hone::Tags tags_;
  std::vector<hone::ModelHandle> models_;
  hone::Prompts questions_;
  std::vector<uint64_t> number_;  // of a question within its domain
  std::vector<std::pair<size_t, size_t>> batches_;
  // What save() tells.
  size_t next_ = 0;                                   // counts batches of all models, one model after the other
  std::map<std::string, Tally> tallies_;              // of the current model, by domain
  std::map<std::string, std::vector<double>> first_;  // the first model's `paired`, by domain, when it is compared with
};

}  // namespace

HONE_PLUGIN("hone.stages.eval", "0.1.0",
            hone::component<Eval>(
                "eval",
                "measures models on questions: pass@1 with its interval, pass@k, cons@k, format, mixing, length"));
