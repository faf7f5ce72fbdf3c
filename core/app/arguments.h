// arguments.h -- the command line as plain data: filled by command_line.cpp, read by the verbs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hone {

struct Arguments {
  std::string verb;
  std::vector<std::string> command_line;
  // everywhere
  std::vector<std::filesystem::path> plugins;
  uint32_t threads = 0;
  bool quiet = false, verbose = false;
  // run, plan
  std::filesystem::path script, config, out;
  std::vector<std::pair<std::string, std::string>> set;
  bool trust = false;
  std::string verify;                     // run, resume: "all"; "": as the stages say
  // a run
  std::filesystem::path run;
  std::string stage;
  uint32_t step = 0, row = 0;
  // a model
  std::filesystem::path model;
  std::string dtype = "f32";
  std::string input;                      // JSON lines; "-" is stdin
  double temperature = 1, top_p = 1, min_p = 0;
  uint32_t top_k = 0, max_tokens = 256;
  std::vector<std::string> stop;
  uint64_t seed = 0;
  bool add_special_tokens = false;
  std::filesystem::path chat_template;    // in place of the model's own
  std::string date, system;               // date: what a template is told of today, such as "2024-12-31"
  std::string to;                         // export: "hf" or "gguf"
  // eval
  std::string task, reward = "math", prompt_column = "prompt", answer_column = "answer";
  uint32_t samples = 4, batch_size = 64;
  // one component
  std::string component;                  // reward or objective; KIND/NAME of describe
  std::string kind, name;                 // new-plugin
  std::filesystem::path file;             // check
  bool json = false;
};

// Fills arguments from argv. Returns true to go on; false when --help or --version was printed or the line was wrong, with
// the exit code in `code` (0 or 2).
bool parse_command_line(int argc, char **argv, Arguments &, int &code);

}  // namespace hone
