// bpe_model.h -- a model as people have them: byte-level BPE, a chat template, a directory in Hugging Face's layout.
#pragma once

#include "tests/pipeline/program.h"

namespace hone_pipeline {

class BpeModel : public Program {
 protected:
  // A llama of two layers with a byte-level BPE tokenizer that Hugging Face's library trained, and a chat template.
  fs::path directory(int positions = 256, const std::string &widths = "hidden_size = 16, intermediate_size = 24") {
    const json golden = json::parse(slurp(fs::path(HONE_SOURCE_DIR) / "tests/core/text/goldens/smollm.json"));
    spit(folder / "tokenizer.json", golden.at("tokenizer").dump());
    const std::string text =
        "local hone = require \"hone\"\n"
        "local base = hone.model \"llama\" { tokenizer = \"tokenizer.json\", vocab_size = 403, " + widths + ",\n"
        "  num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2, max_position_embeddings = " + std::to_string(positions) + ", initializer_range = 0.2 }\n"
        "local rows = hone.rows { count = 8, make = function(i) return { text = \"number \" .. i .. \" and 12  345\" } end }\n"
        "return hone.pipeline { hone.stage \"sft\" { model = base, data = rows, steps = 3, batch_size = 4,\n"
        "  optimizer = hone.optimizer \"adamw\" { learning_rate = 1e-2 } }, seed = 3 }\n";
    const Ended ended = hone({"run", script(text), "--out", (folder / "run").string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    const fs::path made = folder / "run/01-sft/checkpoints/step-3";
    spit(made / "chat_template.jinja",
         "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
    return made;
  }
};

}  // namespace hone_pipeline
