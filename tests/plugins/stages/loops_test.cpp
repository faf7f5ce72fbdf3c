// loops_test.cpp -- sample and eval, driven by a host whose model and rewards are plain functions, so that every
// expected row and number is worked out here apart from the plugins.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "core/base/failure.h"
#include "core/stage/table.h"
#include "hone/draft/stage.h"
#include "tests/plugins/rewards/open_reward.h"
#include "tests/support/built_component.h"

namespace hone {
namespace {

using nlohmann::json;
const double kNone = std::nan("");

struct Question {
  std::string prompt, answer, domain;
  json columns = json::object();
};

// A host of one stage. respond and judge see all they may; what the stage emits and reports is kept.
class FakeHost {
 public:
  std::vector<Question> questions;
  std::function<std::string(int64_t model, const std::string &prompt, uint32_t i)> respond;
  std::function<std::map<std::string, double>(const std::string &prompt, const std::string &response)>
      judge;  // "reward" is their sum
  std::function<bool(const json &)> keep;
  std::map<std::string, std::vector<std::string>> labels;  // of the rewards, by domain; empty: nothing is told
  std::vector<json> emitted, results;
  int rollouts = 0;

  FakeHost() : pool_(1), host_(pool_, 1) {
    services_ = {sizeof services_, this, data, rollout, score, call, emit, result, model_name, progress, nullptr,
                 nullptr, nullptr, nullptr, labels_of, nullptr};
    host_.offer(HONE_HOST_STAGE, &services_);
  }
  const Host &host() const { return host_; }

 private:
  static FakeHost &self(void *ctx) { return *static_cast<FakeHost *>(ctx); }
  int32_t give(const char *service, OwnedTable table, hone_table *out) {
    *out = (given_[service] = std::move(table)).abi();
    return HONE_OK;
  }
  static int32_t labels_of(void *ctx, int64_t, hone_table *out, hone_error *) {
    std::vector<std::string> label, domain;
    for (const auto &[of, names] : self(ctx).labels)
      for (const std::string &name : names) label.push_back(name), domain.push_back(of);
    OwnedTable table(label.size());
    table.texts("label", label), table.texts("domain", domain);
    return self(ctx).give("labels", std::move(table), out);
  }
  static int32_t data(void *ctx, int64_t, hone_table *out, hone_error *) {
    FakeHost &host = self(ctx);
    std::vector<std::string> prompt, answer, columns, domain;
    for (const Question &q : host.questions)
      prompt.push_back(q.prompt), answer.push_back(q.answer), columns.push_back(q.columns.dump()),
          domain.push_back(q.domain);
    OwnedTable table(prompt.size());
    table.texts("prompt", prompt), table.texts("answer", answer), table.texts("columns", columns),
        table.texts("domain", domain);
    return host.give("data", std::move(table), out);
  }
  static int32_t rollout(void *ctx, int64_t model, const hone_table *prompts, const hone_sampling *how, hone_table *out,
                         hone_error *) {
    FakeHost &host = self(ctx);
    ++host.rollouts;
    const TableReader reader(*prompts, "test");
    std::vector<int64_t> prompt_row, truncated;
    std::vector<std::string> response;
    std::vector<std::vector<int32_t>> ids;
    std::vector<std::vector<float>> logprobs;
    for (uint64_t p = 0; p < reader.rows(); ++p)
      for (uint32_t i = 0; i < how->num_generations; ++i) {
        prompt_row.push_back(static_cast<int64_t>(p));
        response.push_back(host.respond(model, reader.text("prompt", p), i));
        ids.emplace_back(response.back().size());  // a token for each byte
        logprobs.emplace_back(response.back().size());
        truncated.push_back(response.back().size() > 60);
      }
    OwnedTable table(response.size());
    table.ints("prompt_row", prompt_row), table.texts("response", response), table.int_lists("ids", ids);
    table.float_lists("logprobs", logprobs), table.ints("truncated", truncated);
    return host.give("rollout", std::move(table), out);
  }
  static int32_t score(void *ctx, int64_t, const hone_table *rows, uint32_t, hone_table *out, hone_error *) {
    FakeHost &host = self(ctx);
    const TableReader reader(*rows, "test");
    std::vector<double> reward(reader.rows());
    std::map<std::string, std::vector<double>> parts;
    for (uint64_t i = 0; i < reader.rows(); ++i)
      for (const auto &[name, value] : host.judge(reader.text("prompt", i), reader.text("response", i))) {
        reward[i] += value;
        auto &part = parts[name];
        part.resize(reader.rows(), kNone);
        part[i] = value;
      }
    OwnedTable table(reader.rows());
    table.floats("reward", reward);
    for (const auto &[name, values] : parts) table.floats(name, values);
    return host.give("score", std::move(table), out);
  }
  static int32_t call(void *ctx, int64_t, const hone_table *rows, uint8_t *keep, hone_error *) {
    const TableReader reader(*rows, "test");
    for (uint64_t i = 0; i < reader.rows(); ++i) keep[i] = self(ctx).keep(reader.row(i));
    return HONE_OK;
  }
  static int32_t emit(void *ctx, const hone_table *rows, hone_error *) {
    const TableReader reader(*rows, "test");
    for (uint64_t i = 0; i < reader.rows(); ++i) self(ctx).emitted.push_back(reader.row(i));
    return HONE_OK;
  }
  static int32_t result(void *ctx, hone_str name, const hone_table *one_row, hone_error *) {
    json row = TableReader(*one_row, "test").row(0);
    row["name"] = std::string(name.data, name.size);
    self(ctx).results.push_back(row);
    return HONE_OK;
  }
  static hone_str model_name(void *, int64_t model) { return model == 0 ? hone_str{"base", 4} : hone_str{"tuned", 5}; }
  static void progress(void *, uint64_t, uint64_t) {}

