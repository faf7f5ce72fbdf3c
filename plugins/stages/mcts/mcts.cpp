// mcts.cpp -- Monte Carlo tree search over reasoning steps with the policy's own priors (AlphaMath, arXiv 2405.03553).
//
//   mode "train"   rounds times: search the questions with rewards in sight, batch_size of them in one step()
//                                 emit the solutions that were found, with the values of their steps
//                                 with an optimizer: train_steps_per_round times, one step() each, the policy learns right solutions
//                                 (sft), and with a value_optimizer the value model learns the values of steps (prm)
//   mode "answer"  search without rewards and answer once: accuracy beside pass@1 of plain samples, with the tokens of both
#include <algorithm>
#include <hone/json.hpp>
#include <optional>

#include "answers.h"
#include "rows.h"
#include "search.h"

namespace {

using hone::Json;

class Mcts final : public hone::Stage, public mcts::Settings {
 public:
  hone::ModelHandle model, value_model;
  hone::DataHandle prompts;
  hone::OptimizerHandle optimizer, value_optimizer;
  std::string mode = "train", selection = "puct", answer_by = "visits", rows = "right";
  hone::JsonList step_separators{"[\"\\n\"]"};
  double threshold = 1;
  uint32_t rounds = 1, train_steps_per_round = 8, train_batch_size = 32, batch_size = 16, solutions = 4, num_generations = 4;

  static auto params() {
    using M = Mcts;
    return hone::params(
        hone::param("model", &M::model, "the policy: it proposes steps, and with an optimizer learns; it is not changed itself",
                    {.required = true}),
        hone::param("value_model", &M::value_model,
                    "what values a response's first steps: trained by stage prm, or by this one; none: num_rollouts does"),
        hone::param("prompts", &M::prompts, "questions {prompt, answer, ...}; or one list per domain", {.required = true}),
        hone::param("rewards", &M::rewards, "what judges responses: from 0 (wrong) to 1 (right)", {.required = true}),
        hone::param("mode", &M::mode,
                    "train: search with rewards in sight, for rows and self-training; answer: search without, and measure its answers",
                    {.choices = {"train", "answer"}}),
        hone::param("simulations", &M::simulations, "of each question", {.min = 1, .max = 1e6}),
        hone::param("children", &M::children, "steps sampled where a leaf is expanded; equal ones become one", {.min = 1, .max = 4096}),
        hone::param("depth", &M::depth, "steps of a response; the last of them runs to its end", {.min = 1, .max = 1000}),
        hone::param("exploration", &M::exploration, "c of the selection rule", {.min = 0, .max = 1e6}),
        hone::param("selection", &M::selection, "puct: Q + c P sqrt(N) / (1 + n); uct: Q + c sqrt(ln N / n)", {.choices = {"puct", "uct"}}),
        hone::param("num_rollouts", &M::num_rollouts, "responses whose mean reward is a leaf's value, where there is no value model",
                    {.min = 1, .max = 4096}),
        hone::param("temperature", &M::temperature, "of sampling steps", {.min = 0, .max = 100}),
        hone::param("step_separators", &M::step_separators,
                    "texts: a step ends with the token that completes one of them, which stays in it"),
        hone::param("max_step_length", &M::max_step_length, "tokens of a step; a longer one is cut into two", {.min = 1, .max = 1e6}),
        hone::param("max_completion_length", &M::max_completion_length, "tokens of a response", {.min = 1, .max = 1e6}),
        hone::param("batch_size", &M::batch_size, "questions searched side by side in one step", {.min = 1, .max = 1e6}),
        hone::param("threshold", &M::threshold, "the least reward of a right solution"),
        hone::param("solutions", &M::solutions,
                    "of each question at most so many right ones are emitted and learnt from, and as many wrong ones",
                    {.min = 1, .max = 1e6}),
        hone::param("rows", &M::rows, "of stage.data: right solutions alone, for sft; or all, for prm, which reads their steps and labels",
                    {.choices = {"right", "all"}}),
        hone::param("answer_by", &M::answer_by,
                    "mode answer: the response that the most visited steps lead to, or the ended one of the highest value",
                    {.choices = {"visits", "value"}}),
        hone::param("num_generations", &M::num_generations, "mode answer: plain responses to each question, for pass@1; 0: none",
                    {.max = 65536}),
        hone::param("optimizer", &M::optimizer, "of the policy; none: nothing is trained"),
        hone::param("value_optimizer", &M::value_optimizer, "of the value model, which begins as value_model, or else as model"),
        hone::param("rounds", &M::rounds, "of searching and learning", {.min = 1, .max = 1e6}),
        hone::param("train_steps_per_round", &M::train_steps_per_round, "of the policy, and as many of the value model",
                    {.min = 1, .max = 1e9}),
        hone::param("train_batch_size", &M::train_batch_size, "responses learnt in one step", {.min = 1, .max = 1e6}));
  }

