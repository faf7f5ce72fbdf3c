// script_fixture.h -- a folder for scripts, a registry made by hand, and the sentence that a bad script ends with.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/failure.h"
#include "core/script/script.h"

namespace hone {

inline Setting make_setting(const char *name, int32_t type, const char *fallback, bool required = false) {
  Setting setting;
  setting.name = name;
  setting.type = type;
  setting.fallback = fallback;
  setting.required = required;
  setting.min = -1e300;
  setting.max = 1e300;
  return setting;
}

class ScriptTest : public testing::Test {
 protected:
  ScriptTest() {
    folder = std::filesystem::temp_directory_path() /
             ("hone-script-" + std::to_string(getpid()) + "-" + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    component("model", "hone.model/1", "tiny", {make_setting("hidden_size", HONE_INT, "64"), make_setting("vocab_size", HONE_INT, "0")});
    component("optimizer", "hone.optimizer/1", "adamw", {make_setting("learning_rate", HONE_FLOAT, "0.001")});
    component("reward", "hone.reward/1", "math", {make_setting("tolerance", HONE_FLOAT, "0")});
    component("reward", "hone.reward/1", "preference", {make_setting("model", HONE_MODEL_HANDLE, "null", true)});
    component("stage", "hone.objective/1", "sft", {});
    component("stage", "hone.objective/1", "grpo", {make_setting("epsilon", HONE_FLOAT, "0.2"), make_setting("beta", HONE_FLOAT, "0")});
    component("stage", "hone.stage/1", "sample",
              {make_setting("model", HONE_MODEL_HANDLE, "null"), make_setting("prompts", HONE_DATA_HANDLE, "null"),
               make_setting("rewards", HONE_REWARD_HANDLE, "null"), make_setting("keep", HONE_FUNCTION_HANDLE, "null"),
               make_setting("models", HONE_LIST, "[]")});
    host.settings["hone.objective/1"] = {make_setting("label", HONE_STRING, "\"\""),          make_setting("model", HONE_MODEL_HANDLE, "null", true),
                                make_setting("data", HONE_DATA_HANDLE, "null"),      make_setting("prompts", HONE_DATA_HANDLE, "null"),
                                make_setting("rewards", HONE_REWARD_HANDLE, "null"), make_setting("optimizer", HONE_OPTIMIZER_HANDLE, "null"),
                                make_setting("steps", HONE_INT, "0")};
    host.settings["hone.optimizer/1"] = {make_setting("max_grad_norm", HONE_FLOAT, "1")};
  }
  ~ScriptTest() override { std::filesystem::remove_all(folder); }

  void component(const char *room, const char *kind, const char *name, std::vector<Setting> settings) {
    ComponentInfo info;
    info.room = room;
    info.kind = kind;
    info.name = name;
    info.settings = std::move(settings);
    registry.components_.push_back(std::move(info));
  }

  std::filesystem::path write(const std::string &name, const std::string &text) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }

  // `text` follows a line that declares hone, so its first line is line 2 of t.lua.
  std::unique_ptr<Script> load(const std::string &text) {
    return Script::load(write("t.lua", "local hone = require \"hone\"\n" + text), registry, host, arguments);
  }

  // The sentence with which loading fails; a script that loads fails the test.
  std::string problem(const std::string &text) {
    try {
      load(text);
    } catch (const UsageError &error) {
      return error.what();
    }
    ADD_FAILURE() << "the script was accepted: " << text;
    return "";
  }

  // Loads a script of one function and calls it.
  nlohmann::json call(const std::string &body, const nlohmann::json &argument = nullptr, std::pair<uint64_t, uint64_t> key = {1, 1}) {
    auto script = load(with_function(body));
    return script->call("function#1", argument, key);
  }
  std::string call_problem(const std::string &body, const nlohmann::json &argument = nullptr) {
    auto script = load(with_function(body));
    try {
      script->call("function#1", argument, {1, 1});
    } catch (const Failure &error) {
      return error.what();
    }
    ADD_FAILURE() << "the function returned: " << body;
    return "";
  }
  static std::string with_function(const std::string &body) {
    return "local r = hone.reward(function(row, random)\n" + body + "\nend)\n" + kEnd;
  }

  // A pipeline of one stage, for scripts about something else.
  inline static const std::string kEnd = "return hone.pipeline { hone.stage \"sample\" {} }\n";
  inline static const std::string kModel = "local m = hone.model \"tiny\" { words = { \"a\", \"b\" } }\n";

  std::filesystem::path folder;
  Registry registry;
  ScriptHost host;
  ScriptArguments arguments;
};

#define EXPECT_SENTENCE(sentence, part)                                                        \
  do {                                                                                         \
    const std::string said = sentence;                                                         \
    EXPECT_NE(said.find(part), std::string::npos) << "said: " << said;                         \
    EXPECT_EQ(said.find('\n'), std::string::npos) << "more than one line: " << said;           \
  } while (false)

}  // namespace hone