  Pool pool_;
  Host host_;
  hone_stage_host services_{};
  std::map<std::string, OwnedTable> given_;
};

// Runs a stage to its end. After `stop` steps (if it gets there) it is saved, destroyed, made anew and loaded. A step
// after the end, in the same process or in one that goes on from there, is over at once and does nothing.
void run_stage(FakeHost &host, const std::string &name, const json &settings, int stop = -1) {
  auto stage = std::make_unique<BuiltInstance>(host.host(), "stage", name, settings);
  hone_stage methods = stage->methods<hone_stage>();
  hone_error err{};
  const auto go_on_elsewhere = [&] {
    std::string saved;
    check_call(methods.save(
                   stage->self(),
                   [](void *arg, hone_str part) { static_cast<std::string *>(arg)->append(part.data, part.size); },
                   &saved, &err),
               err, name);
    stage = std::make_unique<BuiltInstance>(host.host(), "stage", name, settings);
    check_call(methods.load(stage->self(), {saved.data(), saved.size()}, &err), err, name);
  };
  for (int32_t step = 0, again = HONE_AGAIN; again == HONE_AGAIN; ++step) {
    if (step == stop) go_on_elsewhere();
    check_call(methods.step(stage->self(), &again, &err), err, name);
    ASSERT_LT(step, 1000);
  }
  const auto emitted = host.emitted, results = host.results;
  const int rollouts = host.rollouts;
  for (int twice = 0; twice < 2; ++twice) {
    int32_t again = HONE_AGAIN;
    check_call(methods.step(stage->self(), &again, &err), err, name);
    ASSERT_EQ(again, HONE_DONE);
    ASSERT_EQ(host.rollouts, rollouts) << "a step after the end sampled";
    ASSERT_EQ(host.emitted, emitted);
    ASSERT_EQ(host.results, results);
    go_on_elsewhere();
  }
}

std::string failure_of(const std::function<void()> &body) {
  try {
    body();
  } catch (const std::exception &failure) {
    return failure.what();
  }
  return "no failure";
}

json handle(const char *kind, int index) { return {{kind, index}}; }

// Ten prompts "0" .. "9"; response i to prompt p is "p:i", and its reward is (p * 7 + i * 3) % 5, none when that is 4.
class SampleStage : public ::testing::Test, public FakeHost {
 protected:
  SampleStage() {
    for (int p = 0; p < 10; ++p)
      questions.push_back({std::to_string(p), "a" + std::to_string(p), p < 5 ? "low" : "high", {{"source", p}}});
    respond = [](int64_t, const std::string &prompt, uint32_t i) { return prompt + ":" + std::to_string(i); };
    judge = [](const std::string &prompt, const std::string &response) {
      return std::map<std::string, double>{{"accuracy", reward_of(std::stoi(prompt), std::stoi(response.substr(2)))}};
    };
  }
  static double reward_of(int p, int i) {
    const int r = (p * 7 + i * 3) % 5;
    return r == 4 ? kNone : r;
  }
  json settings(const json &more) {
    json all = {{"model", handle("$model", 0)},
                {"prompts", handle("$data", 0)},
                {"rewards", handle("$reward", 0)},
                {"num_generations", 4},
                {"batch_size", 3}};
    all.update(more);
    return all;
  }
  void repeat_questions(size_t n) {
    const std::vector<Question> first(questions.begin(), questions.begin() + static_cast<ptrdiff_t>(n));
    questions.insert(questions.end(), first.begin(), first.end());
  }
  std::vector<std::string> responses() const {
    std::vector<std::string> out;
    for (const json &row : emitted) out.push_back(row.at("response"));
    return out;
  }
};

TEST_F(SampleStage, KeepsEveryScoredResponseInOrder) {
  run_stage(*this, "sample", settings({{"mode", "all"}}));
  std::vector<std::string> expected;
  for (int p = 0; p < 10; ++p)
    for (int i = 0; i < 4; ++i)
      if (!std::isnan(reward_of(p, i))) expected.push_back(std::to_string(p) + ":" + std::to_string(i));
  EXPECT_EQ(responses(), expected);
  EXPECT_LT(expected.size(), 40u) << "some response has no score, or the test shows nothing";
  EXPECT_EQ(emitted[0].at("prompt"), "0");
  EXPECT_EQ(emitted[0].at("answer"), "a0");
  EXPECT_EQ(emitted[0].at("domain"), "low");
  EXPECT_EQ(emitted[0].at("accuracy"), emitted[0].at("reward"));
  EXPECT_EQ(emitted[0].at("columns"), "{\"source\":0}");
}

TEST_F(SampleStage, PassingKeepsThoseAtTheThresholdOrAbove) {
  run_stage(*this, "sample", settings({{"mode", "passing"}, {"threshold", 2}}));
  size_t expected = 0;
  for (int p = 0; p < 10; ++p)
    for (int i = 0; i < 4; ++i) expected += reward_of(p, i) >= 2;
  EXPECT_EQ(emitted.size(), expected);
  for (const json &row : emitted) EXPECT_GE(row.at("reward").get<double>(), 2);
}

TEST_F(SampleStage, BestKeepsTheFirstOfTheHighestForEachPrompt) {
  run_stage(*this, "sample", settings({{"mode", "best"}, {"num_generations", 8}}));
  ASSERT_EQ(emitted.size(), 10u);
  for (int p = 0; p < 10; ++p) {
    int best = -1;
    for (int i = 0; i < 8; ++i)
      if (!std::isnan(reward_of(p, i)) && (best < 0 || reward_of(p, i) > reward_of(p, best))) best = i;
    EXPECT_EQ(responses()[p], std::to_string(p) + ":" + std::to_string(best));
  }
}

TEST_F(SampleStage, PairsAreTheBestAgainstTheWorstWhenFarEnoughApart) {
  run_stage(*this, "sample", settings({{"mode", "pairs"}, {"threshold", 3}}));
  size_t expected = 0;
  for (int p = 0; p < 10; ++p) {
    double least = 9, most = -1;
    for (int i = 0; i < 4; ++i)
      if (const double r = reward_of(p, i); !std::isnan(r)) least = std::min(least, r), most = std::max(most, r);
    expected += most - least >= 3;
  }
  ASSERT_EQ(emitted.size(), expected);
  ASSERT_GT(expected, 0u);
  ASSERT_LT(expected, 10u);
  for (const json &row : emitted) {
    EXPECT_GE(row.at("reward_chosen").get<double>() - row.at("reward_rejected").get<double>(), 3);
    EXPECT_NE(row.at("chosen"), row.at("rejected"));
    EXPECT_FALSE(row.contains("response"));
  }
}

TEST_F(SampleStage, PairsOfAnswersLeaveTheThinkingOut) {
  respond = [](int64_t, const std::string &prompt, uint32_t i) {
    return "<think> " + prompt + " </think> <answer> " + std::to_string(i % 2) + " </answer>";
  };
  judge = [](const std::string &, const std::string &response) {
    return std::map<std::string, double>{{"right", response.find("<answer> 1 ") != response.npos}};
  };
  run_stage(*this, "sample", settings({{"mode", "pairs"}, {"threshold", 1}, {"part", "answer"}}));
  ASSERT_EQ(emitted.size(), 10u);
  for (const json &row : emitted) {
    EXPECT_EQ(row.at("chosen"), "1");
    EXPECT_EQ(row.at("rejected"), "0");
  }
}

TEST_F(SampleStage, AnAnswerInsideTheThinkingIsNoAnswer) {
  respond = [](int64_t, const std::string &prompt, uint32_t i) {
    const std::string draft = "<think> <answer> draft " + prompt + std::to_string(i) + " </answer>";
    return i < 2 ? draft + " </think> " + std::to_string(i) : draft;  // those of the last two never end
  };
  judge = [](const std::string &, const std::string &response) {
    return std::map<std::string, double>{{"right", response.ends_with("1")}};
  };
  run_stage(*this, "sample", settings({{"mode", "pairs"}, {"part", "answer"}, {"num_generations", 2}}));
  ASSERT_EQ(emitted.size(), 10u);
  for (const json &row : emitted) {
    EXPECT_EQ(row.at("chosen"), "1");
    EXPECT_EQ(row.at("rejected"), "0");
  }
  emitted.clear();
  judge = [](const std::string &prompt, const std::string &response) {  // best: 1, worst: one that never ends
    const bool open = response.find("</think>") == response.npos;
    return std::map<std::string, double>{{"right", prompt != "0" && open ? -1 : response.ends_with("1")}};
  };
  run_stage(*this, "sample", settings({{"mode", "pairs"}, {"part", "answer"}}));
  ASSERT_EQ(emitted.size(), 1u) << "without an answer there is nothing to compare";
  EXPECT_EQ(emitted[0].at("prompt"), "0");
}

TEST_F(SampleStage, TheScriptsFunctionSeesTheRowAndDecides) {
  std::set<std::string> seen;
  keep = [&](const json &row) {
    for (const auto &[name, value] : row.items()) seen.insert(name);
    return row.at("response").get<std::string>().back() == '2';
  };
  run_stage(*this, "sample", settings({{"keep", handle("$function", 0)}}));
  for (const std::string &response : responses()) EXPECT_EQ(response.back(), '2');
  for (const char *name : {"prompt", "response", "answer", "domain", "reward", "accuracy", "truncated", "columns"})
    EXPECT_TRUE(seen.count(name)) << name;
}

TEST_F(SampleStage, KeepsEqualResponsesToEqualPromptsOnce) {
  repeat_questions(10);
  run_stage(*this, "sample", settings({{"deduplicate", true}}));
  const auto all = responses();
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
  emitted.clear();
  run_stage(*this, "sample", settings({{"deduplicate", false}}));
  EXPECT_EQ(emitted.size(), 2 * all.size());
}

TEST_F(SampleStage, StopsAtTheLimit) {
  run_stage(*this, "sample", settings({{"limit", 7}}));
  EXPECT_EQ(emitted.size(), 7u);
}

TEST_F(SampleStage, GoesOnFromAnySavedPlaceAsIfNeverStopped) {
  repeat_questions(4);
  for (const json &how : {json{{"mode", "all"}, {"deduplicate", true}}, json{{"mode", "best"}, {"limit", 6}},
                          json{{"mode", "pairs"}, {"threshold", 2}}}) {
    emitted.clear();
    run_stage(*this, "sample", settings(how));
    const auto whole = emitted;
    for (int stop = 0; stop < 5; ++stop) {
      emitted.clear();
      run_stage(*this, "sample", settings(how), stop);
      EXPECT_EQ(emitted, whole) << how << " stopped after " << stop;
    }
  }
}

TEST_F(SampleStage, SaysSoWhenNothingIsKept) {
  const std::string sentence = failure_of([&] {
    run_stage(*this, "sample", settings({{"mode", "passing"}, {"threshold", 99}}));
  });
  EXPECT_NE(sentence.find("none of the 40 responses was kept"), sentence.npos) << sentence;
}

TEST_F(SampleStage, RefusesAModeThatItCannotDo) {
  json without = settings({{"mode", "best"}});
  without.erase("rewards");
  EXPECT_NE(failure_of([&] { run_stage(*this, "sample", without); }).find("needs rewards"), std::string::npos);
  EXPECT_NE(failure_of([&] {
              run_stage(*this, "sample", settings({{"mode", "pairs"}, {"num_generations", 1}}));
            }).find("num_generations"),
            std::string::npos);
  EXPECT_NE(failure_of([&] {
              run_stage(*this, "sample", settings({{"mode", "bets"}}));
            }).find("best"),
            std::string::npos);
  questions.clear();
  const std::string sentence = failure_of([&] { run_stage(*this, "sample", settings(json::object())); });
  EXPECT_NE(sentence.find("no rows"), sentence.npos) << sentence;
}

// Seven questions of domain "calc", then four of "talk"; the model answers with one of four digits that depends on all
// there is.
class EvalStage : public ::testing::Test, public FakeHost {
 protected:
  EvalStage() {
    for (int q = 0; q < 11; ++q)
      questions.push_back({"q" + std::to_string(q), std::to_string(q % 4), q < 7 ? "calc" : "talk"});
    respond = [](int64_t model, const std::string &prompt, uint32_t i) {
      return tagged(digit(model, std::stoi(prompt.substr(1)), i));
    };
    judge = [](const std::string &prompt, const std::string &response) {
      const int q = std::stoi(prompt.substr(1));
      const bool right = response.find("<answer> " + std::to_string(q % 4) + " ") != response.npos;
      if (q < 7) return std::map<std::string, double>{{"accuracy", right}};
      return std::map<std::string, double>{{"accuracy", right}, {"help", 0.5 * right}};
    };
  }
  // Looks random, so that answers tie now and then.
  static int digit(int64_t model, int q, uint32_t i) {
    const uint32_t h =
        (static_cast<uint32_t>(q) + 1) * 2654435761u ^ (i + 1) * 40503u * (static_cast<uint32_t>(model) + 3);
    return static_cast<int>((h * 2246822519u) >> 30);
  }
  static std::string tagged(int d) { return "<think> x </think> <answer> " + std::to_string(d) + " </answer>"; }
  json settings(const json &more = json::object()) {
    json all = {{"models", {handle("$model", 0), handle("$model", 5)}},
                {"prompts", handle("$data", 0)},
                {"rewards", handle("$reward", 0)},
                {"num_generations", 5},
                {"batch_size", 3}};
    all.update(more);
    return all;
  }
};

TEST_F(EvalStage, GivesTheNumbersWorkedOutByHand) {
  run_stage(*this, "eval", settings());
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].at("name"), "base");
  EXPECT_EQ(results[1].at("name"), "tuned");
  const std::map<std::string, std::pair<int, int>> domains = {{"calc", {0, 7}}, {"talk", {7, 11}}};
  for (int m = 0; m < 2; ++m)
    for (const auto &[domain, range] : domains) {
      const int n = range.second - range.first;
      double sum = 0, squares = 0, any = 0, majority = 0;
      for (int q = range.first; q < range.second; ++q) {
        int right = 0, count[4] = {}, first[4] = {9, 9, 9, 9};
        for (uint32_t i = 0; i < 5; ++i) {
          const int d = digit(m == 0 ? 0 : 5, q, i);
          right += d == q % 4;
          if (count[d]++ == 0) first[d] = static_cast<int>(i);
        }
        int vote = 0;
        for (int d = 1; d < 4; ++d)
          if (count[d] > count[vote] || (count[d] == count[vote] && first[d] < first[vote])) vote = d;
        sum += right / 5.0, squares += right / 5.0 * right / 5.0, any += right > 0, majority += vote == q % 4;
      }
      const double mean = sum / n, variance = (squares - n * mean * mean) / (n - 1);
      EXPECT_NEAR(results[m].at(domain + "/pass@1"), mean, 1e-12);
      EXPECT_NEAR(results[m].at(domain + "/pass@1_ci"), 1.96 * std::sqrt(std::max(0.0, variance) / n), 1e-9);
      EXPECT_NEAR(results[m].at(domain + "/pass@5"), any / n, 1e-12);
      EXPECT_NEAR(results[m].at(domain + "/cons@5"), majority / n, 1e-12);
      EXPECT_EQ(results[m].at(domain + "/questions"), n);
      EXPECT_EQ(results[m].at(domain + "/format"), 1);
      EXPECT_EQ(results[m].at(domain + "/mixing"), 0);
      EXPECT_EQ(results[m].at(domain + "/length"), static_cast<double>(tagged(1).size()));
    }
  EXPECT_NEAR(results[0].at("talk/help"), 0.5 * results[0].at("talk/pass@1").get<double>(), 1e-12);
  EXPECT_FALSE(results[0].contains("calc/help"));
  EXPECT_FALSE(results[0].contains("calc/unscored"));
}

