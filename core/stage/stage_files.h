// stage_files.h -- a stage's checkpoints within a run: weights or place, and how long each growing file was.
#pragma once

#include <functional>

#include "core/stage/context.h"

namespace hone {

// What both kinds of stages record beside their own state.
struct RunPlace {
  uint32_t step = 0;
  uint64_t metrics_begin = 0, metrics_length = 0, data_length = 0;  // of metrics.jsonl when the stage began, and now
  uint64_t tokens = 0;   // trained or sampled so far
  double seconds = 0;    // spent so far, in all sessions
  std::string cached;    // the key under which the model was kept; empty: trained here
  uint64_t sampled = 0;    // tokens, those of responses that did not train and of greedy ones too
  uint64_t drawn = 0;      // prompts so far: with dynamic sampling nobody knows beforehand how many a step takes
  uint32_t flat_steps = 0; // the last ones in a row in which nothing was learnt
};

nlohmann::json to_json(const RunPlace &);
RunPlace run_place(const nlohmann::json &state);
nlohmann::json read_state(const std::filesystem::path &checkpoint);

// Writes a checkpoint through fill(folder), which adds the stage's files; state.json last. On any failure the folder
// beside is removed and the previous checkpoint is as it was.
void write_checkpoint(StageDirectory &, uint32_t step, uint32_t keep, const nlohmann::json &state,
                      const std::function<void(const std::filesystem::path &)> &fill);

double seconds_now();  // of a clock that never goes back, for lengths of time only

// One line of metrics.jsonl; NaN and infinities become null.
void append_metrics(RunContext &, const std::string &stage, uint32_t step, const std::map<std::string, double> &);

// results.json of the run: the rows of all finished stages (from their summaries) and those given for the current one.
void write_results(const RunContext &, int current_stage, const nlohmann::json &current_rows);

}  // namespace hone
