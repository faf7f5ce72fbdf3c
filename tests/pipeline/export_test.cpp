// export_test.cpp -- `hone export`, and models that are damaged: what is written, what is refused, and that nothing is
// half there.
#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

class Export : public Program {
 protected:
  // A tiny model that transformers saved, with a word-level tokenizer.
  fs::path model() {
    const fs::path from = fs::path(HONE_SOURCE_DIR) / "tests/core/model/goldens/llama_tied", to = folder / "model";
    fs::create_directories(to);
    for (const char *name : {"config.json", "model.safetensors"}) fs::copy_file(from / name, to / name);
    json vocabulary;
    for (int i = 0; i < 20; ++i) vocabulary["w" + std::to_string(i)] = i;
    spit(to / "tokenizer.json", json{{"version", "1.0"},
                                     {"added_tokens", json::array()},
                                     {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                                     {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "w0"}}}}
                                    .dump());
    spit(to / "chat_template.jinja", "{{ messages }}");
    spit(to / "generation_config.json", R"({"eos_token_id": [3, 5]})");
    return to;
  }
  std::string log_probs(const fs::path &model) {
    How how;
    how.input = "{\"tokens\": [1, 5, 7, 2, 19, 4, 4, 11]}\n{\"tokens\": [3, 2]}\n";
    const Ended ended = hone({"logprobs", "--model", model.string(), "--input", "-"}, how);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return ended.out;
  }
  // Names in a folder, sorted.
  std::vector<std::string> names(const fs::path &of) {
    std::vector<std::string> out;
    for (const auto &entry : fs::directory_iterator(of)) out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }
};

