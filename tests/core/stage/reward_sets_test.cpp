// reward_sets_test.cpp -- a stage's rewards: keyed by row, never scores of other responses, and gone when the run is to end.
#include "core/stage/reward_sets.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>

#include "core/base/failure.h"
#include "core/stage/script_host.h"
#include "core/stage/worker_services.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char kScript[] = R"(local hone = require "hone"
local r = hone.reward(function(row, random) return random() end)
local prompts = hone.rows { count = 1, make = function(i) return { prompt = "a" } end }
return hone.pipeline { seed = 3, hone.stage "sample" { model = hone.model "./model", prompts = prompts, rewards = r } }
)";

class RewardSetsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("hone-reward-sets-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    script_path_ = folder_ / "script.lua";
    fs::create_directories(folder_ / "model");  // never opened here
    std::ofstream(folder_ / "model" / "config.json") << "{}";
    std::ofstream(script_path_) << kScript;
    registry_ = Registry::scan(plugin_folders({}));
    script_ = Script::load(script_path_, registry_, script_host(), {});
    run_ = std::make_unique<RunDirectory>(RunDirectory::create(folder_ / "run", "script", {}));
    context_ = std::make_unique<RunContext>(RunContext{registry_, kernels_, pool_, host_, *script_, script_->pipeline(), *run_, {},
                                                       json::object(), script_path_, HONE_F32, &signal_});
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::vector<RowToScore> rows(size_t n, const std::string &text = "response ") {
    std::vector<RowToScore> out(n);
    for (size_t i = 0; i < n; ++i) {
      out[i].row.prompt = "p";
      out[i].row.text = text + std::to_string(i);
      out[i].row.columns = "{}";
    }
    return out;
  }

  fs::path folder_, script_path_;
  Registry registry_;
  hone_kernels kernels_{};
  Pool pool_{1};
  Host host_{pool_, 3};
  std::unique_ptr<Script> script_;
  std::unique_ptr<RunDirectory> run_;
  std::unique_ptr<RunContext> context_;
  std::atomic<int> signal_{0};
  const json rewards_ = json::array({{{"$reward", 0}}});
  const json stage_ = {{"isolation", "none"}};
};

TEST_F(RewardSetsTest, ALuaRewardDrawsOtherNumbersForEveryRow) {
  RewardSets sets(*context_, rewards_, stage_, "stage");
  ScoreJournal journal(folder_ / "journal");
  const std::vector<float> first = sets.score(journal, "step 1", rows(50)).reward;
  EXPECT_EQ(std::set<float>(first.begin(), first.end()).size(), 50u);
  EXPECT_EQ(sets.score(journal, "step 2", rows(50)).reward, first) << "the same rows draw the same numbers";
}

TEST_F(RewardSetsTest, JournalledScoresAreNotGivenToOtherResponses) {
  RewardSets sets(*context_, rewards_, stage_, "stage");
  std::vector<float> first;
  {
    ScoreJournal journal(folder_ / "journal");
    first = sets.score(journal, "step 1", rows(8)).reward;
  }
  ScoreJournal journal(folder_ / "journal");
  const uint64_t length = journal.length();
  EXPECT_EQ(sets.score(journal, "step 1", rows(8)).reward, first);
  EXPECT_EQ(journal.length(), length) << "it was scored a second time";
  EXPECT_THROW(sets.score(journal, "step 1", rows(8, "another ")), Failure);
  EXPECT_EQ(journal.length(), length);
}

// Two plugins that score a step by its length, one of them with weight -2 and not where the text holds "none"; the function scores none.
TEST_F(RewardSetsTest, AStepsRewardIsTheWeightedSumOfThosePartsThatScoreIt) {
  ComponentInfo trouble;
  trouble.kind = "hone.reward/1", trouble.room = "reward", trouble.name = "trouble", trouble.library = HONE_TROUBLE;
  registry_.components_.push_back(trouble);
  Pipeline pipeline = script_->pipeline();
  RewardNode first;
  first.component = "trouble", first.label = "first", first.weight = 1, first.settings = {{"what", "steps_all"}, {"in_create", "none"}};
  RewardNode second = first;
  second.label = "second", second.weight = -2, second.settings["what"] = "steps";
  pipeline.rewards.push_back(first);
  pipeline.rewards.push_back(second);
  const RunContext context{registry_, kernels_, pool_, host_, *script_, pipeline, *run_, {}, json::object(), script_path_, HONE_F32, &signal_};
  RewardSets sets(context, json::array({{{"$reward", 0}}, {{"$reward", 1}}, {{"$reward", 2}}}), stage_, "stage");
  std::vector<RowToScore> asked = rows(3);
  asked[0].row.text = "abcnone", asked[0].row.step_start = {0, 0}, asked[0].row.step_text = {0, 3};
  asked[2].row.text = "abcd", asked[2].row.step_start = {0}, asked[2].row.step_text = {0};
  for (const char *once : {"scored", "journalled"}) {
    ScoreJournal journal(folder_ / "journal");
    const ScoredRows scored = sets.score(journal, "step 1", asked);
    ASSERT_EQ(scored.steps.size(), 3u) << once;
    EXPECT_EQ(scored.steps[0], (std::vector<float>{3 - 2 * 3, 4})) << once;
    EXPECT_EQ(scored.steps[1], std::vector<float>{});
    EXPECT_EQ(scored.steps[2], std::vector<float>{4 - 2 * 4});
    EXPECT_EQ(scored.steps_scored, (std::map<std::string, uint64_t>{{"first", 3}, {"second", 2}}));
  }
}

TEST_F(RewardSetsTest, AnInterruptEndsScoringAndNothingIsJournalled) {
  RewardSets sets(*context_, rewards_, stage_, "stage");
  ScoreJournal journal(folder_ / "journal");
  signal_ = 15;
  try {
    sets.score(journal, "step 1", rows(8));
    ADD_FAILURE() << "it scored on";
  } catch (const Interrupted &interruption) {
    EXPECT_EQ(interruption.signal, 15);
  }
  EXPECT_EQ(journal.length(), 0u);
}

TEST(WorkerServices, OfferNothingToAPartWithoutModels) {
  Pool pool(1);
  Host host(pool, 0);
  EXPECT_EQ(worker_services().offer(host, json{{"strict", true}}), nullptr);
}

}  // namespace
}  // namespace hone
