// report_test.cpp -- a report of a made-up run: what must be in it, and what must not get into it.
#include "core/run/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <regex>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/run/chart.h"
#include "core/run/report_data.h"
#include "core/run/run_directory.h"
#include "tests/support/refusal.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Report : public ::testing::Test {
 protected:
  void write(const std::string &name, const std::string &text) { scratch.write(name, text); }

  void make_run() {
    json pipeline = {
        {"name", "r1_zero"},
        {"seed", 7},
        {"order", {0, 1}},
        {"options", {{{"name", "steps"}, {"value", 30}, {"from", "--set"}, {"help", "optimizer steps <of> RL"}}}},
        {"stages",
         {{{"component", "grpo"}, {"label", "r1_zero"}, {"settings", {{"beta", 0.25}, {"note", "<b>bold</b>"}}}},
          {{"component", "eval"}, {"settings", {{"num_generations", 4}}}}}}};
    write("pipeline.json", pipeline.dump());
    std::string lines;
    for (int step = 1; step <= 30; ++step)
      lines += json({{"stage", "01-r1_zero"},
                     {"step", step},
                     {"reward", 1 - std::exp(-step / 9.0)},
                     {"completions/mean_length", 10 + step * 0.8},
                     {"entropy", 1.4 - 0.03 * step},
                     {"loss", step % 2 ? 0.01 : -0.01},
                     {"num_tokens", step * 1000},
                     {"step_time", 0.5},
                     {"grad_norm", nullptr}})
                   .dump() +
               "\n";
    write("metrics.jsonl", lines + "{\"stage\":\"01-r1_zero\",\"step\":31,\"rew");  // the last line is being written
    write("results.json", json({{{"name", "base"},
                                 {"stage", "02-eval"},
                                 {"calc/pass@1", 0.14},
                                 {"calc/pass@1_ci", 0.021},
                                 {"calc/length", 11.8},
                                 {"general/pass@1", 0.54}},
                                {{"name", "r1_zero"},
                                 {"stage", "02-eval"},
                                 {"calc/pass@1", 0.983},
                                 {"calc/pass@1_ci", 0.012},
                                 {"calc/length", 32.8},
                                 {"calc/mixing", 0.88},
                                 {"general/pass@1", 0.58}}})
                              .dump());
    StageDirectory stage(run / "01-r1_zero");
    for (uint32_t step = 1; step <= 3; ++step) {
      RolloutRecord record;
      record.step = step;
      record.prompt = "CALC 6 a * 1 ?";
      record.response = "<think> a 6 * 1 = 6 </think> <answer> " + std::to_string(step) + " </answer>";
      record.prompt_ids = {1, 2};
      record.ids = {3, 4, 5};
      record.logprobs = {-1, -1, -1};
      record.reward = step == 3;
      record.columns = {{"answer", "6"}};
      RolloutRecord second = record;
      second.row = 1;
      second.response = "second of its group";
      stage.write_rollouts(step, {record, second});
    }
    fs::create_directories(run / "02-eval");
    write("02-eval/data.jsonl", json({{"model", "base"},
                                      {"prompt", "Q & A"},
                                      {"response", "<script>alert(1)</script>"},
                                      {"answer", "8"},
                                      {"reward", 0}})
                                        .dump() +
                                    "\n");
  }

  const ScratchFolder scratch;
  const fs::path run = scratch.path;
};

TEST_F(Report, HoldsResultsCurvesCompletionsAndSettings) {
  make_run();
  const fs::path path = write_report(run);
  EXPECT_EQ(path, run / "report.html");
  const std::string page = read_file(path);
  for (const char *expected :
       {"0.140 <small>± 0.021</small>", "0.983", "01-r1_zero", "completions/mean_length", "grpo", "CALC 6 a * 1 ?",
        "step 1", "step 2", "step 3", "optimizer steps &lt;of&gt; RL", "seed 7", "Q &amp; A", ">15 s<"})
    EXPECT_NE(page.find(expected), page.npos) << expected;
  EXPECT_EQ(page.find("second of its group"), page.npos) << "only the first response of a group is shown";
  EXPECT_EQ(page.find("step 31"), page.npos) << "a line that is not whole yet was read";
}

TEST_F(Report, TellsAKeptStageByItsSummaryAndLeavesItsTimeOut) {
  make_run();
  // The kept stage has its curves all the same, and an evaluation has steps but no metrics.
  StageDirectory(run / "01-r1_zero").mark_done({{"steps", 30}, {"seconds", 3600}, {"cached", "8f00"}});
  StageDirectory(run / "02-eval").mark_done({{"steps", 4}, {"seconds", 21}});
  const std::string page = read_file(write_report(run));
  const auto row_of = [&](const std::string &name) {
    const size_t begin = page.find("<tr><td>" + name + "</td>");
    return begin == page.npos ? "" : page.substr(begin, page.find("</tr>", begin) - begin);
  };
  EXPECT_NE(row_of("01-r1_zero").find("grpo (kept from an earlier run)"), std::string::npos) << row_of("01-r1_zero");
  EXPECT_NE(row_of("01-r1_zero").find("<td>" + human_seconds(3600) + "</td>"), std::string::npos);
  EXPECT_EQ(row_of("02-eval").find("kept"), std::string::npos) << row_of("02-eval");
  EXPECT_NE(row_of("all").find("<td>" + human_seconds(21) + "</td>"), std::string::npos) << row_of("all");
}

