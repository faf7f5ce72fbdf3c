// check_test.cpp -- `hone check` finds each fault that a plugin was given, and none in those that have none.
#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/plugin/verbs.h"

namespace hone {
namespace {

struct Case {
  const char *name, *says;  // null: passes
};
void PrintTo(const Case &c, std::ostream *out) { *out << c.name; }

class Check : public testing::TestWithParam<Case> {};

TEST_P(Check, FindsWhatIsWrong) {
  std::ostringstream out;
  const int code = check_plugin(std::filesystem::path(ABI_PLUGINS) / (std::string(GetParam().name) + ".so"), out);
  if (!GetParam().says) {
    EXPECT_EQ(code, 0) << out.str();
    EXPECT_EQ(out.str().find("problem"), std::string::npos) << out.str();
  } else {
    EXPECT_EQ(code, 1);
    EXPECT_NE(out.str().find(GetParam().says), std::string::npos) << out.str();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Plugin, Check,
    testing::Values(Case{"good", nullptr}, Case{"throwing", nullptr}, Case{"objective_right", nullptr}, Case{"optimizer_right", nullptr},
                    Case{"wrong_major", "ABI 2"}, Case{"create_crashes", "crashed (Segmentation fault) while creating it"},
                    Case{"create_exits", "exit code 0 while creating it"}, Case{"create_silent", "says nothing in its hone_error"},
                    Case{"score_past_the_end", "writes past its scores"}, Case{"score_crashes", "crashed (Aborted) while scoring"},
                    Case{"score_infinite", "infinite score"}, Case{"score_by_company", "depends on which others"},
                    Case{"objective_wrong_slope", "where finite differences give"}, Case{"objective_wrong_when_extra", "(with extra = 0.1)"}, Case{"objective_own_mean", "do not add up"},
                    Case{"objective_divides_by_zero", "not finite"}, Case{"objective_past_the_end", "writes past its buffers"},
                    Case{"optimizer_own_state", "other bits the second time"}
#ifndef __clang__  // which makes no symbol unique
                    , Case{"statics_one", "exports unique symbols"}
#endif
                    ),
    [](const auto &info) { return std::string(info.param.name); });

TEST(CheckVerb, OfAMissingFileIsAUsageError) {
  std::ostringstream out;
  EXPECT_THROW(check_plugin("/nowhere.so", out), UsageError);
}

TEST(NewPlugin, MakesTheFilesOrNothing) {
  const auto folder = std::filesystem::temp_directory_path() / ("hone-new-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ostringstream out;
  for (const char *kind : {"reward", "objective", "optimizer", "stage", "model"}) {
    const std::string name = std::string("a_") + kind;
    EXPECT_EQ(new_plugin(kind, name, folder, out), 0);
    EXPECT_NE(read_file(folder / name / (name + ".cpp")).find("\"" + name + "\""), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(folder / name / "CMakeLists.txt"));
    EXPECT_TRUE(std::filesystem::exists(folder / name / (name + "_test.cpp")));
    EXPECT_EQ(read_file(folder / name / "CMakeLists.txt").find("my_plugin"), std::string::npos);
  }
  EXPECT_THROW(new_plugin("reward", "a_reward", folder, out), UsageError);
  EXPECT_THROW(new_plugin("rewrad", "b", folder, out), UsageError);
  for (const char *name : {"", "../x", "a/b", "A", "1a", "a-b"}) EXPECT_THROW(new_plugin("reward", name, folder, out), UsageError) << name;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 5);
  std::filesystem::remove_all(folder);
}

TEST(Describe, PrintsWhatASettingTakes) {
  Registry registry;
  ComponentInfo info;
  info.kind = "hone.objective/1", info.room = "stage", info.name = "grpo", info.help = "group relative";
  info.settings = {{"epsilon", "farthest", HONE_FLOAT, 0, 1, {}, false, "0.2"}};
  registry.components_ = {info};
  std::ostringstream out, as_json;
  const std::map<std::string, std::vector<Setting>> common = {
      {"hone.objective/1", {{"steps", "how many", HONE_INT, 1, 1e9, {}, false, "100"}, {"epsilon", "hidden", HONE_INT, 0, 1, {}, false, "1"}}}};
  EXPECT_EQ(describe_component(registry, "stage/grpo", common, false, out), 0);
  EXPECT_NE(out.str().find("epsilon  a number from 0 to 1, default 0.2: farthest"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("steps  an integer from 1 to 1000000000, default 100: how many"), std::string::npos) << out.str();
  EXPECT_EQ(out.str().find("hidden"), std::string::npos);
  EXPECT_EQ(describe_component(registry, "grpo", common, true, as_json), 0);
  EXPECT_THROW(describe_component(registry, "stage/gprx", common, false, out), Failure);
  EXPECT_THROW(describe_component(registry, "gpro", common, false, out), UsageError);
  EXPECT_THROW(describe_component(registry, "thing/grpo", common, false, out), UsageError);
}

}  // namespace
}  // namespace hone
