// report_data.cpp -- see report_data.h.
#include "core/run/report_data.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/run/run_directory.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

json read_json(const fs::path &path) {
  try {
    return json::parse(read_file(path));
  } catch (const json::exception &error) {
    throw Failure(path.string() + ": not JSON: " + json_reason(error.what()));
  }
}

double number_or(const json &object, const char *name, double otherwise) {
  const auto at = object.find(name);
  return at != object.end() && at->is_number() ? at->get<double>() : otherwise;
}

std::string text_or(const json &object, const char *name, const std::string &otherwise) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : otherwise;
}

// Calls each(line as JSON, line number) for every whole line. A last line without its end is one that is being written:
// left out.
template <class Each>
void for_each_line(const fs::path &path, Each &&each) {
  if (!fs::exists(path)) return;
  const std::string all = read_file(path);
  size_t number = 0;
  for (size_t begin = 0, end; (end = all.find('\n', begin)) != all.npos; begin = end + 1) {
    ++number;
    if (end == begin) continue;
    const json line = json::parse(all.begin() + static_cast<ptrdiff_t>(begin),
                                  all.begin() + static_cast<ptrdiff_t>(end), nullptr, false);
    if (!line.is_object()) throw Failure(path.string() + ":" + std::to_string(number) + ": not a JSON object");
    each(line, number);
  }
}

// "02-first_rl" -> 2; -1 when it does not begin with a number and a dash.
int number_of(const std::string &folder) {
  int number = -1, used = 0;
  return std::sscanf(folder.c_str(), "%d-%n", &number, &used) == 1 && used > 0 ? number : -1;
}

StageData &stage_named(std::vector<StageData> &stages, const std::string &folder) {
  for (StageData &stage : stages)
    if (stage.folder == folder) return stage;
  StageData stage;
  stage.folder = folder;
  const size_t dash = folder.find('-');
  stage.label = dash == folder.npos ? folder : folder.substr(dash + 1);
  stages.push_back(std::move(stage));
  return stages.back();
}

void read_metrics(const fs::path &run, std::vector<StageData> &stages) {
  for_each_line(run / "metrics.jsonl", [&](const json &line, size_t) {
    StageData &stage = stage_named(stages, text_or(line, "stage", "?"));
    const double step = number_or(line, "step", static_cast<double>(stage.steps + 1));
    stage.steps = std::max(stage.steps, static_cast<uint64_t>(std::max(0.0, step)));
    stage.seconds += number_or(line, "step_time", 0);
    stage.tokens = std::max(stage.tokens, number_or(line, "num_tokens", 0));
    for (const auto &[name, value] : line.items()) {
      if (name == "stage" || name == "step" || !value.is_number()) continue;
      Line &metric = stage.metrics[name];
      metric.x.push_back(step);
      metric.y.push_back(value.get<double>());
    }
  });
}

// What the script said of each stage, by its place in the order of running.
void read_pipeline(const json &pipeline, std::vector<StageData> &stages) {
  if (!pipeline.contains("stages") || !pipeline["stages"].is_array()) return;
  const json order = pipeline.value("order", json::array());
  for (StageData &stage : stages) {
    const int number = number_of(stage.folder);
    const json *node = nullptr;
    if (number >= 1 && static_cast<size_t>(number) <= order.size() && order[number - 1].is_number_unsigned()) {
      const auto index = order[number - 1].get<size_t>();
      if (index < pipeline["stages"].size()) node = &pipeline["stages"][index];
    }
    if (!node || !node->is_object()) continue;
    stage.component = text_or(*node, "component", "");
    stage.settings = node->value("settings", json::object());
  }
}

void read_summary(const fs::path &run, StageData &stage) {
  const StageDirectory directory(run / stage.folder);
  stage.done = directory.done();
  if (!stage.done) return;
  const json summary = directory.summary();
  stage.tokens = number_or(summary, "tokens", stage.tokens);
  stage.seconds = number_or(summary, "seconds", stage.seconds);
  stage.steps = static_cast<uint64_t>(std::max(0.0, number_or(summary, "steps", static_cast<double>(stage.steps))));
  const auto cached = summary.find("cached");  // names what was taken instead of training
  stage.cached = cached != summary.end() && cached->is_string();
}

// At most `most` of them, evenly spread, the first and the last among them.
std::vector<uint32_t> spread(const std::vector<uint32_t> &steps, size_t most) {
  if (steps.size() <= most) return steps;
  std::vector<uint32_t> out;
  for (size_t i = 0; i < most; ++i) out.push_back(steps[i * (steps.size() - 1) / (most - 1)]);
  return out;
}

Completion completion_of(const RolloutRecord &record) {
  return {"step " + std::to_string(record.step), record.response, record.reward, record.ids.size(), record.truncated};
}

