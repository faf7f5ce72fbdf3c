// eval.cpp -- `hone eval`: a pipeline of one eval stage over a task file, run in a directory of its own.
#include <unistd.h>

#include <iostream>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/run/report.h"
#include "core/stage/runner.h"
#include "core/text/rows.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// A Lua string literal of any text.
std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out + "\"";
}

// A --set value: a number or a boolean as it stands, else a string.
std::string lua_value(const std::string &text) {
  const json value = json::parse(text, nullptr, false);
  return value.is_number() || value.is_boolean() ? text : quoted(text);
}

struct Scratch {
  fs::path path = fs::temp_directory_path() / ("hone-eval-" + std::to_string(getpid()));
  Scratch() { fs::create_directories(path); }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

int eval_verb(const Arguments &a) {
  std::string lines;
  const std::vector<json> rows = read_rows(a.task);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = a.task + ": row " + std::to_string(i + 1);
    json row = rows[i];
    row["prompt"] = column_text(rows[i], a.prompt_column, where);
    row["answer"] = column_text(rows[i], a.answer_column, where);
    lines += row.dump() + "\n";
  }
  if (!fs::exists(a.model / "config.json")) throw Failure(a.model.string() + ": is not a model directory: there is no config.json in it");
  const Scratch scratch;
  write_file_atomically(scratch.path / "task.jsonl", lines);
  std::string settings;
  for (const auto &[name, value] : a.set) settings += ", [" + quoted(name) + "] = " + lua_value(value);
  const std::string script =
      "-- Written by `hone eval`.\nlocal hone = require \"hone\"\nreturn hone.pipeline { seed = " + std::to_string(a.seed) + ", report = hone.stage \"eval\" {\n" +
      "  models = { hone.model(" + quoted(fs::absolute(a.model).string()) + ") }, prompts = " + quoted((scratch.path / "task.jsonl").string()) + ",\n" +
      "  rewards = { hone.reward " + quoted(a.reward) + " { label = \"accuracy\"" + settings + " } }, num_generations = " + std::to_string(a.samples) +
      ",\n  batch_size = " + std::to_string(a.batch_size) + ", max_completion_length = " + std::to_string(a.max_tokens) +
      ", temperature = " + std::to_string(a.temperature) + ", top_p = " + std::to_string(a.top_p) + " } }\n";
  write_file_atomically(scratch.path / "eval.lua", script);
  RunRequest request;
  request.script = scratch.path / "eval.lua";
  request.out = a.out.empty() ? scratch.path / "run" : a.out;
  request.plugins = a.plugins;
  request.threads = a.threads;
  request.dtype = a.dtype == "bf16" ? HONE_BF16 : HONE_F32;
  request.command_line = a.command_line;
  const fs::path run = create_run(request);
  if (const int code = continue_run(run, a.plugins, a.threads); code != 0) return code;
  for (const json &row : json::parse(read_file(run / "results.json"))) std::cout << row.dump() << "\n";
  log_also_to("");  // the run directory may be removed now
  return 0;
}

}  // namespace hone
