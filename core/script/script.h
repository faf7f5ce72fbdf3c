// script.h -- runs a Lua script to get its Pipeline; afterwards calls its functions (rewards, keep, generated rows).
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/plugin/registry.h"
#include "core/script/pipeline.h"

namespace hone {

struct ScriptArguments {
  std::filesystem::path config;                               // TOML of option values; "" means SCRIPT with .toml if there is one
  std::vector<std::pair<std::string, std::string>> set;       // --set key=value, in order; later wins over TOML over script
  std::filesystem::path base_folder;                          // where relative paths start; "": the script's folder (a saved copy needs the original's)
  bool trust = false;                                         // --trust: io, os, load of text; never bytecode
  uint64_t instruction_limit = 1'000'000'000;                 // of the script's own run
  uint64_t call_instruction_limit = 50'000'000;               // of one later call of a function
  uint64_t memory_limit = 1ull << 30;                         // bytes
};

// Settings that the host itself gives every stage of a kind ("hone.objective/1", "hone.stage/1"), every optimizer, ...:
// merged with the component's own when a script's call is checked. Filled by core/stage.
using HostSettings = std::map<std::string, std::vector<Setting>>;

// What a script may ask of a model that lies on disk before it says what is to be done with it.
struct ModelFacts {
  std::string tokenizer;       // tokenizer.json's model.type: "BPE", or "WordLevel" of a closed list of words
  bool chat_template = false;  // whether there is one
};

// What the host tells a script about the program around it.
struct ScriptHost {
  HostSettings settings;
  std::function<ModelFacts(const std::filesystem::path &)> model_facts;  // of a directory or GGUF file; Failure naming it
};

class Script {
 public:
  // Throws UsageError with file, line and the nearest name for anything wrong in it. The Registry must outlive the script.
  static std::unique_ptr<Script> load(const std::filesystem::path &, const Registry &, const ScriptHost &, const ScriptArguments &);
  virtual ~Script() = default;
  virtual const Pipeline &pipeline() const = 0;
  // Throws the Lua state away and loads the same script again: the text, option values and model facts first read, whatever the files hold
  // now. Its functions start over with fresh upvalues and are found by the same paths; pipeline() stays as it is. Failure,
  // changing nothing, if the script cannot be loaded again or hands another number of functions to hone. Tens of ms at most.
  virtual void renew() = 0;
  // Calls function `path` ("function#3") with one JSON value as a table. Failure with file and line if it raises. Not thread-safe.
  // key seeds math.random for this call.
  virtual nlohmann::json call(const std::string &path, const nlohmann::json &argument, std::pair<uint64_t, uint64_t> key) = 0;
};

}  // namespace hone
