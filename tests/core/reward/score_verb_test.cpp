// score_verb_test.cpp -- `hone score`: one JSON line per row, and a sentence for whatever is wrong with the rows.
#include "core/reward/score_verb.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <typeinfo>

#include "core/base/failure.h"
#include "core/plugin/library.h"

namespace hone {
namespace {

class ScoreVerbTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const OpenedComponent &component : open_library(HONE_TROUBLE).components) registry_.components_.push_back(component.info);
    verb_.reward = "trouble";
    verb_.scorer.workers = 2;
  }
  // JSON lines, as from a file rows.jsonl.
  void take(const std::string &lines) {
    verb_.rows.clear();
    std::istringstream in(lines);
    std::string line;
    while (std::getline(in, line)) verb_.rows.emplace_back("rows.jsonl:" + std::to_string(verb_.rows.size() + 1), nlohmann::json::parse(line));
  }
  std::string run(const std::string &rows) {
    take(rows);
    std::ostringstream out;
    EXPECT_EQ(score_verb(registry_, verb_, out), 0);
    return out.str();
  }
  template <class Error = Failure>
  void refuses(const std::string &rows, const std::string &part) {
    take(rows);
    std::ostringstream out;
    try {
      score_verb(registry_, verb_, out);
      ADD_FAILURE() << "accepted: " << rows;
    } catch (const Failure &error) {
      EXPECT_TRUE(typeid(error) == typeid(Error)) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_EQ(out.str(), "") << "nothing is printed before all rows are known to be good";
  }
  Registry registry_;
  ScoreVerb verb_;
};

TEST_F(ScoreVerbTest, PrintsOneLinePerRowInOrder) {
  verb_.set = {{"what", "segfault"}};
  const std::string text = run("{\"response\":\"four\",\"answer\":4}\n{\"prompt\":\"p\",\"response\":\"BAD\"}\n{\"response\":\"\",\"ids\":[1,2]}");
  std::istringstream lines(text);
  std::string line;
  std::vector<nlohmann::json> rows;
  while (std::getline(lines, line)) rows.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0], (nlohmann::json{{"score", 4}, {"error", nullptr}}));
  EXPECT_TRUE(rows[1]["score"].is_null());
  EXPECT_NE(rows[1]["error"].get<std::string>().find("signal 11"), std::string::npos);
  EXPECT_EQ(rows[2]["score"], 0);
}

TEST_F(ScoreVerbTest, SaysWhatIsWrongWithARowAndWhere) {
  const std::string good = "{\"response\":\"a\"}\n";
  refuses(good + "{\"prompt\":\"a\",\"text\":\"b\"}\n", ":2: no \"response\"; the row has prompt, text");
  refuses("{\"response\":3}\n", "must be text");
  refuses("{\"response\":\"a\",\"ids\":[1.5]}\n", "1.5");
  refuses("{\"response\":\"a\",\"ids\":7}\n", "list of token ids");
  for (const std::string id : {"5000000000", "2147483648", "18446744073709551615", "-1"})
    refuses(good + "{\"response\":\"a\",\"ids\":[1," + id + "]}\n", "rows.jsonl:2: \"ids\" holds " + id + ", which is no token id");
  refuses("{\"response\":\"a\",\"truncated\":1}\n", "true or false");
}

TEST_F(ScoreVerbTest, SaysWhatIsWrongWithItsRewardAndSettings) {
  verb_.set = {{"whta", "nan"}};
  refuses<UsageError>("{\"response\":\"a\"}\n", "what");
  verb_.set = {};
  verb_.reward = "troubel";
  refuses<UsageError>("{\"response\":\"a\"}\n", "trouble");
}

}  // namespace
}  // namespace hone
