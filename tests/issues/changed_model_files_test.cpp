// changed_model_files_test.cpp -- `hone resume` went on with another model's weights when those that the script names had been
// replaced since the run began: only config.json was compared.
#include "tests/pipeline/program.h"

namespace hone_pipeline {

using ChangedModel = Program;

TEST_F(ChangedModel, StopsAResume) {
  const std::string sft = "local hone = require 'hone'\nlocal rows = hone.rows { count = 8, make = function(i) return { text = ('a '):rep(i) } end }\n"
                          "local o = hone.optimizer 'sgd' { learning_rate = 0.1 }\nlocal steps = hone.options { steps = { 2, 'steps' } }.steps\n";
  const std::string fresh = "hone.model 'llama' { words = { '<bos>', '<eos>', 'a' }, hidden_size = 16, intermediate_size = 16, num_hidden_layers = 1,\n"
                            "  num_attention_heads = 2, max_position_embeddings = 32 }";
  const std::string first = script(sft + "return hone.pipeline { hone.stage 'sft' { model = " + fresh + ", optimizer = o, data = rows, steps = steps, save_every = 1 } }\n");
  ASSERT_EQ(hone({"run", first, "--out", (folder / "base").string()}).code, 0);
  const fs::path checkpoints = folder / "base" / "01-sft" / "checkpoints", model = folder / "model";
  fs::copy(checkpoints / "step-2", model, fs::copy_options::recursive);
  const std::string second = script(sft + "return hone.pipeline { hone.stage 'sft' { model = hone.model '" + model.string() + "', optimizer = o, data = rows, steps = steps } }\n");
  How kill;
  kill.watched = folder / "run" / "metrics.jsonl";
  kill.after_lines = 1;
  ASSERT_EQ(hone({"run", second, "--set", "steps=100000", "--out", (folder / "run").string()}, kill).code, 128 + SIGKILL);
  fs::copy(checkpoints / "step-1" / "model.safetensors", model / "model.safetensors", fs::copy_options::overwrite_existing);
  const Ended ended = hone({"resume", (folder / "run").string()});
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_NE(ended.err.find("model.safetensors has changed since the run began"), std::string::npos) << ended.err;
}

}  // namespace hone_pipeline
