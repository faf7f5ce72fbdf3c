// scorer_test.cpp -- whatever a reward does, only its own row is lost.
#include "core/reward/scorer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "tests/support/refusal.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

RewardPart trouble(const std::string &what, const std::string &label = "trouble", const std::string &name = "trouble") {
  RewardPart part;
  part.label = label;
  part.component.kind = "hone.reward/1";
  part.component.room = "reward";
  part.component.name = name;
  part.component.library = HONE_TROUBLE;
  if (name == "trouble") part.settings = {{"what", what}, {"in_create", "none"}};
  else part.settings = json::object();
  return part;
}

RewardPart lua_part(const std::string &function) {
  RewardPart part;
  part.label = "lua " + function;
  part.script = "/tmp/some.lua";
  part.function = function;
  return part;
}

// Lengths differ, so that a score given to the wrong row is seen.
std::vector<ScoreRow> rows_of(size_t n, const std::set<size_t> &bad) {
  std::vector<ScoreRow> rows(n);
  for (size_t i = 0; i < n; ++i) {
    rows[i].prompt = "p";
    rows[i].text = std::string(i % 97, 'x') + (bad.count(i) ? "BAD" : "");
    rows[i].answer = std::to_string(i);
    rows[i].columns = json{{"level", i}}.dump();
    rows[i].ids.assign(i % 5, 7);
  }
  return rows;
}

ScorerSettings settings(uint32_t workers = 2, double deadline = 30) {
  ScorerSettings out;
  out.workers = workers;
  out.deadline = deadline;
  return out;
}

void expect_only_these_lost(const PartScores &scores, const std::vector<ScoreRow> &rows, const std::set<size_t> &bad, const std::string &why) {
  ASSERT_EQ(scores.score.size(), rows.size());
  ASSERT_EQ(scores.why.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (bad.count(i)) {
      EXPECT_TRUE(std::isnan(scores.score[i])) << i;
      EXPECT_NE(scores.why[i].find(why), std::string::npos) << "row " << i << ": " << scores.why[i];
    } else {
      EXPECT_EQ(scores.score[i], float(rows[i].text.size())) << "row " << i << ": " << scores.why[i];
      EXPECT_EQ(scores.why[i], "");
    }
  }
}

struct Case { const char *what, *why; bool refused = true; };  // refused: not merely without a score
class Misbehaving : public testing::TestWithParam<Case> {};

TEST_P(Misbehaving, CostsOnlyItsRow) {
  const std::set<size_t> bad = {0, 41, 199};
  const auto rows = rows_of(200, bad);
  Scorer scorer({trouble(GetParam().what)}, settings());
  const PartScores scores = scorer.score(rows).at(0);
  expect_only_these_lost(scores, rows, bad, GetParam().why);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(scores.refused[i], bad.count(i) && GetParam().refused) << i;
  // And the next call is served as if nothing had been.
  const auto good = rows_of(30, {});
  expect_only_these_lost(scorer.score(good).at(0), good, {}, "");
}

INSTANTIATE_TEST_SUITE_P(Reward, Misbehaving,
                         testing::Values(Case{"segfault", "signal 11"}, Case{"abort", "signal 6"}, Case{"exit", "exit status"},
                                         Case{"throw_out", "exception"}, Case{"nan", "no score and no reason", false}, Case{"inf", "inf", false},
                                         Case{"fail_call", "the whole call failed"}, Case{"fail_silently", "code 77"},
                                         Case{"overflow", "outside the buffers"}, Case{"underflow", "outside the buffers"},
                                         Case{"why_overflow", "outside the buffers"}, Case{"why_unterminated", "\xEF\xBF\xBD", false},
                                         Case{"fork_stay", "signal 9"}, Case{"close_all", "exit status"}, Case{"garbage", "cannot be read"}),
                         [](const auto &info) { return std::string(info.param.what); });