TEST_F(Report, LetsNoMarkupOfModelOrScriptThrough) {
  make_run();
  const std::string page = read_file(write_report(run));
  EXPECT_EQ(page.find("<script"), page.npos);
  EXPECT_EQ(page.find("<b>bold"), page.npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)"), page.npos);
}

TEST_F(Report, NeedsNothingFromOutside) {
  make_run();
  const std::string page = read_file(write_report(run));
  EXPECT_FALSE(std::regex_search(page, std::regex("(src|href)\\s*=|url\\(|@import")))
      << "the page asks for another file";
}

TEST_F(Report, IsTheSameEachTime) {
  make_run();
  const std::string first = read_file(write_report(run));
  EXPECT_EQ(first, read_file(write_report(run)));
}

TEST_F(Report, TableIsAlignedAndGroupedByDomain) {
  make_run();
  const std::string table = results_table(run);
  std::istringstream lines(table);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  ASSERT_EQ(all.size(), 9u) << table;
  EXPECT_EQ(all[0], "calc            pass@1  mixing  length");
  EXPECT_EQ(all[2], "base     0.140 ± 0.021       –    11.8");
  EXPECT_EQ(all[3], "r1_zero  0.983 ± 0.012   0.880    32.8");
  EXPECT_EQ(all[5], "general  pass@1");
  EXPECT_EQ(all[8], "r1_zero   0.580");
}

TEST_F(Report, OfARunWithoutResultsIsStillWritten) {
  write("metrics.jsonl", "");
  EXPECT_EQ(results_table(run), "");
  EXPECT_TRUE(fs::exists(write_report(run)));
}

TEST_F(Report, SaysWhatIsWrongWithARun) {
  EXPECT_NE(refusal_of([&] { write_report(run / "nowhere"); }).find("no such run directory"), std::string::npos);
  EXPECT_NE(refusal_of([&] { write_report(run); }).find("not a run directory"), std::string::npos);
  write("metrics.jsonl", "{\"stage\":\"01-a\",\"step\":1}\nnonsense\n");
  EXPECT_NE(refusal_of([&] { write_report(run); }).find("metrics.jsonl:2: not a JSON object"), std::string::npos);
  make_run();
  write("results.json", "{]");
  EXPECT_NE(refusal_of([&] { results_table(run); }).find("results.json: not JSON"), std::string::npos);
}

TEST(Chart, SurvivesEveryKindOfNumber) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const std::vector<Line> lines = {{{}, {}},
                                   {{1}, {0}},
                                   {{1, 2}, {5, 5}},
                                   {{1, 2, 3}, {nan, nan, nan}},
                                   {{1, 2, 3}, {1, inf, -inf}},
                                   {{1, 2}, {1e300, -1e300}},
                                   {{1, 1}, {0, 1}},
                                   {{1, 2}, {1e-300, 2e-300}},
                                   {{1, 2}, {-7, -3}}};
  for (const Line &line : lines) {
    const std::string svg = line_chart("x", line);
    EXPECT_EQ(svg.find("nan"), svg.npos) << svg;
    EXPECT_EQ(svg.find("inf"), svg.npos) << svg;
    EXPECT_EQ(svg.substr(svg.size() - 6), "</svg>");
  }
  const std::string dots = dot_chart("x", {{"a", nan, 0}, {"b", 0.5, nan}, {"c", 3, 1}, {"d", -inf, 0}});
  EXPECT_EQ(dots.find("nan"), dots.npos) << dots;
  EXPECT_EQ(dots.find("inf"), dots.npos) << dots;
}

TEST(Chart, ALongRunMakesNoLongerPage) {
  Line line;
  for (int i = 0; i < 100000; ++i) line.x.push_back(i), line.y.push_back(std::sin(i / 5000.0));
  EXPECT_LT(line_chart("long", line).size(), 40000u);
}

TEST(Chart, NumbersAreShort) {
  EXPECT_EQ(short_number(0.1416), "0.142");
  EXPECT_EQ(short_number(31.25), "31.2");
  EXPECT_EQ(short_number(1234), "1234");
  EXPECT_EQ(short_number(12345), "12.3k");
  EXPECT_EQ(short_number(2500000), "2.5M");
  EXPECT_EQ(short_number(0), "0");
}

}  // namespace
}  // namespace hone
