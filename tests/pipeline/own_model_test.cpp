// own_model_test.cpp -- scripts/r1_zero.lua with a model of one's own: it is asked in English, by its chat template if it has
// one, and never trained on what is held out.
#include "tests/pipeline/bpe_model.h"

namespace hone_pipeline {
namespace {

const fs::path kScripts = fs::path(HONE_SOURCE_DIR) / "scripts";

class OwnModel : public BpeModel {
 protected:
  Ended zero(const std::string &name, const fs::path &model, std::vector<std::string> settings = {}) {
    settings.insert(settings.end(), {"model=" + model.string(), "steps=2", "prompts_per_step=2", "num_generations=2", "max_completion_length=8",
                                     "questions=3", "samples=1"});
    std::vector<std::string> line = {"run", (kScripts / "r1_zero.lua").string(), "--out", (folder / name).string()};
    for (const std::string &setting : settings) line.insert(line.end(), {"--set", setting});
    return hone(line);
  }
  std::string prompt_of(const std::string &run, int step, int row) {
    const Ended ended = hone({"replay", (folder / run).string(), "--stage", "r1_zero", "--step", std::to_string(step), "--row", std::to_string(row)});
    EXPECT_EQ(ended.code, 0) << ended.err;
    return json::parse(ended.out).at("prompt");
  }
};

TEST_F(OwnModel, OfADirectoryOrAGgufFileIsAskedByItsChatTemplate) {
  const fs::path directory = this->directory(1024), file = folder / "model.gguf";
  ASSERT_EQ(hone({"export", "--model", directory.string(), "--to", "gguf", file.string()}).code, 0);
  for (const fs::path &model : {directory, file}) {
    const std::string run = model == file ? "of_file" : "of_directory";
    const Ended ended = zero(run, model);
    ASSERT_EQ(ended.code, 0) << ended.err;
    const std::string prompt = prompt_of(run, 1, 0);
    EXPECT_EQ(prompt.find("<|im_start|>user\nStart with "), 0u) << prompt;
    EXPECT_NE(prompt.find("<think>"), std::string::npos) << prompt;
    EXPECT_EQ(prompt.substr(prompt.size() - 22), "<|im_start|>assistant\n") << prompt;
    EXPECT_NE(ended.out.find("gain"), std::string::npos) << "before and after are not compared: " << ended.out;
  }
  EXPECT_EQ(prompt_of("of_file", 2, 3), prompt_of("of_directory", 2, 3));
}

TEST_F(OwnModel, WithoutAChatTemplateIsAskedInPlainText) {
  const fs::path directory = this->directory(1024);
  fs::remove(directory / "chat_template.jinja");
  const Ended ended = zero("plain", directory);
  ASSERT_EQ(ended.code, 0) << ended.err;
  const std::string prompt = prompt_of("plain", 1, 0);
  EXPECT_NE(prompt.find("\nUser: Start with "), std::string::npos) << prompt;
  EXPECT_EQ(prompt.substr(prompt.size() - 11), "\nAssistant:") << prompt;
}

TEST_F(OwnModel, LearnsFromRowsOfAFileButNotFromItsFirst) {
  std::string rows;
  for (int i = 1; i <= 7; ++i) rows += json({{"question", "Which row is this? " + std::to_string(i)}, {"answer", std::to_string(i)}}).dump() + "\n";
  spit(folder / "rows.jsonl", rows);
  const Ended ended = zero("rows", directory(1024), {"prompts=" + (folder / "rows.jsonl").string()});
  ASSERT_EQ(ended.code, 0) << ended.err;
  std::set<std::string> trained;
  for (int step : {1, 2})
    for (int row : {0, 2}) {
      const std::string prompt = prompt_of("rows", step, row);
      trained.insert(prompt.substr(prompt.find("this? ") + 6, 1));
    }
  EXPECT_EQ(trained, (std::set<std::string>{"4", "5", "6", "7"}));
}

TEST_F(OwnModel, IsRefusedByScriptsThatAskInTheEmbeddedWords) {
  const std::string model = directory().string();
  for (const auto &[script, setting] : {std::pair{"r1.lua", "model="}, {"distill_vs_rl.lua", "teacher="}}) {
    const Ended ended = hone({"plan", (kScripts / script).string(), "--set", setting + model});
    EXPECT_EQ(ended.code, 2) << ended.out;
    EXPECT_NE(ended.err.find(model), std::string::npos) << ended.err;
    EXPECT_NE(ended.err.find("r1_zero.lua"), std::string::npos) << ended.err;
  }
}

}  // namespace
}  // namespace hone_pipeline