  void start(const hone::Services &services) {
    host_ = hone::StageHost(services);
    metrics_ = hone::Metrics(services);
    random_.emplace(services);
    separators = hone::texts_of(step_separators, "step_separators");
    if (separators.empty())
      throw hone::Error("step_separators is empty, so nothing would end a step; give one text at least, such as \"\\n\"");
    if (mode == "answer") {
      if (!value_model)
        throw hone::Error("mode \"answer\" may not see rewards, so it needs a value_model: one that stage prm or this stage trained");
      if (optimizer || value_optimizer || rounds > 1)
        throw hone::Error("mode \"answer\" trains nothing; leave out optimizer, value_optimizer and rounds");
    }
    if (value_optimizer && !optimizer)
      throw hone::Error("a value_optimizer needs an optimizer beside it: rounds train policy and value model together");
    if (rounds > 1 && !optimizer)
      throw hone::Error("rounds = " + std::to_string(rounds) + " would search the same questions with the same model; give an optimizer");
    rewards_seen = mode == "train";
    rule = selection == "puct" ? mcts::Rule::puct : mcts::Rule::uct;
    const uint64_t steps = uint64_t{rounds} * train_steps_per_round;
    if (optimizer) trained_policy_ = host_.trainer(model, "sft", optimizer, "{}", {.steps = steps});
    if (value_optimizer) trained_value_ = host_.trainer(value_model ? value_model : model, "prm", value_optimizer, "{}", {.steps = steps});
  }

  bool step() override {
    if (round_ == rounds) return false;
    if (questions_.size() == 0) questions_ = hone::Prompts::read(host_, prompts);
    if (next_ > questions_.size()) throw hone::Error("the questions have changed since the stage was saved; start a new run");
    if (next_ < questions_.size()) {
      const size_t end = std::min<size_t>(next_ + batch_size, questions_.size());
      ++steps_;
      if (mode == "answer") {
        const mcts::AnswerSettings how{answer_by == "value", threshold, num_generations};
        answers_.add(host_, *this, how, model, value_model, questions_, next_, end, samplings_, steps_);
        put_cost(answers_.last_cost());
      } else {
        look_for_solutions(next_, end);
      }
      next_ = end;
      if (next_ == questions_.size()) finish_searching();
    } else {
      learn();
    }
    // Half of a round is searching, half is learning.
    const uint64_t n = questions_.size(), learnt = n * learnt_ / train_steps_per_round;
    if (optimizer)
      host_.progress(round_ * 2 * n + next_ + learnt, rounds * 2 * n);
    else
      host_.progress(round_ == rounds ? n : next_, n);
    return round_ < rounds;
  }

  std::string save() const override {
    return Json(std::map<std::string, Json>{{"round", round_},
                                            {"next", next_},
                                            {"steps", steps_},
                                            {"samplings", samplings_},
                                            {"learnt", learnt_},
                                            {"found", found_},
                                            {"solved", solved_},
                                            {"policy", policy_lessons_.json()},
                                            {"values", value_lessons_.json()},
                                            {"answers", answers_.json()}})
        .text();
  }

  void load(std::string_view saved) override {
    const Json state = Json::parse(saved);
    round_ = static_cast<uint32_t>(state["round"].as_integer());
    next_ = static_cast<size_t>(state["next"].as_integer());
    steps_ = static_cast<uint32_t>(state["steps"].as_integer());
    samplings_ = static_cast<uint32_t>(state["samplings"].as_integer());
    learnt_ = static_cast<uint32_t>(state["learnt"].as_integer());
    found_ = static_cast<uint64_t>(state["found"].as_integer());
    solved_ = static_cast<uint64_t>(state["solved"].as_integer());
    policy_lessons_ = mcts::Lessons::of(state["policy"]);
    value_lessons_ = mcts::Lessons::of(state["values"]);
    answers_.load(state["answers"]);
  }

 private:
  // What values leaves now. A head that has learnt nothing says 0 of everything: until it has, num_rollouts does.
  hone::ModelHandle valuer() const {
    if (value_optimizer && (value_model || round_ > 0)) return trained_value_;
    return value_model;
  }

