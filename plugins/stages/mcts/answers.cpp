// answers.cpp -- see answers.h.
#include "answers.h"

#include <chrono>

namespace mcts HONE_HIDDEN {

using hone::Json;

namespace {

double seconds_now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int32_t answer_of(const Tree &tree, bool by_value) {
  int32_t best = 0;
  if (by_value)
    for (int32_t node = 1; node < tree.size(); ++node)
      if (tree[node].step.end != End::open && (best == 0 || tree[node].value > tree[best].value)) best = node;
  return best ? best : tree.most_visited();
}

}  // namespace

template <class Self, class Body>
void Answers::each(Self &a, Body &&body) {
  body("questions", a.questions_), body("unscored", a.unscored_), body("nodes", a.nodes_), body("right", a.right_);
  body("plain", a.plain_), body("plain_scored", a.plain_scored_), body("plain_right", a.plain_right_),
      body("plain_tokens", a.plain_tokens_);
  body("seconds", a.seconds_), body("plain_seconds", a.plain_seconds_);
  body("generated", a.cost_.generated), body("computed", a.cost_.computed), body("reused", a.cost_.reused);
  body("value_computed", a.cost_.value_computed), body("value_reused", a.cost_.value_reused);
}

Json Answers::json() const {
  std::map<std::string, Json> all;
  each(*this, [&](const char *name, const auto &value) { all[name] = value; });
  return Json(std::move(all));
}

void Answers::load(const Json &saved) {
  each(*this, [&](const char *name, auto &value) { value = static_cast<std::decay_t<decltype(value)>>(saved[name].as_number()); });
}

void Answers::add(const hone::StageHost &host, const Settings &settings, const AnswerSettings &how, hone::ModelHandle model,
                  hone::ModelHandle value_model, const hone::Prompts &prompts, size_t begin, size_t end, uint32_t &samplings,
                  uint32_t step) {
  const double began = seconds_now();
  Search search(host, settings, model, value_model, samplings, step);
  const std::vector<Tree> trees = search.run(prompts, begin, end);
  std::vector<int32_t> leaves;
  for (const Tree &tree : trees) {
    leaves.push_back(answer_of(tree, how.by_value));
    nodes_ += static_cast<uint64_t>(tree.size());
  }
  const std::vector<Search::Answer> answers = search.answers(trees, leaves);
  seconds_ += seconds_now() - began;
  last_ = search.cost();
  cost_ += last_;

  std::vector<size_t> question;
  std::vector<std::string> text;
  std::vector<std::vector<int32_t>> ids;
  std::vector<int64_t> truncated;
  std::vector<double> value;
  for (const Search::Answer &answer : answers) {
    question.push_back(begin + question.size());
    text.push_back(answer.text);
    ids.push_back(answer.ids);
    truncated.push_back(answer.truncated);
    value.push_back(label_of(answer.value));
  }
  const std::vector<double> reward = search.rewards(question, text, ids, truncated);
  for (const double r : reward) {
    if (std::isnan(r))
      ++unscored_;
    else
      ++questions_, right_ += r >= how.threshold;
  }
  const auto pick = [&](const std::vector<std::string> &all) {
    return std::vector<std::string>(all.begin() + static_cast<ptrdiff_t>(begin), all.begin() + static_cast<ptrdiff_t>(end));
  };
  hone::Table table;
  table.texts("prompt", pick(prompts.prompt)).texts("response", text).texts("answer", pick(prompts.answer));
  table.texts("columns", pick(prompts.columns)).texts("domain", pick(prompts.domain));
  table.floats("reward", reward).floats("value", value).ints("truncated", truncated);
  host.emit(table.view());
  if (how.num_generations > 0) sample_plainly(host, settings, how, model, prompts, begin, end, samplings, step);
}

void Answers::sample_plainly(const hone::StageHost &host, const Settings &settings, const AnswerSettings &how, hone::ModelHandle model,
                             const hone::Prompts &prompts, size_t begin, size_t end, uint32_t &samplings, uint32_t step) {
  const double began = seconds_now();
  const hone::Responses plain = hone::Responses::sample(host, model, prompts, begin, end,
                                                        {.num_generations = how.num_generations,
                                                         .max_completion_length = settings.max_completion_length,
                                                         .temperature = settings.temperature,
                                                         .step = ++samplings});
  plain_seconds_ += seconds_now() - began;
  plain_ += plain.size();
  for (const auto &ids : plain.ids) plain_tokens_ += ids.size();
  for (const double r : hone::Scores::of(host, settings.rewards, plain, step).reward)
    if (!std::isnan(r)) ++plain_scored_, plain_right_ += r >= how.threshold;
}

hone::Table Answers::result() const {
  if (questions_ == 0) throw hone::Error("no answer has a score, so there is no accuracy to report");
  const auto share = [](uint64_t part, uint64_t all) { return std::vector<double>{static_cast<double>(part) / static_cast<double>(all)}; };
  const uint64_t all = questions_ + unscored_;
  hone::Table row;
  row.floats("accuracy", share(right_, questions_)).ints("questions", {static_cast<int64_t>(questions_)});
  if (unscored_ > 0) row.floats("unscored", share(unscored_, all));
  row.floats("tokens", share(cost_.generated, all)).floats("nodes", share(nodes_, all)).floats("seconds", {seconds_});
  row.floats("computed_tokens", share(cost_.computed, all)).floats("reused_tokens", share(cost_.reused, all));
  row.floats("value_computed_tokens", share(cost_.value_computed, all)).floats("value_reused_tokens", share(cost_.value_reused, all));
  if (plain_scored_ > 0) row.floats("pass@1", share(plain_right_, plain_scored_));
  if (plain_ > 0) row.floats("plain_tokens", share(plain_tokens_, plain_)).floats("plain_seconds", {plain_seconds_});
  return row;
}

}  // namespace HONE_HIDDEN