// Every pattern of signs, by recursion.
void all_sign_patterns(const std::vector<double> &d, size_t i, double sum, std::vector<double> &sums) {
  if (i == d.size()) return sums.push_back(sum);
  all_sign_patterns(d, i + 1, sum + d[i], sums);
  all_sign_patterns(d, i + 1, sum - d[i], sums);
}

TEST_F(EvalStage, ComparesEachModelWithTheFirstOneQuestionByQuestion) {
  run_stage(*this, "eval", settings({{"compare", true}}));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_FALSE(results[0].contains("calc/p"));
  for (const auto &[domain, begin, end] : {std::tuple{"calc", 0, 7}, {"talk", 7, 11}}) {
    std::vector<double> d, sums;
    double total = 0;
    for (int q = begin; q < end; ++q) {
      int gain = 0;
      for (uint32_t i = 0; i < 5; ++i) gain += (digit(5, q, i) == q % 4) - (digit(0, q, i) == q % 4);
      d.push_back(gain / 5.0);
      total += d.back();
    }
    all_sign_patterns(d, 0, 0, sums);
    const auto far = std::count_if(sums.begin(), sums.end(), [&](double s) { return std::abs(s) >= std::abs(total) - 1e-9; });
    const std::string at = domain;
    EXPECT_NEAR(results[1].at(at + "/gain"), total / static_cast<double>(d.size()), 1e-12);
    EXPECT_NEAR(results[1].at(at + "/p"), static_cast<double>(far) / static_cast<double>(sums.size()), 1e-12);
    EXPECT_GT(results[1].at(at + "/gain_ci"), 0);
  }
}

