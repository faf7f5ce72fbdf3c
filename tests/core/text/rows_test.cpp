// rows_test.cpp -- JSON lines: what is read, and what each kind of broken line says.
#include "core/text/rows.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/failure.h"

namespace hone {
namespace {

struct File {
  explicit File(const std::string &text)
      : path(std::filesystem::temp_directory_path() / ("hone-rows-" + std::to_string(getpid()) + ".jsonl")) {
    std::ofstream(path) << text;
  }
  ~File() { std::filesystem::remove(path); }
  std::filesystem::path path;
};

std::string refusal(const std::string &text) {
  const File file(text);
  try {
    read_rows(file.path);
  } catch (const Failure &failure) {
    return std::string(failure.what()).substr(file.path.string().size());
  }
  return "";
}

TEST(Rows, ReadsObjectsAndSkipsBlankLines) {
  const File file("\xEF\xBB\xBF{\"a\": 1}\n\n  \r\n{\"a\": \"\xC3\xA9\"}\r\n{\"a\": null}");
  const auto rows = read_rows(file.path);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["a"], 1);
  EXPECT_EQ(rows[1]["a"], "\xC3\xA9");
}

TEST(Rows, GivesEachRowTheNumberOfItsLineInTheFile) {
  const File file("\n{\"a\": 1}\n\n  \r\n{\"a\": 2}\r\n{\"a\": 3}");
  const auto rows = read_numbered_rows(file.path);
  ASSERT_EQ(rows.size(), 3u);
  const size_t lines[] = {2, 5, 6};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(rows[i].first, lines[i]);
    EXPECT_EQ(rows[i].second["a"], i + 1);
  }
  EXPECT_THROW(read_numbered_rows(File("\n").path), Failure);
}

TEST(Rows, NamesTheLineOfWhatItRefuses) {
  EXPECT_EQ(refusal(""), ": no rows; it needs one JSON object per line");
  EXPECT_EQ(refusal("\n \n"), ": no rows; it needs one JSON object per line");
  EXPECT_EQ(refusal("{}\n\n{\"a\": }\n").find(":3: not JSON: at column "), 0u);
  EXPECT_EQ(refusal("{}\n[1]\n").find(":2: a row must be a JSON object"), 0u);
  EXPECT_EQ(refusal("{}\n{\"a\": \"\xFF\"}\n").find(":2: invalid UTF-8 at byte 7"), 0u);
  EXPECT_EQ(refusal("{\"a\": 1").find(":1: not JSON"), 0u);
  EXPECT_EQ(refusal(std::string(100000, '[')).find(":1: nested more than 64 levels deep"), 0u);
  EXPECT_THROW(read_rows("/nowhere/rows.jsonl"), UsageError);
}

TEST(Rows, TellsHowToMakeRowsOfAFileThatIsOneJsonArrayOrObject) {
  const auto advises = [](const std::string &bytes, const std::string &jq) { return refusal(bytes).find("`jq -c " + jq + " ") != std::string::npos; };
  EXPECT_TRUE(advises("[{\"a\": 1}, {\"a\": 2}]\n", "'.[]'"));
  EXPECT_TRUE(advises("[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n", "'.[]'"));
  EXPECT_TRUE(advises("{\n  \"a\": 1\n}\n", "."));
  EXPECT_FALSE(advises("[\n  {\"a\": 1},\n", "'.[]'")) << "of what is no JSON at all there are no rows to make";
  EXPECT_FALSE(advises("{}\n[1]\n", "'.[]'"));
}

TEST(Rows, TurnsColumnsIntoText) {
  const nlohmann::json row = {{"question", "?"}, {"answer", 42}, {"ratio", 0.5},
                              {"flag", true},    {"list", {1}},  {"none", nullptr}};
  EXPECT_EQ(column_text(row, "question", "f:7"), "?");
  EXPECT_EQ(column_text(row, "answer", "f:7"), "42");
  EXPECT_EQ(column_text(row, "ratio", "f:7"), "0.5");
  EXPECT_EQ(column_text(row, "flag", "f:7"), "true");
  EXPECT_THROW(column_text(row, "list", "f:7"), Failure);
  EXPECT_THROW(column_text(row, "none", "f:7"), Failure);
  try {
    column_text({{"question", 1}, {"answer", 2}}, "prompt", "f:7");
    FAIL();
  } catch (const Failure &failure) {
    EXPECT_STREQ(failure.what(), "f:7: row has no column \"prompt\" (it has: answer, question)");
  }
}

}  // namespace
}  // namespace hone
