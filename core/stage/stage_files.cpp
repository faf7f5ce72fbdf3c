// stage_files.cpp -- see stage_files.h.
#include "core/stage/stage_files.h"

#include <chrono>
#include <cmath>

#include "core/base/failure.h"
#include "core/base/file.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

json to_json(const RunPlace &place) {
  return {{"step", place.step}, {"metrics_begin", place.metrics_begin}, {"metrics_length", place.metrics_length}, {"data_length", place.data_length},
          {"tokens", place.tokens}, {"seconds", place.seconds}, {"cached", place.cached}, {"sampled", place.sampled}, {"drawn", place.drawn}, {"flat_steps", place.flat_steps}};
}

RunPlace run_place(const json &state) {
  return {state.at("step"), state.at("metrics_begin"), state.at("metrics_length"), state.at("data_length"), state.at("tokens"), state.at("seconds"), state.at("cached"),
          state.at("sampled"), state.at("drawn"), state.at("flat_steps")};
}

json read_state(const fs::path &checkpoint) {
  const fs::path path = checkpoint / "state.json";
  try {
    return json::parse(read_file(path));
  } catch (const json::exception &error) {
    throw Failure(path.string() + ": not the state that hone writes: " + error.what());
  }
}

void write_checkpoint(StageDirectory &directory, uint32_t step, uint32_t keep, const json &state,
                      const std::function<void(const fs::path &)> &fill) {
  const fs::path folder = directory.begin_checkpoint(step);
  try {
    fill(folder);
    write_file_atomically(folder / "state.json", state.dump(1) + "\n");
    directory.commit_checkpoint(step, keep);
  } catch (const std::exception &) {
    directory.abandon_checkpoint(step);
    throw;
  }
}

void append_metrics(RunContext &context, const std::string &stage, uint32_t step, const std::map<std::string, double> &metrics) {
  nlohmann::ordered_json line;
  line["stage"] = stage;
  line["step"] = step;
  for (const auto &[name, value] : metrics) line[name] = std::isfinite(value) ? json(value) : json();
  context.run.metrics().append(line.dump() + "\n");
}

void write_results(const RunContext &context, int current_stage, const json &current_rows) {
  json all = json::array();
  for (int index : context.pipeline.order) {
    const json rows = index == current_stage ? current_rows : [&]() -> json {
      const StageDirectory directory = context.directory_of(index);
      return directory.done() ? directory.summary().value("results", json::array()) : json::array();
    }();
    for (const json &row : rows) all.push_back(row);
  }
  write_file_atomically(context.run.path() / "results.json", all.dump(1) + "\n");
}

}  // namespace hone