  void look_for_solutions(size_t begin, size_t end) {
    mcts::Search searching(host_, *this, optimizer ? trained_policy_ : model, valuer(), samplings_, steps_);
    const std::vector<mcts::Tree> trees = searching.run(questions_, begin, end);
    std::vector<mcts::Solution> wanted;
    double root = 0, nodes = 0;
    uint64_t solved = 0;
    for (size_t i = 0; i < trees.size(); ++i) {
      root += trees[i][0].q();
      nodes += trees[i].size();
      bool right = false;
      for (mcts::Solution &one : mcts::solutions(trees[i], begin + i, threshold, solutions)) {
        right = right || one.right;
        if (optimizer && one.right && one.whole) policy_lessons_.add_response(questions_, one);
        if (value_optimizer) value_lessons_.add_values(questions_, one);
        if (one.right || rows == "all") wanted.push_back(std::move(one));
      }
      solved += right;
    }
    if (!wanted.empty()) host_.emit(mcts::data_rows(questions_, wanted).view());
    found_ += wanted.size();
    solved_ += solved;
    const auto n = static_cast<double>(trees.size());
    metrics_.put("round", round_ + 1);
    metrics_.put("search/solved", static_cast<double>(solved) / n);
    metrics_.put("search/root_value", root / n);
    metrics_.put("search/nodes", nodes / n);
    metrics_.put("search/rows", static_cast<double>(wanted.size()));
    put_cost(searching.cost());
  }

  void put_cost(const mcts::Cost &cost) {
    metrics_.put("search/generated_tokens", static_cast<double>(cost.generated));
    metrics_.put("search/computed_tokens", static_cast<double>(cost.computed));
    metrics_.put("search/reused_tokens", static_cast<double>(cost.reused));
    metrics_.put("search/value_computed_tokens", static_cast<double>(cost.value_computed));
    metrics_.put("search/value_reused_tokens", static_cast<double>(cost.value_reused));
  }

  void finish_searching() {
    if (mode == "answer") {
      hone::Table row = answers_.result();
      host_.result(host_.model_name(model) + " with mcts", row.view());  // beside the same model without, in one table
    } else if (found_ == 0)
      throw hone::Error("the search found no " +
                        std::string(rows == "right" ? "right solution" : "response that came to its end and has a score") +
                        " for any of the " + std::to_string(questions_.size()) +
                        " questions, so there is no data; give it more simulations or depth, or a lower threshold");
    if (!optimizer) return void(++round_);
    if (policy_lessons_.size() == 0)
      throw hone::Error("the search of round " + std::to_string(round_ + 1) +
                        " found no whole right solution for the policy to learn; give it more simulations, or a lower threshold");
    metrics_.put("search/all_solved", static_cast<double>(solved_) / static_cast<double>(questions_.size()));
    solved_ = 0;
  }

  void learn() {
    metrics_.put("round", round_ + 1);
    teach(trained_policy_, policy_lessons_, 0, "");
    if (value_optimizer) teach(trained_value_, value_lessons_, 1, "value/");
    if (++learnt_ < train_steps_per_round) return;
    ++round_;
    next_ = learnt_ = 0;
    policy_lessons_ = value_lessons_ = {};
  }

  // The next of the lessons in an order that is the same in every step of a round, over and over.
  void teach(hone::TrainedModel trained, const mcts::Lessons &lessons, uint32_t which, const std::string &prefix) {
    if (lessons.size() == 0) return;
    std::vector<std::pair<uint32_t, size_t>> drawn;
    for (size_t i = 0; i < lessons.size(); ++i) drawn.emplace_back(random_->bits(which, round_, static_cast<uint32_t>(i), 0)[0], i);
    std::sort(drawn.begin(), drawn.end());
    std::vector<size_t> rows_now;
    for (size_t i = 0; i < std::min<size_t>(train_batch_size, lessons.size()); ++i)
      rows_now.push_back(drawn[(size_t{learnt_} * train_batch_size + i) % lessons.size()].second);
    hone::Table table = lessons.table(rows_now);
    const hone::TableView measured = host_.train_step(trained, table.view());
    for (const std::string &name : measured.names()) metrics_.put(prefix + name, measured.floats(name)[0]);
  }

  hone::StageHost host_;
  hone::Metrics metrics_;
  std::optional<hone::Random> random_;
  hone::Prompts questions_;
  hone::TrainedModel trained_policy_, trained_value_;
  // What save() tells, as after a whole batch of questions; the host keeps what is trained.
  uint32_t round_ = 0, steps_ = 0, samplings_ = 0, learnt_ = 0;
  size_t next_ = 0;  // first question of the next batch
  uint64_t found_ = 0, solved_ = 0;
  mcts::Lessons policy_lessons_, value_lessons_;  // of this round
  mcts::Answers answers_;
};

}  // namespace

HONE_PLUGIN("hone.stages.mcts", "0.1.0",
            hone::component<Mcts>(
                "mcts", "searches over reasoning steps: solutions, values of steps, rounds of self-training, answers at test time"));
