// pipeline.h -- what a script returns: plain data that `plan` checks and `run` executes. No Lua beyond this header.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hone {

struct Place {
  std::string file;
  int line = 0;
  std::string text() const { return file + ":" + std::to_string(line); }
};

// Handles inside settings are JSON objects with one key: {"$model": i}, {"$optimizer": i}, {"$reward": i}, {"$data": i},
// {"$function": "path"}: indices into the lists below. A function's path finds it again in a fresh run of the saved script
// (the reward workers do that): "function#N", numbered in the order in which the script hands functions to hone.
// A setting that is a reward may also hold a list of handles, or {domain: [handles]}. A setting that is data may also hold
// {domain: handle}; a plain list of data is one handle of a `list` node. A handle that the script did not give is null.
struct ModelNode {
  enum Source { fresh, directory, stage_output } source = fresh;
  std::string name;       // what the script calls it, for tables: "base", "tiny_moe"
  std::string component;  // fresh: the model plugin ("deepseek_moe")
  nlohmann::json config;  // fresh: checked settings of the component (= config.json's keys)
  std::string path;       // directory (or GGUF file)
  std::string tokenizer;  // fresh: tokenizer.json's path; or generated: {"$words": [...]} in `words`
  std::vector<std::string> words;  // fresh: a word-level vocabulary given in the script, in id order
  int stage = -1;         // stage_output: index into stages
  uint64_t seed = 0;      // fresh: of the initial weights
  Place place;
};
struct OptimizerNode { std::string component; nlohmann::json settings, host_settings; Place place; };  // host: schedule, warmup_steps, max_grad_norm
struct RewardNode {
  std::string component;  // "math"; "lua" with `function` set for a Lua function
  std::string label;      // rewards/<label>/mean
  nlohmann::json settings;
  std::string function;
  double weight = 1;
  Place place;
};
struct DataNode {
  enum Source { file, generated, stage_output, list, mapped } source = file;
  std::string path;            // file: JSON lines
  std::string function;        // generated: function(i) -> row table; mapped: function(row) -> row table, or nil to leave it out
  uint64_t count = 0;          // generated: rows i = 1..count
  uint64_t seed = 0;           // generated, mapped: math.random inside is keyed by (seed, i)
  uint64_t skip = 0, take = 0; // mapped: of the source's rows those after `skip`, `take` at most (0: all)
  int stage = -1;              // stage_output
  std::vector<int> parts;      // list: DataNode indices, in order; mapped: the one source
  std::string label;
  Place place;
};
struct StageNode {
  std::string component;       // "grpo"
  std::string label;           // run-directory name "02-grpo" or the script's own label = "first_rl"
  nlohmann::json settings;     // checked, defaulted, handles as above; the component's own and the host's common ones
  std::vector<std::string> written;  // names of those that the script gave, sorted
  Place place;
};

struct Option { std::string name; nlohmann::json value, fallback; std::string help, from; };  // from: "script", "FILE.toml:3", "--set"

struct Pipeline {
  std::string name;            // of the script, without .lua
  std::vector<Option> options;
  std::vector<ModelNode> models;
  std::vector<OptimizerNode> optimizers;
  std::vector<RewardNode> rewards;
  std::vector<DataNode> data;
  std::vector<StageNode> stages;   // all that the script made
  std::vector<int> order;          // those it returned, in order of running
  std::vector<std::string> sources;  // every Lua file that was read, the script first (copied into the run directory)
  uint64_t seed = 0;
  // For each source, the path beside the script under which a copy of it is found again: "r1.lua", "tiny/corpus.lua".
  std::vector<std::string> source_names;
  int report = -1;                 // the stage given as report = ..., the last of `order`; -1: none
  std::string base_folder;         // of the script; relative paths in it start here
};

// Every stage once, and whatever a stage uses made by an earlier one: UsageError with both places otherwise.
void check_order(const Pipeline &);

nlohmann::json to_json(const Pipeline &);

}  // namespace hone