TEST(Scorer, AsksOnlyThePartThatIsWanted) {
  const auto rows = rows_of(20, {3});
  for (bool in_process : {false, true}) {
    ScorerSettings how = settings(1);
    how.in_process = in_process;
    Scorer scorer({trouble(in_process ? "nan" : "abort", "first"), trouble("none", "second")}, how);
    const std::vector<PartScores> scores = scorer.score(rows, 1);
    ASSERT_EQ(scores.size(), 2u);
    expect_only_these_lost(scores[1], rows, {}, "");
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(std::isnan(scores[0].score[i]) && scores[0].why[i].empty());
    EXPECT_EQ(scorer.restarts(), 0u);
  }
}

TEST(Scorer, AHangCostsItsRowAndIsKilledAtTheDeadline) {
  for (const char *what : {"hang", "stop_self"}) {
    const auto rows = rows_of(20, {13});
    Scorer scorer({trouble(what)}, settings(2, 2));
    expect_only_these_lost(scorer.score(rows).at(0), rows, {13}, "within 2 s and was killed");
  }
}

TEST(Scorer, AForkedChildThatReturnsDoesNotAnswerForItsWorker) {
  const auto rows = rows_of(50, {7, 8});
  Scorer scorer({trouble("fork_return")}, settings());
  for (int i = 0; i < 5; ++i) expect_only_these_lost(scorer.score(rows).at(0), rows, {}, "");
  EXPECT_EQ(scorer.restarts(), 0u) << "an answer too many looks like a corrupted worker";
}

TEST(Scorer, PrintingDoesNotReachStdout) {
  const fs::path path = "/tmp/hone-stdout-" + std::to_string(getpid());
  fflush(stdout);
  const int saved = dup(1), file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  dup2(file, 1);
  const auto rows = rows_of(10, {3});
  PartScores scores;
  {
    Scorer scorer({trouble("print")}, settings());
    scores = scorer.score(rows).at(0);
  }
  dup2(saved, 1);
  close(saved);
  close(file);
  EXPECT_EQ(read_file(path), "");
  fs::remove(path);
  expect_only_these_lost(scores, rows, {}, "");
}

TEST(Scorer, KeepsPartsApart) {
  const auto rows = rows_of(60, {5});
  Scorer scorer({trouble("segfault", "a"), trouble("none", "b"), trouble("nan", "c")}, settings());
  const auto scores = scorer.score(rows);
  ASSERT_EQ(scores.size(), 3u);
  expect_only_these_lost(scores[0], rows, {5}, "signal 11");
  expect_only_these_lost(scores[1], rows, {}, "");
  expect_only_these_lost(scores[2], rows, {5}, "no reason");
}

TEST(Scorer, GivesTheSameScoresForAnyNumberOfWorkersAndInProcess) {
  const auto rows = rows_of(333, {});
  ScorerSettings inside = settings();
  inside.in_process = true;
  const PartScores expected = Scorer({trouble("none")}, inside).score(rows).at(0);
  expect_only_these_lost(expected, rows, {}, "");
  for (uint32_t workers : {1, 2, 5})
    EXPECT_EQ(Scorer({trouble("none")}, settings(workers)).score(rows).at(0).score, expected.score) << workers;
}

// Each third row is not cut into steps, others into one to four.
std::vector<ScoreRow> rows_with_steps(size_t n, const std::set<size_t> &bad) {
  std::vector<ScoreRow> rows = rows_of(n, bad);
  for (size_t i = 0; i < n; ++i) {
    for (uint32_t j = 0; i % 3 != 0 && j < 1 + i % 4; ++j) {
      rows[i].step_start.push_back(static_cast<uint32_t>(rows[i].ids.size())), rows[i].step_text.push_back(static_cast<uint32_t>(rows[i].text.size()));
      rows[i].ids.insert(rows[i].ids.end(), 1 + j, 9);
      rows[i].text += std::string(j + 1, 's') + (i % 5 == 1 && j == 0 ? "none" : "");
    }
    if (!rows[i].step_text.empty()) rows[i].step_text[0] = 0;
    if (!rows[i].step_start.empty()) rows[i].step_start[0] = 0;
  }
  return rows;
}