TEST_F(EvalStage, ComparedWithItselfAModelGainsNothing) {
  run_stage(*this, "eval", settings({{"compare", true}, {"models", {handle("$model", 0), handle("$model", 0)}}}));
  EXPECT_EQ(results[1].at("calc/gain"), 0);
  EXPECT_EQ(results[1].at("calc/p"), 1);
}

// 200 questions, too many for all patterns: near what the normal distribution says of the mean's standard error.
TEST_F(EvalStage, DrawsSignPatternsForManyQuestions) {
  questions.clear();
  for (int q = 0; q < 200; ++q) questions.push_back({"q" + std::to_string(q), std::to_string(q % 4), "calc", json::object()});
  respond = [](int64_t model, const std::string &prompt, uint32_t i) {
    const int q = std::stoi(prompt.substr(1));
    return tagged(model == 5 && (q * 7 + static_cast<int>(i)) % 19 == 0 ? q % 4 : digit(model, q, i));  // a little better
  };
  run_stage(*this, "eval", settings({{"compare", true}}));
  const double gain = results[1].at("calc/gain"), error = results[1].at("calc/gain_ci").get<double>() / 1.96;
  const double expected = std::erfc(std::abs(gain) / error / std::sqrt(2.0));
  EXPECT_NEAR(results[1].at("calc/p"), expected, 0.1 * expected + 0.01);
  const auto first = results;
  results.clear();
  run_stage(*this, "eval", settings({{"compare", true}}), 60);
  EXPECT_EQ(results, first) << "a resume compares otherwise";
}

