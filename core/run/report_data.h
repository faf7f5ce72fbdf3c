// report_data.h -- what a report shows, read from a run directory: results, metrics, completions, settings.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/run/chart.h"

namespace hone {

// A metric of results.json. A column "x_ci" is not shown apart: it is the half width of x's 95 % interval.
struct ResultColumn {
  std::string domain, metric;  // "calc/pass@1": domain "calc"; a column without a slash: domain ""
};
struct ResultRow {
  std::string name, stage;
  std::map<std::string, double> values;  // by column name, "calc/pass@1"
};
struct Results {
  std::vector<ResultRow> rows;
  std::vector<std::string> domains;                         // sorted
  std::map<std::string, std::vector<std::string>> metrics;  // of each domain, in the order in which tables show them
};

// One completion of a prompt during a stage or an evaluation.
struct Completion {
  std::string when;  // "step 12", or a model's name
  std::string text;
  double reward = 0;
  size_t tokens = 0;
  bool truncated = false;
};
struct Completions {
  std::string prompt, answer;
  std::vector<Completion> list;
};

struct StageData {
  std::string folder, label, component;
  nlohmann::json settings;
  std::map<std::string, Line> metrics;
  uint64_t steps = 0;
  double tokens = 0, seconds = 0;
  bool done = false;
  bool cached = false;  // its model was taken from an earlier run: tokens and seconds were spent there
  std::vector<Completions> completions;
};

struct RunData {
  std::string name;
  nlohmann::json pipeline;
  std::vector<StageData> stages;  // in order of running
  Results results;
};

// Failure naming file and line when something in the run is not what hone writes. with_completions reads rollouts, too.
RunData read_run(const std::filesystem::path &run, bool with_completions);
Results read_results(const std::filesystem::path &run);  // empty when there are none yet

// A cell of the table: "0.142 ± 0.021", "31.2", "–" when the row has no such value.
std::string result_text(const ResultRow &, const std::string &domain, const std::string &metric);

}  // namespace hone