TEST(Scorer, ScoresOfStepsArriveAtTheirStepsWhoeverScoresThem) {
  const auto rows = rows_with_steps(200, {});
  ScorerSettings inside = settings();
  inside.in_process = true;
  for (const auto &how : {inside, settings(1), settings(3)}) {
    Scorer scorer({trouble("none", "plain"), trouble("steps")}, how);
    const std::vector<PartScores> scores = scorer.score(rows);
    EXPECT_TRUE(scores[0].steps.empty()) << "it scored none";
    ASSERT_EQ(scores[1].steps.size(), rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      std::vector<float> expected;
      for (size_t j = 0; j < rows[i].step_start.size(); ++j) {
        const std::string text = rows[i].text.substr(rows[i].step_text[j], j + 1 < rows[i].step_text.size() ? rows[i].step_text[j + 1] - rows[i].step_text[j] : std::string::npos);
        expected.push_back(text.find("none") == text.npos ? float(text.size()) + 0.001f * float(rows[i].step_start[j]) : std::nanf(""));
      }
      if (std::ranges::all_of(expected, [](float score) { return std::isnan(score); })) expected.clear();
      ASSERT_EQ(scores[1].steps[i].size(), expected.size()) << i;
      for (size_t j = 0; j < expected.size(); ++j)
        EXPECT_TRUE(scores[1].steps[i][j] == expected[j] || (std::isnan(scores[1].steps[i][j]) && std::isnan(expected[j]))) << i << " step " << j;
    }
    EXPECT_TRUE(scorer.score(rows_of(9, {}))[1].steps.empty()) << "nobody asked for steps";
  }
}

TEST(Scorer, WritingBesideTheScoresOfStepsCostsOnlyItsRow) {
  auto rows = rows_with_steps(60, {});
  rows[41].text += "BAD";
  const PartScores scores = Scorer({trouble("steps_overflow")}, settings()).score(rows).at(0);
  expect_only_these_lost(scores, rows, {41}, "outside the buffers");
  EXPECT_TRUE(scores.steps[41].empty());
  EXPECT_EQ(scores.steps[40].size(), rows[40].step_start.size());
  const PartScores infinite = Scorer({trouble("steps_inf")}, settings()).score(rows).at(0);
  ASSERT_EQ(infinite.steps[41].size(), 2u);
  EXPECT_TRUE(std::isnan(infinite.steps[41][0]));
  EXPECT_FALSE(std::isnan(infinite.steps[41][1]));
}

TEST(Scorer, GivesUpOnARewardThatAlwaysCrashes) {
  std::set<size_t> all;
  for (size_t i = 0; i < 300; ++i) all.insert(i);
  const auto rows = rows_of(300, all);
  Scorer scorer({trouble("segfault", "a"), trouble("none", "b")}, settings());
  const auto scores = scorer.score(rows);
  expect_only_these_lost(scores[0], rows, all, "signal 11");
  expect_only_these_lost(scores[1], rows, {}, "");
  EXPECT_LE(scorer.restarts(), 200u) << "half of the rows, and what they were first batched with";
}

// Which rows keep their score must not depend on which worker was ahead.
TEST(Scorer, KeepsOrGivesUpTheSameRowsHoweverManyWorkersThereAre) {
  std::set<size_t> third, most;
  for (size_t i = 0; i < 60; i += 3) third.insert(i);
  for (size_t i = 0; i < 60; ++i)
    if (i % 8 != 0) most.insert(i);
  for (uint32_t workers : {1, 2, 3}) {
    const auto rows = rows_of(60, third);
    expect_only_these_lost(Scorer({trouble("segfault")}, settings(workers)).score(rows).at(0), rows, third, "signal 11");
    const PartScores given_up = Scorer({trouble("segfault")}, settings(workers)).score(rows_of(60, most)).at(0);
    for (float score : given_up.score) EXPECT_TRUE(std::isnan(score)) << workers;
  }
}

