// mapped_rows_test.cpp -- hone.rows { from =, map = }: people's files come in columns of their own.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class MappedRows : public Program {
 protected:
  // Rows of a file as one pass of sft over them, one row a step; `map` is the function's body, `more` further settings.
  std::string training_on(const std::string &map, const std::string &more = "") {
    return script(R"(local hone = require "hone"
local model = hone.model "llama" { words = { "<bos>", "<eos>", "1", "2", "3", "4", "even", "odd" }, hidden_size = 16, intermediate_size = 16,
  num_hidden_layers = 1, num_attention_heads = 2, max_position_embeddings = 16 }
local rows = hone.rows { from = "questions.jsonl", label = "numbers", map = function(row)
  )" + map + R"(
end)" + more + R"( }
return hone.pipeline { seed = 1, hone.stage "sft" { model = model, data = rows, batch_size = 1, epochs = 1,
  optimizer = hone.optimizer "adamw" { learning_rate = 1e-3 } } }
)");
  }
  void SetUp() override {
    Program::SetUp();
    spit(folder / "questions.jsonl", "{\"question\": 1}\n{\"question\": 2}\n\n{\"question\": 3}\n{\"question\": 4}\n");
  }
  int steps_of(const fs::path &run) { return lasting_results(run).at("01-sft").at("steps").get<int>(); }
};

const char kKeepOdd[] = "if row.question % 2 == 0 then return nil end return { prompt = row.question, response = 'odd' }";
const char kKeepAll[] = "return { prompt = row.question, response = row.question % 2 == 0 and 'even' or 'odd' }";

TEST_F(MappedRows, AreWhatTheFunctionGivesAndNilLeavesARowOut) {
  const Ended ended = hone({"run", training_on(kKeepOdd), "--out", (folder / "run").string()});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(steps_of(folder / "run"), 2);
}

TEST_F(MappedRows, TakeAPartOfTheirSource) {
  const Ended ended = hone({"run", training_on(kKeepAll, ", skip = 1, take = 2"), "--out", (folder / "run").string()});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(steps_of(folder / "run"), 2);
  const Ended past = hone({"plan", training_on(kKeepAll, ", skip = 4")});
  EXPECT_EQ(past.code, 2);
  EXPECT_NE(past.err.find("skip leaves out all 4 rows"), std::string::npos) << past.err;
}

TEST_F(MappedRows, TrainLikeTheSameRowsWrittenOut) {
  spit(folder / "written.jsonl", "{\"prompt\": \"1\", \"response\": \"odd\"}\n{\"prompt\": \"3\", \"response\": \"odd\"}\n");
  const std::string mapped = training_on(kKeepOdd), text = slurp(mapped);
  ASSERT_EQ(hone({"run", mapped, "--out", (folder / "mapped").string()}).code, 0);
  const size_t begin = text.find("hone.rows {"), end = text.find("return hone.pipeline");
  ASSERT_EQ(hone({"run", script(text.substr(0, begin) + "\"written.jsonl\"\n" + text.substr(end)), "--out", (folder / "written").string()}).code, 0);
  EXPECT_EQ(lasting_results(folder / "mapped").at("01-sft").at("weights_checksum"),
            lasting_results(folder / "written").at("01-sft").at("weights_checksum"));
}

TEST_F(MappedRows, AreCheckedByPlanWithTheLineOfTheFile) {
  const Ended wrong = hone({"plan", training_on("if row.question < 3 then return nil end return { prompt = row.question }")});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("questions.jsonl:4"), std::string::npos) << wrong.err;
  EXPECT_NE(wrong.err.find("response"), std::string::npos) << wrong.err;
  const Ended raises = hone({"plan", training_on("return { prompt = row.answer.text }")});
  EXPECT_EQ(raises.code, 1) << raises.err;
  EXPECT_NE(raises.err.find("script.lua:5"), std::string::npos) << raises.err;
  EXPECT_NE(raises.err.find("questions.jsonl:1"), std::string::npos) << raises.err;
}

TEST_F(MappedRows, OfAFileAreCountedByPlan) {
  const Ended ended = hone({"plan", training_on(kKeepOdd)});
  EXPECT_NE(ended.out.find("questions.jsonl (4 rows), 2 mapped to numbers"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("steps     2\n"), std::string::npos) << ended.out;
  const Ended none = hone({"plan", training_on("return nil")});
  EXPECT_EQ(none.code, 2) << none.out;
  EXPECT_NE(none.err.find("keeps none of the 4 rows"), std::string::npos) << none.err;
}

TEST_F(MappedRows, NeedBothASourceAndAFunction) {
  const Ended ended = hone({"plan", script("local hone = require 'hone'\nlocal rows = hone.rows { from = 'questions.jsonl' }\n")});
  EXPECT_EQ(ended.code, 2);
  EXPECT_NE(ended.err.find("script.lua:2"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("map"), std::string::npos) << ended.err;
}

}  // namespace
}  // namespace hone_pipeline