TEST_F(EvalStage, AQuestionWithoutAScoreIsComparedWithNothing) {
  const auto scored = judge;
  judge = [=](const std::string &prompt, const std::string &response) {
    auto scores = scored(prompt, response);
    if (prompt == "q2")
      for (auto &[name, value] : scores) value = kNone;
    return scores;
  };
  run_stage(*this, "eval", settings({{"compare", true}}));
  double total = 0;
  for (int q : {0, 1, 3, 4, 5, 6})
    for (uint32_t i = 0; i < 5; ++i) total += ((digit(5, q, i) == q % 4) - (digit(0, q, i) == q % 4)) / 5.0;
  EXPECT_NEAR(results[1].at("calc/gain"), total / 6, 1e-12);
}

TEST_F(EvalStage, RecordsTheFirstResponseToTheFirstQuestionsOfEachDomain) {
  run_stage(*this, "eval", settings({{"record", 2}}));
  ASSERT_EQ(emitted.size(), 8u);  // two of each domain, for each model
  EXPECT_EQ(emitted[0].at("prompt"), "q0");
  EXPECT_EQ(emitted[2].at("prompt"), "q7");
  EXPECT_EQ(emitted[4].at("model"), "tuned");
  EXPECT_EQ(emitted[0].at("response"), tagged(digit(0, 0, 0)));
}

