// mcts_test.cpp -- tree search on a made-up policy of which everything is known: against a search written again by hand, with the rules'
// formulas, and on a task whose answer the policy alone would never give.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "hone/json.hpp"
#include "hone/testing_stage.hpp"
#include "plugins/stages/mcts/tree.h"

namespace {

using hone::testing::Component;
using Settings = std::map<std::string, hone::testing::Value>;

// Responses are four steps, "a\n" or "b\n" or "c\n", the last without its newline. Of five samples the policy says a three times, of
// which two are equal to the letter, and b and c once; alone it says a. A question is the steps that answer it, "q:bcab".
struct Letters : hone::testing::StageHost {
  static constexpr size_t steps = 4;
  size_t longest = 0;
  int judged = 0;
  std::vector<int64_t> samplers, valuers;
  std::vector<std::vector<int32_t>> learnt_ids[2];
  std::vector<std::vector<float>> learnt_labels;

  explicit Letters(std::vector<std::string> prompts = {"q:bcab", "q:aaca", "q:abba"}) {
    std::vector<std::string> answer, columns(prompts.size(), "{\"source\":7}"), domain(prompts.size(), "");
    for (const std::string &prompt : prompts) answer.push_back(prompt.substr(2));
    rows.texts("prompt", prompts).texts("answer", answer).texts("columns", columns).texts("domain", domain);
    respond = [this](int64_t model, std::string_view so_far, uint32_t i) {
      samplers.push_back(model);
      std::string said;
      for (size_t step = letters_of(so_far.substr(6)).size(); step < steps; ++step) {
        said += i == 3 ? 'b' : i == 4 ? 'c' : 'a';
        if (i == 2) said += '!';  // an a that is another text
        if (step + 1 < steps) said += '\n';
        i = 0;
      }
      return said;
    };
    likelihood = [](int64_t, std::string_view, std::string_view added) { return log_likelihood(added[0]); };
    value = [this](int64_t model, std::string_view prompt, std::string_view so_far) {
      valuers.push_back(model);
      return head(prompt, so_far);
    };
    judge = [this](std::string_view prompt, std::string_view response) {
      ++judged;
      longest = std::max(longest, response.size());
      return reward(prompt, response);
    };
    learn = [this](int64_t trained, const hone::TableView &rows) {
      for (uint64_t i = 0; i < rows.rows(); ++i) {
        const auto ids = rows.int_list("ids", i);
        learnt_ids[trained - 1000].emplace_back(ids.begin(), ids.end());
        if (!rows.has("step_reward")) continue;
        const auto labels = rows.float_list("step_reward", i);
        learnt_labels.emplace_back(labels.begin(), labels.end());
      }
    };
  }
  static double log_likelihood(char letter) { return std::log(letter == 'a' ? 0.6 : letter == 'b' ? 0.3 : 0.1); }
  static std::string letters_of(std::string_view response) {
    std::string letters;
    for (const char c : response)
      if (c != '\n' && c != '!') letters += c;
    return letters;
  }
  static double reward(std::string_view prompt, std::string_view response) { return letters_of(response) == prompt.substr(2); }
  // Sees how many steps were right so far, roughly.
  static double head(std::string_view prompt, std::string_view so_far) {
    const std::string letters = letters_of(so_far);
    double sum = 0;
    for (size_t i = 0; i < letters.size(); ++i) sum += letters[i] == prompt[2 + i] ? 0.7 : -1.1;
    return sum;
  }
  std::vector<std::string> column(const char *name) {
    std::vector<std::string> all;
    const hone::TableView view = emitted.view();
    for (uint64_t i = 0; i < view.rows(); ++i) all.emplace_back(view.text(name, i));
    return all;
  }
};

Settings settings(const Settings &more = {}) {
  Settings all = {{"model", 0},        {"value_model", 1}, {"prompts", 0},  {"rewards", 0},
                  {"simulations", 60}, {"batch_size", 2},  {"rows", "all"}, {"solutions", 1000}};
  for (const auto &[name, setting] : more) all.insert_or_assign(name, setting);
  return all;
}

std::string sentence(const std::function<void()> &body) {
  try {
    body();
  } catch (const std::exception &error) {
    return error.what();
  }
  return "no error";
}

// The search of one question once more, as its papers' words have it: a state is a text, and all there is to know stands in maps.
struct ByHand {
  std::string question;
  bool puct = true;
  double c = 1.25;
  std::map<std::string, std::vector<std::string>> children;
  std::map<std::string, double> prior, total, count;