TEST(Scorer, SaysAtOnceWhichRewardCannotBeOpened) {
  const auto sentence = [](RewardPart part, double deadline = 30) {
    ScorerSettings s = settings();
    s.setup_deadline = deadline;
    return refusal_of([&] { Scorer scorer({trouble("none", "good"), part}, s); });
  };
  RewardPart part = trouble("none", "second");
  part.settings["in_create"] = "throw";
  EXPECT_NE(sentence(part).find("reward second"), std::string::npos);
  EXPECT_NE(sentence(part).find("it will not start"), std::string::npos);
  part.settings["in_create"] = "crash";
  EXPECT_NE(sentence(part).find("signal 11"), std::string::npos) << sentence(part);
  part.settings["in_create"] = "hang";
  EXPECT_NE(sentence(part, 2).find("within 2 s"), std::string::npos);
  part = trouble("none", "second");
  part.component.library = "/nowhere/none.so";
  EXPECT_NE(sentence(part).find("none.so"), std::string::npos);
  EXPECT_NE(sentence(trouble("none", "good")).find("two rewards are called \"good\""), std::string::npos);
}

TEST(Scorer, LaysResponsesOutAsThePluginsOwnHeaderDoes) {
  const auto rows = rows_of(50, {});
  for (bool inside : {false, true}) {
    ScorerSettings s = settings();
    s.in_process = inside;
    for (const char *header : {"newer", "older"}) expect_only_these_lost(Scorer({trouble("", "x", header)}, s).score(rows).at(0), rows, {}, "");
  }
}

TEST(Scorer, ServesLuaFunctionsWithTheWholeRow) {
  const auto rows = rows_of(40, {9});
  Scorer scorer({lua_part("level"), lua_part("length"), lua_part("raise"), lua_part("crash")}, settings());
  const auto scores = scorer.score(rows);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(scores[0].score[i], float(i) + 0.5f * float(i % 5));
  expect_only_these_lost(scores[1], rows, {}, "");
  expect_only_these_lost(scores[2], rows, {9}, "some.lua:3");
  expect_only_these_lost(scores[3], rows, {9}, "signal 6");
}

TEST(Scorer, KeysALuaFunctionByItsRowAlone) {
  auto rows = rows_of(60, {});
  rows[59] = rows[3];
  rows[58] = rows[4];
  rows[58].ids.push_back(8);
  std::vector<float> expected;
  for (uint32_t workers : {1, 2, 5}) {
    const auto scores = Scorer({lua_part("key")}, settings(workers)).score(rows).at(0).score;
    if (expected.empty()) expected = scores;
    EXPECT_EQ(scores, expected) << "it depends on which worker scores the row";
  }
  EXPECT_EQ(expected[59], expected[3]);
  expected.pop_back();
  EXPECT_EQ(std::set<float>(expected.begin(), expected.end()).size(), 59u) << "rows share their random numbers";
}

TEST(Scorer, StopsAHangingRewardWhenInterrupted) {
  ScorerSettings s = settings(2, 300);
  int asked = 0;
  bool stop = false;
  s.interrupted = [&] { return stop && ++asked >= 5; };
  const auto rows = rows_of(8, {2, 5});
  Scorer scorer({trouble("hang")}, s);
  stop = true;
  EXPECT_THROW(scorer.score(rows), ScoringInterrupted);
  EXPECT_EQ(asked, 5) << "once it said yes, nothing more is waited for";
  const auto processes = [] {
    std::istringstream list(read_file("/proc/self/task/" + std::to_string(gettid()) + "/children"));
    return std::distance(std::istream_iterator<int>(list), {});
  };
  EXPECT_EQ(processes(), 0) << "a hanging worker lives on";
  stop = false;
  const auto good = rows_of(8, {});
  expect_only_these_lost(scorer.score(good).at(0), good, {}, "");
}

TEST(Scorer, StopsWaitingForAPartThatOpensForeverWhenInterrupted) {
  RewardPart part = trouble("none");
  part.settings["in_create"] = "hang";
  ScorerSettings s = settings(2, 300);
  s.setup_deadline = 300;
  int asked = 0;
  s.interrupted = [&] { return ++asked >= 5; };
  EXPECT_THROW(Scorer({part}, s), ScoringInterrupted);
  s.in_process = true;
  s.interrupted = [&] { return ++asked >= 8; };
  EXPECT_THROW(Scorer({trouble("none")}, s).score(rows_of(1000, {})), ScoringInterrupted);
}

