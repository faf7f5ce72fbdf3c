// eval.cpp -- `hone eval`: a pipeline of one eval stage over a task file, run in a directory of its own.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <regex>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/model_files.h"
#include "core/run/report.h"
#include "core/stage/runner.h"
#include "core/text/rows.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Any JSON value as a Lua literal: bytes that are not plain are written as \\ddd.
std::string lua_literal(const json &value) {
  if (value.is_null()) return "nil";
  if (value.is_string()) {
    std::string out = "\"";
    for (const unsigned char c : value.get<std::string>()) {
      char escaped[8];
      if (c >= 32 && c != '"' && c != '\\') {
        out += static_cast<char>(c);
      } else {
        std::snprintf(escaped, sizeof escaped, "\\%03u", c);
        out += escaped;
      }
    }
    return out + "\"";
  }
  if (value.is_array() || value.is_object()) {
    std::string out = "{";
    for (const auto &[key, element] : value.items())
      out += (value.is_object() ? "[" + lua_literal(key) + "]=" : std::string()) + lua_literal(element) + ",";
    return out + "}";
  }
  return value.dump();
}

// A --set value: JSON where it is JSON, else a string.
std::string lua_value(const std::string &text) {
  const json value = json::parse(text, nullptr, false);
  return lua_literal(value.is_discarded() ? json(text) : value);
}

// A message without places in the script, which the user has not written: its row 3 is the task's third.
std::string in_places_of_the_task(const std::string &message, const std::vector<std::string> &places) {
  static const std::regex row("eval\\.lua:[0-9]+ row ([0-9]+)"), line("^eval\\.lua:[0-9]+: ");
  std::string out;
  auto rest = message.cbegin();
  for (std::smatch found; std::regex_search(rest, message.cend(), found, row); rest = found[0].second) {
    const size_t number = std::stoul(found[1]);
    out.append(rest, found[0].first);
    out += number >= 1 && number <= places.size() ? places[number - 1] : found.str();
  }
  out.append(rest, message.cend());
  return std::regex_replace(out, line, "");
}

struct Scratch {
  fs::path path;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "hone-eval-XXXXXX").string();
    if (!mkdtemp(name.data())) throw Failure("cannot make a folder " + name + ": " + std::strerror(errno));
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

int eval_verb(const Arguments &a) {
  std::string task;
  std::vector<std::string> places;
  for (auto &[line, row] : read_numbered_rows(a.task)) {
    const std::string &where = places.emplace_back(row_place(a.task, line));
    if (row.contains(a.prompt_column) || !row.contains("messages")) row["prompt"] = column_text(row, a.prompt_column, where);
    row["answer"] = column_text(row, a.answer_column, where);
    task += "  hone.json(" + lua_literal(json(row.dump())) + "),\n";  // a Lua table would lose nulls and empty objects
  }
  read_model_config(a.model);  // what is wrong with the model is said before anything is written
  std::string settings;
  for (const auto &[name, value] : a.set) settings += ", [" + lua_literal(name) + "] = " + lua_value(value);
  // The rows are part of the script, so that the run directory holds all that it needs.
  const std::string script =
      "-- Written by `hone eval`.\nlocal hone = require \"hone\"\nlocal task = {\n" + task + "}\n" +
      "return hone.pipeline { seed = " + std::to_string(a.seed) + ", report = hone.stage \"eval\" {\n" +
      "  models = { hone.model(" + lua_literal(fs::absolute(a.model).string()) + ") },\n" +
      "  prompts = hone.rows { count = #task, make = function(i) return task[i] end },\n" +
      "  rewards = { hone.reward " + lua_literal(a.reward) + " { label = \"accuracy\"" + settings + " } },\n" +
      "  num_generations = " + std::to_string(a.samples) + ", batch_size = " + std::to_string(a.batch_size) +
      ", max_completion_length = " + std::to_string(a.max_tokens) + ", record = #task,\n  temperature = " + number_text(a.temperature) +
      ", top_p = " + number_text(a.top_p) + ", min_p = " + number_text(a.min_p) + ", top_k = " + std::to_string(a.top_k) + ", stop = " + lua_literal(a.stop) + " } }\n";
  const Scratch scratch;
  write_file_atomically(scratch.path / "eval.lua", script);
  RunRequest request;
  request.script = scratch.path / "eval.lua";
  request.out = a.out.empty() ? scratch.path / "run" : a.out;
  request.plugins = a.plugins;
  request.threads = a.threads;
  request.dtype = dtype_of(a);
  request.command_line = a.command_line;
  fs::path run;
  try {
    run = create_run(request);
    if (const int code = continue_run(run, a.plugins, a.threads, {.passing = a.out.empty()}); code != 0) return code;
  } catch (const UsageError &error) {
    throw UsageError(in_places_of_the_task(error.what(), places));
  } catch (const Failure &failure) {
    throw Failure(in_places_of_the_task(failure.what(), places));
  }
  for (const json &row : json::parse(read_file(run / "results.json"))) std::cout << row.dump() << "\n";
  log_also_to("");  // the run directory may be removed now
  log_info(a.out.empty() ? "--out RUN keeps the first response to each question, and `hone report RUN` shows them"
                         : "`hone report " + a.out.string() + "` shows the first response to each question");
  return 0;
}

}  // namespace hone
