// scorer.h -- scores responses in worker processes; nothing a reward does can hurt the caller.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

struct ScoreRow {
  std::string prompt, text, answer, columns;  // columns: the data row as a JSON object
  std::vector<int32_t> ids;
  bool truncated = false;
  // Where the reasoning steps begin: in ids, and in bytes of text. Empty: nobody asks for a score of each.
  std::vector<uint32_t> step_start, step_text;
};

struct RewardPart {
  std::string label;              // unique in the set
  ComponentInfo component;        // or, for a Lua function, component.name "lua" and `function`
  nlohmann::json settings;        // model handles already turned into {"$path": "DIRECTORY"}
  std::string script, function;   // a Lua function: the saved script and the function's path in it
  nlohmann::json script_arguments;  // options with which that script is run
  double weight = 1;
};

struct PartScores {
  std::vector<float> score;        // NaN: no score
  std::vector<std::string> why;    // "" when scored
  // 1: no score because a function raised, a plugin's whole call failed, or its worker was lost. Not journalled: empty then.
  std::vector<uint8_t> refused;
  // Per row a number for each of its steps, NaN: none. Empty when no row has any; so is a row's list.
  std::vector<std::vector<float>> steps;
};

// What a worker needs beyond plugins; app supplies it, so that this room includes neither models nor scripts.
struct WorkerServices {
  // Offers host services beyond log, parallel and random to one part ("hone.host.reward_model/1"). settings still hold
  // {"$path": "DIRECTORY"}; the plugin is given index k for the k-th such setting, counted by the settings' sorted names.
  // What it returns owns what was offered: kept as long as the part, let go after its plugin and before its Host. May be null.
  std::function<std::shared_ptr<void>(class Host &, const nlohmann::json &settings)> offer;
  // Finds a Lua function in the saved script. Its row: the data row's columns and prompt, response, answer, truncated,
  // num_tokens (these five win over columns of the same name). NaN is "no score"; an exception is why there is none.
  // key: checksum_of the row alone, to key random numbers by: the same whichever worker scores the row and beside whichever
  // others; so equal rows draw equal numbers.
  using LuaFunction = std::function<double(const nlohmann::json &row, uint64_t key)>;
  std::function<LuaFunction(const std::string &script, const std::string &function, const nlohmann::json &arguments)> lua;
};

// Thrown out of a scorer once ScorerSettings::interrupted says yes. No std::exception: nothing that handles a reward's errors
// may take it for one.
struct ScoringInterrupted {};

struct ScorerSettings {
  uint32_t workers = 0;            // processes; 0: as many as threads
  double deadline = 10;            // seconds for one batch in a worker; then it is killed and its unfinished rows have no score
  double setup_deadline = 120;     // seconds for a worker to open its plugins, script and models
  bool in_process = false;         // isolation = "none"
  uint64_t seed = 0;
  std::vector<std::filesystem::path> plugin_folders;  // become the workers' HONE_PLUGIN_PATH
  WorkerServices services;         // used with in_process only; a worker process has its own
  // Asked at least every 100 ms while workers are waited for (in_process: between batches of rows). After a yes the busy
  // workers are killed and ScoringInterrupted is thrown; the scorer can be used again. May be empty: never.
  std::function<bool()> interrupted;
};

class Scorer {
 public:
  // Starts the workers and waits until all have opened their parts; Failure naming the part that cannot be opened.
  // ScoringInterrupted.
  // Workers die with the thread that started them, so make and use a scorer on a thread that lives as long as it does.
  Scorer(std::vector<RewardPart>, ScorerSettings);
  ~Scorer();  // ends the workers
  Scorer(const Scorer &) = delete;
  const std::vector<RewardPart> &parts() const;
  // One PartScores per part, in order. A crash, hang, exception, wrong count or NaN: those rows have no score, with why.
  // Rows that share a batch with a crashing row are scored again, alone, so that only the guilty one is lost. A part that
  // takes its worker along for more than half of the rows (and 8), or is too slow for a sixteenth (and 8), is given up for this
  // call: no row has a score of it. [main]
  // only: the one part that is asked; the others' rows have no score and no reason.
  std::vector<PartScores> score(const std::vector<ScoreRow> &, std::optional<uint32_t> only = {});
  uint64_t restarts() const;  // workers lost and started again so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The worker's side: `hone --reward-worker FD` (a hidden verb) calls this with its socket's descriptor. Returns the exit
// status. HONE_WORKER_PROGRAM names another program to start instead of this one (tests).
int run_reward_worker(int descriptor, const WorkerServices &);

// What a Lua function is given of a row, as WorkerServices::LuaFunction says.
nlohmann::json lua_row(const ScoreRow &);

// All that a reward may look at, in order: prompt, text, answer, columns, ids, truncated and steps (if there are any) of every row.
// xxh3, 64 bits.
uint64_t checksum_of(const std::vector<ScoreRow> &);

// scores.journal: one record per (step, label) batch, checksummed; a torn last record is dropped on reading.
class ScoreJournal {
 public:
  // Creates it or reads what is there. read_only: nothing on the disk is created, cut or written (no file: no records), and
  // append and truncate are Failures.
  explicit ScoreJournal(const std::filesystem::path &, bool read_only = false);
  // key: "step 12". content: checksum_of the rows that were scored; Failure when the key's scores are of other rows.
  bool find(const std::string &key, uint64_t content, std::vector<PartScores> &out) const;
  void append(const std::string &key, uint64_t content, const std::vector<PartScores> &);  // fsynced before it returns
  uint64_t length() const;
  void truncate(uint64_t length);

 private:
  struct Record {
    uint64_t content = 0;
    std::vector<PartScores> parts;
  };
  std::filesystem::path path_;
  bool read_only_ = false;
  std::map<std::string, Record> records_;
  uint64_t length_ = 0;
};

}  // namespace hone
