// settings_test.cpp -- every wrong setting is one sentence, every right one arrives as the plugin's type.
#include "core/plugin/settings.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"

namespace hone {
namespace {

using nlohmann::json;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Setting> table() {
  return {{"epsilon", "farthest the ratio may move", HONE_FLOAT, 0, kInfinity, {}, false, "0.2"},
          {"steps", "how many", HONE_INT, 1, 100, {}, false, "10"},
          {"any", "no limits", HONE_INT, 0, 0, {}, false, "-7"},
          {"loss_type", "which mean", HONE_STRING, 0, 0, {"grpo", "dapo"}, false, "\"grpo\""},
          {"name", "free text", HONE_STRING, 0, 0, {}, false, "\"\""},
          {"shuffle", "", HONE_BOOL, 0, 0, {}, false, "true"},
          {"list", "", HONE_LIST, 0, 0, {}, false, "[1]"},
          {"table", "", HONE_TABLE, 0, 0, {}, false, "{}"},
          {"model", "what to train", HONE_MODEL_HANDLE, 0, 0, {}, false, "null"}};
}

std::string said(const json &given, std::vector<Setting> settings = table()) {
  try {
    check_settings(settings, given, "r1.lua:12: stage grpo");
  } catch (const UsageError &error) {
    return error.what();
  }
  return "nothing";
}

TEST(Settings, AreFilledWithDefaults) {
  const json out = check_settings(table(), json::array(), "");
  EXPECT_EQ(out, (json{{"epsilon", 0.2}, {"steps", 10}, {"any", -7}, {"loss_type", "grpo"}, {"name", ""}, {"shuffle", true},
                       {"list", {1}}, {"table", json::object()}, {"model", nullptr}}));
}

TEST(Settings, ThatAreRightArrive) {
  const json given = {{"epsilon", 1}, {"steps", 1e1}, {"any", -1000000000000}, {"loss_type", "dapo"}, {"name", "\xE4\xB8\xAD"},
                      {"shuffle", false}, {"list", json::object()}, {"table", json::array()}, {"model", {{"$model", 3}}}};
  const json out = check_settings(table(), given, "");
  EXPECT_TRUE(out["epsilon"].is_number_float());
  EXPECT_TRUE(out["steps"].is_number_integer());
  EXPECT_EQ(out["steps"], 10);
  EXPECT_TRUE(out["list"].is_array());
  EXPECT_TRUE(out["table"].is_object());
  const Values values(table(), out);
  EXPECT_EQ(values.data()[0].as.f, 1.0);
  EXPECT_EQ(values.data()[1].as.i, 10);
  EXPECT_EQ(values.data()[2].as.i, -1000000000000);
  EXPECT_EQ(std::string(values.data()[3].as.s.data, values.data()[3].as.s.size), "dapo");
  EXPECT_EQ(values.data()[5].as.i, 0);
  EXPECT_EQ(std::string(values.data()[6].as.s.data, values.data()[6].as.s.size), "[]");
  EXPECT_EQ(values.data()[8].as.i, 3);
  EXPECT_EQ(Values(table(), json::object()).data()[8].as.i, -1);
}

TEST(Settings, ThatAreWrongAreOneSentence) {
  const std::string where = "r1.lua:12: stage grpo: ";
  EXPECT_EQ(said({{"epsilom", 1}}), where + "no setting \"epsilom\"; did you mean \"epsilon\"?");
  EXPECT_EQ(said({{"epsilon", -1}}), where + "\"epsilon\" must be a number of at least 0, got -1");
  EXPECT_EQ(said({{"epsilon", "big"}}), where + "\"epsilon\" must be a number of at least 0, got \"big\"");
  EXPECT_EQ(said({{"epsilon", kInfinity}}), where + "\"epsilon\" must be a number of at least 0, got null");
  EXPECT_EQ(said({{"steps", 2.5}}), where + "\"steps\" must be an integer from 1 to 100, got 2.5");
  EXPECT_EQ(said({{"steps", 101}}), where + "\"steps\" must be an integer from 1 to 100, got 101");
  EXPECT_EQ(said({{"any", std::numeric_limits<uint64_t>::max()}}), where + "\"any\" must be an integer, got 18446744073709551615");
  EXPECT_EQ(said({{"any", 1e300}}), where + "\"any\" must be an integer, got 1e+300");
  EXPECT_EQ(said({{"loss_type", "dap"}}), where + "\"loss_type\" must be one of \"grpo\", \"dapo\", got \"dap\"; did you mean \"dapo\"?");
  EXPECT_EQ(said({{"name", 3}}), where + "\"name\" must be a string (UTF-8), got 3");
  EXPECT_NE(said({{"name", "\xFF"}}).find("must be a string (UTF-8)"), std::string::npos);
  EXPECT_EQ(said({{"shuffle", 1}}), where + "\"shuffle\" must be true or false, got 1");
  EXPECT_EQ(said({{"list", {{"a", 1}}}}), where + "\"list\" must be a list, got {\"a\":1}");
  EXPECT_EQ(said({{"table", {1, 2}}}), where + "\"table\" must be a table, got [1,2]");
  EXPECT_EQ(said({{"model", "base"}}), where + "\"model\" must be a model, got \"base\"");
  EXPECT_EQ(said({{"model", {{"model", 1}}}}), where + "\"model\" must be a model, got {\"model\":1}");
  EXPECT_EQ(said(3), where + "settings are given as a table { name = value }, got 3");
  std::vector<Setting> required = table();
  required.back().required = true;
  EXPECT_EQ(said(json::object(), required), where + "needs \"model\", a model: what to train");
  EXPECT_NE(said({{"zebra_crossing", 1}}).find("it has any, epsilon"), std::string::npos);
}

TEST(Settings, HandlesMayComeInListsAndByDomain) {
  const std::vector<Setting> rewards = {{"rewards", "", HONE_REWARD_HANDLE, 0, 0, {}, false, "null"}};
  const json one = {{"$reward", 1}};
  for (const json &given : {one, json{one, one}, json{{"reasoning", {one, one}}, {"general", {one}}}})
    EXPECT_EQ(check_settings(rewards, {{"rewards", given}}, "")["rewards"], given);
  EXPECT_THROW(check_settings(rewards, {{"rewards", {one, 3}}}, ""), UsageError);
}

TEST(Settings, AnOptimizerIsAHandleAndMakesALoopAStageThatTrains) {
  const std::vector<Setting> optimizer = {{"optimizer", "how", HONE_OPTIMIZER_HANDLE, 0, 0, {}, true, "null"}};
  EXPECT_EQ(said(json::object(), optimizer), "r1.lua:12: stage grpo: needs \"optimizer\", an optimizer: how");
  EXPECT_EQ(said({{"optimizer", "adamw"}}, optimizer), "r1.lua:12: stage grpo: \"optimizer\" must be an optimizer, got \"adamw\"");
  EXPECT_EQ(Values(optimizer, {{"optimizer", {{"$optimizer", 2}}}}).data()[0].as.i, 2);

  const std::map<std::string, std::vector<Setting>> common = {
      {"hone.stage/1", {{"save_every", "", HONE_INT, 1, 9, {}, false, "2"}, {"steps", "", HONE_INT, 1, 9, {}, false, "2"}}},
      {"hone.stage/1 that trains", {{"verify", "", HONE_BOOL, 0, 0, {}, false, "true"}}}};
  ComponentInfo loop;
  loop.kind = "hone.stage/1";
  loop.settings = table();
  const auto names = [&] {
    std::string all;
    for (const Setting &s : common_settings(common, loop)) all += s.name + " ";
    return all;
  };
  EXPECT_FALSE(trains(loop));
  EXPECT_EQ(names(), "save_every ") << "a component's own setting counts";
  loop.settings.push_back(optimizer[0]);
  EXPECT_TRUE(trains(loop));
  EXPECT_EQ(names(), "save_every verify ");
}

}  // namespace
}  // namespace hone