TEST_F(EvalStage, GoesOnFromAnySavedPlaceAsIfNeverStopped) {
  run_stage(*this, "eval", settings());
  const auto whole = results, rows = emitted;
  for (int stop = 0; stop < 10; ++stop) {
    results.clear(), emitted.clear();
    run_stage(*this, "eval", settings(), stop);
    EXPECT_EQ(results, whole) << "stopped after " << stop;
    EXPECT_EQ(emitted, rows) << "stopped after " << stop;
  }
}

TEST_F(EvalStage, TellsFormatMixingAndCutting) {
  for (Question &q : questions) q.domain = "";
  respond = [](int64_t, const std::string &, uint32_t i) -> std::string {
    switch (i) {
      case 0:
        return "<think> a 六 </think> <answer> 1 </answer>";  // another script in the thinking
      case 1:
        return "<think> a </think> <answer> 六 </answer>";  // only in the answer
      case 2:
        return "<think> </think> <answer> 1 </answer>";  // no thinking
      case 3:
        return "<think> é ― 12 ? </think> <answer> 1 </answer> and more";  // text outside; accents, dashes, digits are
                                                                           // no mixing
      default:
        return "<think> " + std::string(80, 'a');  // never ends
    }
  };
  run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}}));
  EXPECT_DOUBLE_EQ(results[0].at("mixing"), 0.2);
  EXPECT_DOUBLE_EQ(results[0].at("format"), 0.4);
  EXPECT_DOUBLE_EQ(results[0].at("truncated"), 0.2);
}