TEST_F(Export, ToADirectoryIsTheSameModelWithAllItsFiles) {
  const fs::path from = model(), to = folder / "out";
  const Ended ended = hone({"export", "--model", from.string(), "--to", "hf", to.string() + "/"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(log_probs(to), log_probs(from));
  EXPECT_EQ(slurp(to / "chat_template.jinja"), "{{ messages }}");
  EXPECT_EQ(slurp(to / "generation_config.json"), slurp(from / "generation_config.json"));
  EXPECT_EQ(json::parse(slurp(to / "config.json")).at("torch_dtype"), "float32");
  EXPECT_EQ(names(folder), (std::vector<std::string>{"model", "out"}));
  // The same bytes again.
  ASSERT_EQ(hone({"export", "--model", to.string(), "--to", "hf", (folder / "again").string()}).code, 0);
  EXPECT_EQ(slurp(folder / "again/model.safetensors"), slurp(to / "model.safetensors"));
  EXPECT_EQ(slurp(folder / "again/config.json"), slurp(to / "config.json"));
}

TEST_F(Export, InBfloat16TakesHalfTheRoom) {
  const fs::path from = model(), to = folder / "out";
  ASSERT_EQ(hone({"export", "--model", from.string(), "--to", "hf", "--dtype", "bf16", to.string()}).code, 0);
  EXPECT_LT(fs::file_size(to / "model.safetensors"), fs::file_size(from / "model.safetensors") * 2 / 3);
  EXPECT_EQ(json::parse(slurp(to / "config.json")).at("torch_dtype"), "bfloat16");
  EXPECT_NE(log_probs(to), log_probs(from));
}

TEST_F(Export, WeightsThatDisagreeWithTheirConfigStopAPlan) {
  const fs::path from = model();
  json config = json::parse(slurp(from / "config.json"));
  config["intermediate_size"] = config["intermediate_size"].get<int>() * 2;
  spit(from / "config.json", config.dump());
  spit(folder / "rows.jsonl", "{\"text\": \"w1 w2\"}\n");
  const Ended ended = hone({"plan", script("local hone = require 'hone'\nreturn hone.pipeline { hone.stage 'sft' { model = hone.model 'model', data = 'rows.jsonl',\n"
                                           "  optimizer = hone.optimizer 'adamw' {} } }\n")});
  EXPECT_EQ(ended.code, 2) << ended.out;
  for (const char *word : {"script.lua:2", "model.safetensors", "_proj.weight", "config.json"})
    EXPECT_NE(ended.err.find(word), std::string::npos) << ended.err;
}

TEST_F(Export, RefusesAPlaceThatIsTakenOrHasNoFolder) {
  const fs::path from = model();
  spit(folder / "taken", "mine");
  const auto says = [&](const std::vector<std::string> &words) {
    const Ended ended = hone(words);
    EXPECT_EQ(ended.code, 2) << ended.err;
    return ended.err;
  };
  for (const char *to : {"hf", "gguf"}) {
    EXPECT_NE(says({"export", "--model", from.string(), "--to", to, (folder / "taken").string()})
                  .find("taken is there already"),
              std::string::npos);
    EXPECT_NE(says({"export", "--model", from.string(), "--to", to, (folder / "no/where").string()})
                  .find("there is no folder"),
              std::string::npos);
  }
  EXPECT_NE(
      says({"export", "--model", from.string(), "--to", "onnx", (folder / "out").string()}).find("must be hf or gguf"),
      std::string::npos);
  EXPECT_NE(says({"export", "--model", from.string(), "--to", "hf", "--dtype", "int8", (folder / "out").string()})
                .find("f32, bf16 or f16"),
            std::string::npos);
  EXPECT_EQ(slurp(folder / "taken"), "mine");
  EXPECT_EQ(names(folder), (std::vector<std::string>{"model", "taken"}));
}

TEST_F(Export, LeavesNothingWhenTheDiskIsFull) {
  const fs::path from = model();
  How how;
  how.file_limit = 8192;  // less than the weights take
  const Ended ended = hone({"export", "--model", from.string(), "--to", "hf", (folder / "out").string()}, how);
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_NE(ended.err.find("cannot write"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("model.safetensors"), std::string::npos) << ended.err;
  EXPECT_EQ(names(folder), std::vector<std::string>{"model"});
}

TEST_F(Export, ToGgufSaysThatAWordLevelTokenizerHasNoPlaceThere) {
  const fs::path from = model();
  const Ended ended = hone({"export", "--model", from.string(), "--to", "gguf", (folder / "out.gguf").string()});
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.err.find("word-level"), std::string::npos) << ended.err;
  EXPECT_EQ(names(folder), std::vector<std::string>{"model"});
}

// Finite weights whose products are not: a number that is none must not look like a result.
TEST_F(Export, AModelWhoseNumbersOverflowGivesNoLogProbs) {
  const fs::path from = model();
  std::string bytes = slurp(from / "model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const json norm = json::parse(bytes.substr(8, header)).at("model.norm.weight").at("data_offsets");
  const float large = 3e38f;
  for (size_t at = norm[0]; at < norm[1].get<size_t>(); at += 4) std::memcpy(bytes.data() + 8 + header + at, &large, 4);
  spit(from / "model.safetensors", bytes);
  How how;
  how.input = "{\"tokens\": [1, 2, 3]}\n";
  const Ended logprobs = hone({"logprobs", "--model", from.string(), "--input", "-"}, how);
  EXPECT_EQ(logprobs.code, 1) << logprobs.out;
  EXPECT_EQ(logprobs.out, "");
  EXPECT_NE(logprobs.err.find("stdin:1: the log-probability of token 0 is "), std::string::npos) << logprobs.err;
  EXPECT_NE(logprobs.err.find("overflow"), std::string::npos) << logprobs.err;
}

TEST_F(Export, DamagedModelsAreNamedByEveryVerb) {
  const fs::path from = model(), cut = folder / "cut.gguf", wrong = folder / "wrong.gguf";
  const std::string good = slurp(fs::path(HONE_SOURCE_DIR) / "tests/core/model/goldens/qwen3/model.gguf");
  spit(cut, good.substr(0, good.size() - 40));
  spit(wrong, "GGML" + good.substr(4));
  How how;
  how.input = "{\"tokens\": [1, 2]}\n";
  const auto logprobs = [&](const fs::path &model, int code = 1) {
    const Ended ended = hone({"logprobs", "--model", model.string(), "--input", "-"}, how);
    EXPECT_EQ(ended.code, code) << ended.err;
    return ended.err;
  };
  EXPECT_NE(logprobs(cut).find("cut.gguf: tensor \""), std::string::npos) << logprobs(cut);
  EXPECT_NE(logprobs(wrong).find("wrong.gguf: is no GGUF file"), std::string::npos) << logprobs(wrong);
  EXPECT_NE(logprobs(folder / "none.gguf", 2).find("no such model directory or GGUF file"), std::string::npos);
  EXPECT_NE(logprobs(folder).find("has no config.json; did you mean the file"), std::string::npos) << logprobs(folder);
  const std::string eval =
      "local hone = require 'hone'\nreturn hone.pipeline { hone.stage 'eval' { models = { hone.model '" +
      wrong.string() +
      "' }, prompts = hone.rows { count = 1, make = function(i) return { prompt = 'a', answer = 'b' } end }, rewards = "
      "{ hone.reward 'math' } } }\n";
  const Ended planned = hone({"plan", script(eval)});
  EXPECT_EQ(planned.code, 2) << planned.err;
  EXPECT_NE(planned.err.find("wrong.gguf: is no GGUF file"), std::string::npos) << planned.err;
  EXPECT_NE(planned.err.find(".lua:2"), std::string::npos) << planned.err;
}

}  // namespace
}  // namespace hone_pipeline
