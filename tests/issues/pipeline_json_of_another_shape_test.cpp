// pipeline_json_of_another_shape_test.cpp -- a pipeline.json that was no longer an object ended `hone resume` with the words of a
// standard library's exception: the place of the first difference was taken to be below the root.
#include "tests/pipeline/program.h"

namespace hone_pipeline {

using Resume = Program;

TEST_F(Resume, OfARunWhosePipelineJsonIsNoObjectIsOneSentence) {
  const std::string run = (folder / "run").string();
  const char *text = "local hone = require 'hone'\n"
                     "return hone.pipeline { hone.stage 'sft' { optimizer = hone.optimizer 'sgd' {}, steps = 1, data = hone.rows { count = 2,\n"
                     "  make = function() return { text = 'a' } end }, model = hone.model 'llama' { words = { '<bos>', '<eos>', 'a' }, vocab_size = 3,\n"
                     "  hidden_size = 8, intermediate_size = 8, num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1 } } }\n";
  ASSERT_EQ(hone({"run", script(text), "--out", run}).code, 0);
  spit(folder / "run" / "pipeline.json", "[]");
  const Ended ended = hone({"resume", run});
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("edited since it began"), std::string::npos) << ended.err;
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  EXPECT_LT(ended.err.size(), 600u) << ended.err;
}

}  // namespace hone_pipeline