TEST_F(EvalStage, LeavesUnscoredResponsesOutAndSaysHowMany) {
  judge = [](const std::string &prompt, const std::string &response) {
    return std::map<std::string, double>{
        {"accuracy", response.find("<answer> 1 ") != response.npos ? kNone : prompt < "q5"}};
  };
  for (Question &q : questions) q.domain = "";
  respond = [](int64_t, const std::string &prompt, uint32_t i) {
    return tagged(prompt == "q3" ? 1 : static_cast<int>(i % 2));
  };
  run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}}));
  EXPECT_EQ(results[0].at("questions"), 10) << "q3 has no scored response at all";
  EXPECT_NEAR(results[0].at("unscored"), (10 * 2 + 5) / 55.0, 1e-12);
  size_t right = 0;
  for (const Question &q : questions) right += q.prompt != "q3" && q.prompt < "q5";
  EXPECT_NEAR(results[0].at("pass@1"), static_cast<double>(right) / 10, 1e-12);
}

TEST_F(EvalStage, NoScoreNeverBecomesAnotherRewardsNumber) {
  for (Question &q : questions) q.domain = "";
  judge = [](const std::string &prompt, const std::string &) {  // the second batch of three has no accuracy at all
    const int q = std::stoi(prompt.substr(1));
    return std::map<std::string, double>{{"accuracy", q >= 3 && q < 6 ? kNone : 1}, {"help", 0.25}};
  };
  run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}}));
  EXPECT_EQ(results[0].at("pass@1"), 1);
  EXPECT_EQ(results[0].at("help"), 0.25);
  EXPECT_EQ(results[0].at("questions"), 8);
  EXPECT_NEAR(results[0].at("unscored"), 3 * 5 / 55.0, 1e-12);
  results.clear();
  judge = [](const std::string &, const std::string &) {
    return std::map<std::string, double>{{"accuracy", kNone}, {"help", 0.25}};
  };
  run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}}));
  for (const char *name : {"pass@1", "pass@1_ci", "pass@5", "cons@5"}) EXPECT_FALSE(results[0].contains(name)) << name;
  EXPECT_EQ(results[0].at("help"), 0.25);
  EXPECT_EQ(results[0].at("questions"), 0);
  EXPECT_EQ(results[0].at("unscored"), 1);
}

TEST_F(EvalStage, VotesOnlyWhereAnswersAreTagged) {
  respond = [](int64_t, const std::string &prompt, uint32_t i) -> std::string {
    const int q = std::stoi(prompt.substr(1));
    if (q >= 7) return "<think> x <answer> 1 </answer> </think> the answer is " + std::to_string(q % 4);
    return i == 4 ? tagged(q % 4) : "<think> x </think> it is one";  // one vote with a tag against four without
  };
  run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}}));
  EXPECT_EQ(results[0].at("calc/cons@5"), 1);
  EXPECT_TRUE(results[0].contains("talk/pass@5"));
  EXPECT_FALSE(results[0].contains("talk/cons@5"));
}

