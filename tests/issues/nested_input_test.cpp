// nested_input_test.cpp -- data that held itself corrupted the heap, and JSON of a hundred thousand levels overflowed the stack.
#include "tests/pipeline/program.h"

namespace hone_pipeline {

using Nested = Program;

TEST_F(Nested, ListsOfDataThatHoldThemselvesAreOneSentence) {
  const auto refused = [&](const std::string &data) {
    const Ended ended = hone({"plan", script("local hone = require 'hone'\nlocal t = {}\nt[1] = t\nlocal u = 'rows.jsonl'\nfor i = 1, 300 do u = { u } end\n"
                                             "return hone.pipeline { hone.stage 'sft' { optimizer = hone.optimizer 'sgd' {}, steps = 1, data = " + data + ",\n"
                                             "  model = hone.model 'llama' { words = { '<bos>', '<eos>', 'a' }, hidden_size = 8, intermediate_size = 8,\n"
                                             "    num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1 } } }\n")});
    EXPECT_EQ(ended.code, 2) << ended.err;
    EXPECT_NE(ended.err.find(" is nested more than 64 levels deep, or holds itself"), std::string::npos) << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  };
  refused("t");
  refused("u");
  refused("hone.rows { from = t, map = function(row) return row end }");
}

TEST_F(Nested, JsonOfManyLevelsIsOneSentence) {
  const int levels = 200000;
  const std::string deep = std::string(levels, '[') + std::string(levels, ']');
  spit(folder / "rows.jsonl", "{\"response\": \"1\", \"answer\": \"1\"}\n{\"response\": \"1\", \"answer\": \"1\", \"x\": " + deep + "}\n");
  spit(folder / "batch.json", "{\"logp\": [" + deep + "]}");
  for (const std::vector<std::string> &line : {std::vector<std::string>{"score", "math", "--input", (folder / "rows.jsonl").string()},
                                               {"objective", "grpo", "--input", (folder / "batch.json").string()}}) {
    const Ended ended = hone(line);
    EXPECT_TRUE(ended.code == 1 || ended.code == 2) << ended.code;
    EXPECT_NE(ended.err.find("nested more than 64 levels deep"), std::string::npos) << ended.err;
    EXPECT_LT(ended.err.size(), 600u) << ended.err;
  }
  const Ended plan = hone({"plan", script("local hone = require 'hone'\nreturn hone.pipeline { hone.stage 'sft' { optimizer = hone.optimizer 'sgd' {}, steps = 1,\n"
                                          "  data = 'rows.jsonl', model = hone.model 'llama' { words = { '<bos>', '<eos>', '1' }, hidden_size = 8,\n"
                                          "    intermediate_size = 8, num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1 } } }\n")});
  EXPECT_EQ(plan.code, 2);
  EXPECT_NE(plan.err.find("rows.jsonl:2: nested more than 64 levels deep"), std::string::npos) << plan.err;
}

}  // namespace hone_pipeline