  static bool over(const std::string &state) { return Letters::letters_of(state).size() == Letters::steps; }
  double value(const std::string &state) const {
    return over(state) ? 2 * Letters::reward(question, state) - 1 : 2 / (1 + std::exp(-Letters::head(question, state))) - 1;
  }
  void simulate() {
    std::vector<std::string> walk{""};
    while (children.count(walk.back())) {
      const std::string here = walk.back();
      std::string chosen;
      double best = -INFINITY;
      for (const std::string &child : children[here]) {
        const double n = count[child], q = n > 0 ? total[child] / n : 0;
        const double score = puct     ? q + c * prior[child] * std::sqrt(count[here]) / (1 + n)
                             : n == 0 ? 1e300
                                      : q + c * std::sqrt(std::log(count[here]) / n);
        // Ties go to the likelier.
        if (chosen.empty() || score > best || (score == best && prior[child] > prior[chosen])) chosen = child, best = score;
      }
      walk.push_back(chosen);
    }
    const std::string leaf = walk.back();
    if (!over(leaf)) {
      // a is sampled twice with one text, so its weight counts twice.
      const std::string end = Letters::letters_of(leaf).size() + 1 < Letters::steps ? "\n" : "";
      children[leaf] = {leaf + "a" + end, leaf + "a!" + end, leaf + "b" + end, leaf + "c" + end};
      const double weights[] = {1.2, 0.6, 0.3, 0.1};
      for (int i = 0; i < 4; ++i) prior[children[leaf][i]] = weights[i] / 2.2;
    }
    for (const std::string &state : walk) total[state] += value(leaf), count[state] += 1;
  }
};

TEST(MctsTree, ScoresAreThePapersFormulas) {
  for (const double q : {-0.5, 0.25})
    for (const double prior : {0.1, 0.7})
      for (const uint32_t n : {1u, 4u})
        for (const uint32_t parent : {5u, 100u}) {
          EXPECT_DOUBLE_EQ(mcts::score(mcts::Rule::puct, 1.25, q, prior, n, parent), q + 1.25 * prior * std::pow(parent, 0.5) / (n + 1.0));
          EXPECT_DOUBLE_EQ(mcts::score(mcts::Rule::uct, 1.25, q, prior, n, parent), q + 1.25 * std::pow(std::log(parent) / n, 0.5));
        }
  EXPECT_EQ(mcts::score(mcts::Rule::puct, 2, 0, 0.5, 0, 9), 3);
  EXPECT_GT(mcts::score(mcts::Rule::uct, 0, 0, 0, 0, 9), 1e300) << "what was never tried comes first";
}

TEST(MctsTree, EqualStepsAreOneWhoseWeightsAdd) {
  mcts::Tree tree;
  tree.expand(0, {{{1}, "a", 0.25, mcts::End::open}, {{2}, "b", 0.125, mcts::End::open}, {{1}, "a", 0.25, mcts::End::open}});
  ASSERT_EQ(tree[0].children.size(), 2u);
  EXPECT_DOUBLE_EQ(tree[1].prior, 0.8);
  EXPECT_DOUBLE_EQ(tree[2].prior, 0.2);
  tree.expand(1, {{{3}, "ac", 0, mcts::End::open}, {{4}, "ad", 0, mcts::End::open}});
  EXPECT_EQ(tree[3].prior, 0.5) << "too unlikely to be told apart";
  tree.back_up(3, 1);
  tree.back_up(2, -1);
  EXPECT_EQ(tree[0].q(), 0);
  EXPECT_EQ(tree[1].q(), 1);
  EXPECT_EQ(tree.ids(3), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(tree.most_visited(), 3) << "of equals the one with the greater value";
}

TEST(Mcts, FindsWhatASearchByHandFindsWithTheSameValues) {
  for (const char *rule : {"puct", "uct"})
    for (const double c : {1.25, 0.3}) {
      Letters host;
      hone::testing::run(Component("mcts", settings({{"selection", rule}, {"exploration", c}}), host.services()));
      const auto prompt = host.column("prompt"), response = host.column("response"), columns = host.column("columns");
      const hone::TableView rows = host.emitted.view();
      size_t at = 0;
      for (const char *question : {"q:bcab", "q:aaca", "q:abba"}) {
        ByHand search{question, std::string(rule) == "puct", c, {}, {}, {}, {}};
        for (int i = 0; i < 60; ++i) search.simulate();
        std::set<std::string> ends, found;
        for (const auto &[state, after] : search.children)
          for (const std::string &child : after)
            if (ByHand::over(child)) ends.insert(child);
        double visits = INFINITY;
        for (; at < prompt.size() && prompt[at] == question; ++at) {
          EXPECT_TRUE(found.insert(response[at]).second) << response[at] << " is there twice";
          EXPECT_EQ(rows.ints("visits")[at], search.count[response[at]]) << response[at];
          EXPECT_LE(search.count[response[at]], visits);
          visits = search.count[response[at]];
          EXPECT_EQ(rows.floats("reward")[at], Letters::reward(question, response[at]));
          const hone::Json own = hone::Json::parse(columns[at]);
          EXPECT_EQ(own["source"].as_integer(), 7);
          ASSERT_EQ(own["steps"].as_list().size(), Letters::steps);
          ASSERT_EQ(own["labels"].as_list().size(), Letters::steps);
          std::string state;
          for (size_t i = 0; i < Letters::steps; ++i) {
            state += own["steps"].as_list()[i].as_string();
            const double q = i + 1 < Letters::steps ? search.total[state] / search.count[state] : 2 * Letters::reward(question, state) - 1;
            EXPECT_NEAR(own["labels"].as_list()[i].as_number(), (q + 1) / 2, 1e-12) << question << " after " << state;
          }
          EXPECT_EQ(state, response[at]);
        }
        EXPECT_EQ(found, ends) << question << " by " << rule;
        EXPECT_GT(ends.size(), 3u) << "too few to show anything";
      }
      EXPECT_EQ(at, prompt.size());
    }
}

TEST(Mcts, FindsTheAnswerThatThePolicyAloneNeverGives) {
  Letters host;
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(Letters::reward("q:bcab", host.respond(0, "q:bcab", i)), 0) << "sample " << i;
  Component stage("mcts", settings({{"rows", "right"}, {"simulations", 150}}), host.services());
  EXPECT_EQ(hone::testing::run(stage), 2u);
  std::set<std::string> solved;
  for (const std::string &prompt : host.column("prompt")) solved.insert(prompt);
  EXPECT_EQ(solved.size(), 3u);
  const hone::TableView rows = host.emitted.view();
  for (uint64_t i = 0; i < rows.rows(); ++i) EXPECT_EQ(Letters::letters_of(rows.text("response", i)), rows.text("answer", i));
  EXPECT_EQ(host.metrics.at("search/solved"), 1);
  EXPECT_FALSE(hone::testing::step(stage)) << "there is nothing after the end";
}

// Here a leaf is worth what four responses that go on from it get: of those from a state with three right steps before a last b, one.
TEST(Mcts, WithoutAValueModelRolloutsSayWhatALeafIsWorth) {
  Letters host({"q:aaab"});
  hone::testing::run(
      Component("mcts", settings({{"value_model", -1}, {"simulations", 4}, {"children", 1}, {"num_rollouts", 4}}), host.services()));
  ASSERT_EQ(host.emitted.rows(), 1u);
  EXPECT_TRUE(host.valuers.empty());
  const hone::Json own = hone::Json::parse(host.column("columns")[0]);
  const std::vector<hone::Json> &labels = own["labels"].as_list();
  // One child a step: "a", "aa", "aaa", "aaaa". Each is visited once more than the next; only the last but one's rollouts hit.
  EXPECT_EQ(labels[3].as_number(), 0);
  EXPECT_EQ(labels[2].as_number(), 0.25);   // its own four
  EXPECT_EQ(labels[1].as_number(), 0.125);  // its own none of four, and that
  EXPECT_NEAR(labels[0].as_number(), 0.25 / 3, 1e-12);
}

TEST(Mcts, LengthsAreKept) {
  Letters host;
  // Two letters and a newline to a step at most: "a!\n" is one token too long for 2, and goes on as a step of its own.
  hone::testing::run(Component("mcts", settings({{"max_step_length", 2}, {"max_completion_length", 6}, {"depth", 20}}), host.services()));
  EXPECT_EQ(host.longest, 6u);
  bool cut = false;
  for (const std::string &columns : host.column("columns")) {
    const hone::Json own = hone::Json::parse(columns);
    for (const hone::Json &step : own["steps"].as_list()) {
      EXPECT_LE(step.as_string().size(), 2u);
      cut = cut || step.as_string() == "a!";
    }
  }
  EXPECT_TRUE(cut);
  // At the last depth what is left comes in one step.
  Letters shallow;
  hone::testing::run(Component("mcts", settings({{"depth", 2}}), shallow.services()));
  for (const std::string &columns : shallow.column("columns")) EXPECT_EQ(hone::Json::parse(columns)["steps"].as_list().size(), 2u);
}

TEST(Mcts, KeepsSoManyRightOnesAndAsManyWrongOnes) {
  Letters host;
  host.judge = [](std::string_view, std::string_view response) {
    return response[0] == 'c' ? std::nan("") : response[0] == 'a' ? 1.0 : 0.25;
  };
  hone::testing::run(Component("mcts", settings({{"solutions", 3}, {"exploration", 20.0}}), host.services()));
  std::map<std::string, std::map<double, int>> count;
  const hone::TableView rows = host.emitted.view();
  for (uint64_t i = 0; i < rows.rows(); ++i) ++count[std::string(rows.text("prompt", i))][rows.floats("reward")[i]];
  for (const auto &[prompt, of] : count) EXPECT_EQ(of, (std::map<double, int>{{0.25, 3}, {1, 3}})) << prompt;
  EXPECT_EQ(count.size(), 3u);
}

TEST(Mcts, ARoundTeachesThePolicySolutionsAndTheValueModelTheValuesOfSteps) {
  Letters host;
  const Settings all = settings({{"value_model", -1},
                                 {"optimizer", 4},
                                 {"value_optimizer", 5},
                                 {"rounds", 2},
                                 {"train_steps_per_round", 3},
                                 {"train_batch_size", 2}});
  Component stage("mcts", all, host.services());
  ASSERT_EQ(host.trained.size(), 2u);
  EXPECT_EQ(host.trained[0].objective, "sft");
  EXPECT_EQ(host.trained[1].objective, "prm");
  EXPECT_EQ(host.trained[1].model, 0) << "it begins as the policy does";
  EXPECT_EQ(host.trained[1].optimizer, 5);
  EXPECT_EQ(host.trained[0].how.steps, 6u);
  for (int i = 0; i < 2; ++i) hone::testing::step(stage);
  EXPECT_TRUE(host.valuers.empty()) << "a head that has learnt nothing was asked";
  EXPECT_EQ(host.trained[0].steps + host.trained[1].steps, 0u);
  for (int i = 0; i < 3; ++i) hone::testing::step(stage);
  EXPECT_EQ(host.trained[0].steps, 3u);
  EXPECT_EQ(host.trained[1].steps, 3u);
  const hone::TableView rows = host.emitted.view();
  std::map<std::string, hone::Json> labels;
  std::set<std::string> right;
  for (uint64_t i = 0; i < rows.rows(); ++i) {
    labels[std::string(rows.text("response", i))] = hone::Json::parse(rows.text("columns", i))["labels"];
    if (rows.floats("reward")[i] == 1) right.insert(std::string(rows.text("response", i)));
  }
  EXPECT_EQ(host.learnt_ids[0].size(), 6u);
  for (const auto &ids : host.learnt_ids[0]) {
    EXPECT_EQ(ids.back(), 0) << "the end token is not learnt";
    EXPECT_TRUE(right.count({ids.begin(), ids.end() - 1}));
  }
  ASSERT_EQ(host.learnt_labels.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    const std::string text(host.learnt_ids[1][i].begin(), host.learnt_ids[1][i].end() - 1);
    ASSERT_EQ(host.learnt_labels[i].size(), text.size() + 1);
    EXPECT_TRUE(std::isnan(host.learnt_labels[i].back())) << "the end token has a label, which stage prm never gives it";
    size_t step = 0;
    for (size_t t = 0; t < text.size(); ++t) {
      const bool ends = text[t] == '\n' || t + 1 == text.size();
      EXPECT_EQ(std::isnan(host.learnt_labels[i][t]), !ends) << "token " << t << " of " << text;
      if (ends && labels.count(text) == 1) step += 1;
    }
    EXPECT_EQ(step, Letters::steps) << text << " was not emitted";
  }
  hone::testing::run(stage);
  EXPECT_EQ(host.trained[0].steps, 6u);
  EXPECT_EQ(std::set<int64_t>(host.samplers.begin(), host.samplers.end()), std::set<int64_t>{1000})
      << "the search does not follow the policy that learns";
  EXPECT_EQ(std::set<int64_t>(host.valuers.begin(), host.valuers.end()), std::set<int64_t>{1001});
}

TEST(Mcts, AnswersWithoutSeeingRewardsBeforeTheEnd) {
  for (const char *by : {"visits", "value"}) {
    Letters host;
    int before_the_end = -1;
    host.judge = [&](std::string_view prompt, std::string_view response) {
      if (before_the_end < 0) before_the_end = host.judged;
      ++host.judged;
      return Letters::reward(prompt, response);
    };
    hone::testing::run(Component("mcts", settings({{"mode", "answer"}, {"answer_by", by}, {"num_generations", 5}, {"simulations", 400}}),
                                 host.services()));
    EXPECT_EQ(host.judged, 3 + 3 * 5) << "an answer and five plain responses to each of three questions";
    ASSERT_EQ(host.results.size(), 1u);
    const hone::TableView row = host.results[0].second.view();
    EXPECT_EQ(row.floats("accuracy")[0], 1) << by;
    EXPECT_EQ(row.floats("pass@1")[0], 0) << "the policy alone is not to answer any of these";
    EXPECT_GT(row.floats("tokens")[0], row.floats("plain_tokens")[0]);
    EXPECT_EQ(host.emitted.rows(), 3u);
  }
}

TEST(Mcts, GoesOnFromAnySavedPlaceAsIfNeverStopped) {
  for (const Settings &more :
       {Settings{{"batch_size", 1}}, Settings{{"mode", "answer"}, {"batch_size", 1}},
        Settings{{"optimizer", 4}, {"value_optimizer", 5}, {"rounds", 2}, {"train_steps_per_round", 2}, {"train_batch_size", 3}}}) {
    Letters whole;
    const uint32_t steps = hone::testing::run(Component("mcts", settings(more), whole.services()));
    ASSERT_GT(steps, 2u);
    for (uint32_t stop = 1; stop < steps; ++stop) {
      Letters host;
      std::string saved;
      {
        const Component stage("mcts", settings(more), host.services());
        for (uint32_t i = 0; i < stop; ++i) hone::testing::step(stage);
        saved = hone::testing::save(stage);
      }
      host.trained.clear();
      const Component stage("mcts", settings(more), host.services());
      hone::testing::load(stage, saved);
      EXPECT_EQ(hone::testing::save(stage), saved);
      EXPECT_EQ(hone::testing::run(stage), steps - stop);
      EXPECT_EQ(host.column("response"), whole.column("response")) << "stopped after " << stop;
      EXPECT_EQ(host.column("columns"), whole.column("columns"));
      EXPECT_EQ(host.learnt_ids[0], whole.learnt_ids[0]);
      EXPECT_EQ(host.learnt_ids[1], whole.learnt_ids[1]);
      ASSERT_EQ(host.results.size(), whole.results.size());
      if (!host.results.empty()) {
        for (const char *name : {"accuracy", "pass@1", "tokens", "nodes"})
          EXPECT_EQ(host.results[0].second.view().floats(name)[0], whole.results[0].second.view().floats(name)[0]) << name;
      }
    }
  }
}

TEST(Mcts, WrongSettingsAreSentences) {
  const auto refusal = [](const Settings &more) {
    Letters host;
    return sentence([&] { hone::testing::run(Component("mcts", settings(more), host.services())); });
  };
  const auto expect = [&](const Settings &more, const char *words) {
    const std::string said = refusal(more);
    EXPECT_NE(said.find(words), said.npos) << said;
  };
  expect({{"step_separators", "[]"}}, "nothing would end a step");
  expect({{"step_separators", "[3]"}}, "it holds 3");
  expect({{"step_separators", "[\"\"]"}}, "none of them empty");
  expect({{"mode", "answer"}, {"value_model", -1}}, "needs a value_model");
  expect({{"mode", "answer"}, {"optimizer", 2}}, "trains nothing");
  expect({{"value_optimizer", 2}}, "needs an optimizer beside it");
  expect({{"rounds", 3}}, "give an optimizer");
  expect({{"rows", "right"}, {"threshold", 2.0}}, "found no right solution");
  expect({{"optimizer", 2}, {"threshold", 2.0}}, "for the policy to learn");
  Letters mute;
  mute.value = nullptr;
  EXPECT_NE(sentence([&] { hone::testing::run(Component("mcts", settings(), mute.services())); }).find("no value head"), std::string::npos);
}

}  // namespace