TEST_F(EvalStage, OfAQuestionsResponsesTheOneThatAJudgeLikesBestIsTheOneThatCounts) {
  judge = [](const std::string &prompt, const std::string &response) {
    const int said = response[response.find("<answer> ") + 9] - '0';
    return std::map<std::string, double>{{"accuracy", said == std::stoi(prompt.substr(1)) % 4}, {"taste", said}};
  };
  run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}, {"select", "taste"}}));
  for (const auto &[domain, begin, end] : {std::tuple{"calc", 0, 7}, {"talk", 7, 11}}) {
    double right = 0;
    for (int q = begin; q < end; ++q) {
      int best = 0;
      for (uint32_t i = 0; i < 5; ++i) best = std::max(best, digit(0, q, i));
      right += best == q % 4;
    }
    EXPECT_NEAR(results[0].at(std::string(domain) + "/best@5"), right / (end - begin), 1e-12);
  }
  EXPECT_NE(failure_of([&] { run_stage(*this, "eval", settings({{"select", "tasty"}})); }).find("\"tasty\""), std::string::npos);
}

TEST_F(EvalStage, CallsTheSameResponsesWellFormedAsTheFormatReward) {
  const std::string whole = "<think> a </think> <answer> b </answer>", bare = "<think> a </think> b";
  const std::vector<json> tags = {
      json::object(), {{"answer_open", ""}, {"answer_close", ""}}, {{"opened", true}}, {{"open", "{"}, {"close", "}"}}};
  size_t good = 0, bad = 0;
  for (const json &own : tags) {
    OpenReward reward("format", own);
    for (const std::string &text :
         {whole, whole + " x", "x " + whole, " " + whole + "\n", bare, bare.substr(8), whole.substr(8),
          "<think> " + std::string(60, 'a') + whole.substr(9),
          "<think> a <answer> b </answer> </think>" + whole.substr(18), "<think>" + whole,
          std::string("{a}<answer>b</answer>"), std::string("<think> a </think> <answer> </answer>"),
          std::string("<think> a"), std::string()}) {
      respond = [&](int64_t, const std::string &, uint32_t) { return text; };
      results.clear();
      json all = settings({{"models", {handle("$model", 0)}}, {"num_generations", 1}, {"batch_size", 11}});
      all.update(own);
      run_stage(*this, "eval", all);
      const float expected = reward(text, "", text.size() > 60);
      (expected == 1 ? good : bad) += 1;
      EXPECT_EQ(results.at(0).at("calc/format"), expected) << text << " with " << own;
    }
  }
  EXPECT_GE(good, 5u);
  EXPECT_GE(bad, 5u);
}

TEST_F(EvalStage, SaysWhichRewardIsMissing) {
  judge = [](const std::string &, const std::string &) {
    return std::map<std::string, double>{{"correct", 1}, {"polite", 0}};
  };
  const std::string sentence = failure_of([&] { run_stage(*this, "eval", settings()); });
  EXPECT_NE(sentence.find("labelled \"accuracy\" (there are: correct, polite)"), sentence.npos) << sentence;
  run_stage(*this, "eval", settings({{"metric", "correct"}}));
  EXPECT_EQ(results[0].at("calc/pass@1"), 1);
  EXPECT_EQ(results[0].at("calc/polite"), 0);
  // A host that tells the labels beforehand spares the work.
  rollouts = 0;
  labels = {{"", {"correct", "polite"}}};
  EXPECT_NE(failure_of([&] { run_stage(*this, "eval", settings()); }).find("(there are: correct, polite)"), sentence.npos);
  labels = {{"calc", {"accuracy"}}, {"talk", {"correct", "polite"}}};
  EXPECT_NE(failure_of([&] { run_stage(*this, "eval", settings()); }).find("of domain \"talk\" is labelled"), sentence.npos);
  EXPECT_EQ(rollouts, 0);
}

TEST_F(EvalStage, RefusesWhatItCannotMeasure) {
  EXPECT_NE(failure_of([&] {
              run_stage(*this, "eval", settings({{"models", json::array()}}));
            }).find("no model"),
            std::string::npos);
  EXPECT_NE(failure_of([&] {
              run_stage(*this, "eval", settings({{"models", {"base"}}}));
            }).find("list of models"),
            std::string::npos);
  EXPECT_NE(failure_of([&] {
              run_stage(*this, "eval", settings({{"models", {handle("$model", 0)}}, {"compare", true}}));
            }).find("only one"),
            std::string::npos);
  questions.clear();
  EXPECT_NE(failure_of([&] { run_stage(*this, "eval", settings()); }).find("no rows"), std::string::npos);
}

}  // namespace
}  // namespace hone