// One question at the start, middle and end of training when its prompts come round again; else three questions, one
// each. Always the first response of a group: nothing is picked for its looks.
std::vector<Completions> rollout_samples(const fs::path &folder) {
  const StageDirectory directory(folder);
  struct Seen {
    std::vector<RolloutRecord> records;  // by step
  };
  std::map<std::string, Seen> prompts;
  std::vector<std::pair<std::string, RolloutRecord>> firsts;  // of the first, middle and last step
  const std::vector<uint32_t> steps = spread(directory.rollout_steps(), 64);
  for (size_t s = 0; s < steps.size(); ++s) {
    std::set<std::string> in_step;
    for (RolloutRecord &record : directory.read_rollouts(steps[s])) {
      if (!in_step.insert(record.prompt).second) continue;  // not the first response to it
      if (in_step.size() == 1 && (s == 0 || s == steps.size() / 2 || s + 1 == steps.size()))
        firsts.emplace_back(record.prompt, record);
      prompts[record.prompt].records.push_back(std::move(record));
    }
  }
  const auto answer = [](const RolloutRecord &record) {
    return record.columns.is_object() ? text_or(record.columns, "answer", "") : "";
  };
  const Seen *widest = nullptr;
  uint32_t width = 0;
  for (const auto &[prompt, seen] : prompts) {
    const uint32_t across = seen.records.back().step - seen.records.front().step;
    if (seen.records.size() >= 3 && across > width) widest = &seen, width = across;
  }
  std::vector<Completions> samples;
  if (widest) {
    const auto &records = widest->records;
    Completions one{records[0].prompt, answer(records[0]), {}};
    for (const size_t i : {size_t{0}, records.size() / 2, records.size() - 1})
      one.list.push_back(completion_of(records[i]));
    samples.push_back(std::move(one));
  } else {
    for (const auto &[prompt, record] : firsts) samples.push_back({prompt, answer(record), {completion_of(record)}});
  }
  return samples;
}

// What an evaluation recorded: for each of the first questions, a response of every model.
std::vector<Completions> evaluation_samples(const fs::path &folder) {
  std::vector<Completions> samples;
  std::map<std::string, size_t> place;
  for_each_line(folder / "data.jsonl", [&](const json &line, size_t) {
    if (!line.contains("model") || !line.contains("response")) return;
    const std::string prompt = text_or(line, "prompt", ""), key = text_or(line, "domain", "") + "\n" + prompt;
    const auto [at, is_new] = place.try_emplace(key, samples.size());
    if (is_new) samples.push_back({prompt, text_or(line, "answer", ""), {}});
    samples[at->second].list.push_back({text_or(line, "model", "?"), text_or(line, "response", ""),
                                        number_or(line, "reward", kNone), 0, number_or(line, "truncated", 0) != 0});
  });
  return samples;
}

// Known metrics first, in the order in which they matter; others after them by name.
int rank_of(const std::string &metric) {
  if (metric == "pass@1") return 0;
  if (metric.rfind("pass@", 0) == 0) return 1;
  if (metric.rfind("cons@", 0) == 0) return 2;
  if (metric.rfind("best@", 0) == 0) return 3;
  static const char *const kLast[] = {"format", "mixing", "length", "truncated", "unscored", "questions"};
  for (int i = 0; i < 6; ++i)
    if (metric == kLast[i]) return 10 + i;
  return 5;
}

}  // namespace

Results read_results(const fs::path &run) {
  Results results;
  const fs::path path = run / "results.json";
  if (!fs::exists(path)) return results;
  const json all = read_json(path);
  if (!all.is_array()) throw Failure(path.string() + ": not a list of rows");
  std::set<std::pair<std::string, std::string>> columns;  // domain, metric
  for (const json &row : all) {
    if (!row.is_object()) throw Failure(path.string() + ": a row is not an object");
    ResultRow out;
    out.name = text_or(row, "name", "?");
    out.stage = text_or(row, "stage", "");
    for (const auto &[name, value] : row.items()) {
      if (!value.is_number()) continue;
      out.values[name] = value.get<double>();
      if (name.size() > 3 && name.ends_with("_ci")) continue;
      const size_t slash = name.find('/');
      columns.insert(
          {slash == name.npos ? "" : name.substr(0, slash), slash == name.npos ? name : name.substr(slash + 1)});
    }
    results.rows.push_back(std::move(out));
  }
  for (const auto &[domain, metric] : columns) {
    if (results.domains.empty() || results.domains.back() != domain) results.domains.push_back(domain);
    results.metrics[domain].push_back(metric);
  }
  for (auto &[domain, metrics] : results.metrics)
    std::stable_sort(metrics.begin(), metrics.end(),
                     [](const auto &a, const auto &b) { return rank_of(a) < rank_of(b); });
  return results;
}

RunData read_run(const fs::path &run, bool with_completions) {
  if (!fs::is_directory(run)) throw UsageError(run.string() + ": no such run directory");
  if (!fs::exists(run / "pipeline.json") && !fs::exists(run / "metrics.jsonl"))
    throw Failure(run.string() + ": not a run directory (it has neither pipeline.json nor metrics.jsonl)");
  RunData data;
  data.name = fs::absolute(run).lexically_normal().filename().string();
  if (data.name.empty()) data.name = fs::absolute(run).lexically_normal().parent_path().filename().string();
  if (fs::exists(run / "pipeline.json")) data.pipeline = read_json(run / "pipeline.json");
  for (const fs::directory_entry &entry : fs::directory_iterator(run))
    if (entry.is_directory() && number_of(entry.path().filename().string()) >= 0)
      stage_named(data.stages, entry.path().filename().string());
  read_metrics(run, data.stages);
  std::sort(data.stages.begin(), data.stages.end(), [](const StageData &a, const StageData &b) {
    return std::make_pair(number_of(a.folder), a.folder) < std::make_pair(number_of(b.folder), b.folder);
  });
  if (data.pipeline.is_object()) read_pipeline(data.pipeline, data.stages);
  for (StageData &stage : data.stages) {
    const fs::path folder = run / stage.folder;
    if (!fs::is_directory(folder)) continue;
    read_summary(run, stage);
    if (!with_completions) continue;
    stage.completions = rollout_samples(folder);
    if (stage.completions.empty()) stage.completions = evaluation_samples(folder);
  }
  data.results = read_results(run);
  return data;
}

}  // namespace hone