TEST(Scorer, KeepsWhatWasOfferedAsLongAsThePartAndNoLonger) {
  std::weak_ptr<int> offered;
  ScorerSettings s = settings();
  s.in_process = true;
  s.services.offer = [&](Host &, const json &) {
    auto owner = std::make_shared<int>(7);
    offered = owner;
    return owner;
  };
  {
    Scorer scorer({trouble("none")}, s);
    EXPECT_FALSE(offered.expired()) << "the plugin may still call it";
    const auto rows = rows_of(200, {});
    expect_only_these_lost(scorer.score(rows).at(0), rows, {}, "");
    EXPECT_FALSE(offered.expired());
  }
  EXPECT_TRUE(offered.expired()) << "it leaks with every stage";
}

TEST(Scorer, WorkersLookForPluginsWhereTheHostDid) {
  ScorerSettings s = settings(1);
  s.plugin_folders = {"/one", "/two"};
  EXPECT_EQ(Scorer({lua_part("folders")}, s).score(rows_of(1, {})).at(0).score.at(0), 1);
}

TEST(Scorer, ALostWorkerBetweenCallsIsReplaced) {
  Scorer scorer({trouble("none")}, settings(1));
  const auto rows = rows_of(10, {});
  scorer.score(rows);
  // The only child of this process is the worker.
  const std::string children = read_file("/proc/self/task/" + std::to_string(gettid()) + "/children");
  const pid_t pid = std::stoi(children);
  kill(pid, SIGKILL);
  siginfo_t info{};
  waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT);
  expect_only_these_lost(scorer.score(rows).at(0), rows, {}, "");
}

TEST(Scorer, WorkersEndWithTheProcessThatStartedThem) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    Scorer scorer({trouble("hang")}, settings(2, 1000));
    const std::string children = read_file("/proc/self/task/" + std::to_string(gettid()) + "/children");
    if (write(ends[1], children.data(), children.size()) < 0) _exit(1);
    close(ends[1]);
    scorer.score(rows_of(4, {0, 1, 2, 3}));
    _exit(0);
  }
  close(ends[1]);
  char text[256];
  const ssize_t n = read(ends[0], text, sizeof text);
  ASSERT_GT(n, 0);
  close(ends[0]);
  usleep(100'000);  // both are hanging now, or soon
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  int first = 0, second = 0;
  ASSERT_EQ(std::sscanf(std::string(text, size_t(n)).c_str(), "%d %d", &first, &second), 2);
  const auto alive = [](int pid) {
    try {
      const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
      return stat.find(") Z ") == std::string::npos;
    } catch (const Failure &) {
      return false;
    }
  };
  for (int i = 0; i < 2000 && (alive(first) || alive(second)); ++i) usleep(5000);
  EXPECT_FALSE(alive(first));
  EXPECT_FALSE(alive(second));
}

TEST(Scorer, NothingToScoreIsNoTrouble) {
  Scorer scorer({trouble("segfault")}, settings());
  EXPECT_TRUE(scorer.score({}).at(0).score.empty());
  EXPECT_TRUE(Scorer({}, settings()).score(rows_of(3, {})).empty());
}

}  // namespace
}  // namespace hone

// Under the address sanitizer a crash is to be a crash here too, not a report.
extern "C" const char *__asan_default_options() { return "handle_segv=0"; }

// This program is its own worker and its own probe, as hone is.
int main(int argc, char **argv) {
  if (argc == 3 && std::string(argv[1]) == "--reward-worker") {
    hone::WorkerServices services;
    services.lua = [](const std::string &script, const std::string &function,
                      const nlohmann::json &) -> hone::WorkerServices::LuaFunction {
      return [=](const nlohmann::json &row, uint64_t key) -> double {
        if (function == "key") return double(key >> 40);
        const std::string text = row.at("response");
        if (function == "folders") return std::string(std::getenv("HONE_PLUGIN_PATH")) == "/one:/two" ? 1 : 0;
        if (function == "level") return row.at("level").get<double>() + 0.5 * row.at("num_tokens").get<double>();
        const bool bad = text.find("BAD") != text.npos;
        if (bad && function == "raise") throw hone::Failure(script + ":3: attempt to index a nil value");
        if (bad && function == "crash") abort();
        return double(text.size());
      };
    };
    return hone::run_reward_worker(std::atoi(argv[2]), services);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
