// run_directory.h -- a run on disk: what was asked, what happened, and what is needed to go on after kill -9.
//
//   runs/<script>-<n>/  script.lua (and the files it requires)  settings.toml  pipeline.json  metrics.jsonl  results.json
//                       log.txt  report.html  run.json  lock  NN-<label>/ { checkpoints/step-N/, rollouts/*.jsonl.zst, scores.journal, data.jsonl }
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// A file that only grows, whose length a checkpoint records and a resume truncates to.
class GrowingFile {
 public:
  GrowingFile() = default;
  explicit GrowingFile(const std::filesystem::path &);  // creates it or opens at its end
  GrowingFile(GrowingFile &&) noexcept;
  GrowingFile &operator=(GrowingFile &&) noexcept;
  ~GrowingFile();
  // Whole, or Failure (with the file as it was): a disk that is full, or the limit of RLIMIT_FSIZE.
  void append(std::string_view bytes);
  void sync();
  uint64_t length() const;
  void truncate(uint64_t length);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t length_ = 0;
};

struct RolloutRecord {  // one line of rollouts/step-N.jsonl.zst
  uint32_t step = 0, row = 0, group = 0;
  std::string prompt, response;
  std::vector<int32_t> prompt_ids, ids;
  std::vector<float> logprobs;            // exact: written so that they read back to the same bits
  double reward = 0, advantage = 0;       // NaN is null
  std::map<std::string, double> rewards;  // per label; NaN is null
  bool truncated = false;
  nlohmann::json columns;                 // the data row
  std::vector<uint32_t> step_start;       // where steps begin in ids, and what each was rewarded with; empty where nobody asked
  std::vector<double> step_rewards;       // NaN is null
};

class StageDirectory {
 public:
  StageDirectory(const std::filesystem::path &);
  const std::filesystem::path &path() const { return path_; }
  std::filesystem::path journal() const { return path_ / "scores.journal"; }
  // Zstandard JSON lines, one file per step, written whole (atomically): rollouts/step-000012.jsonl.zst
  void write_rollouts(uint32_t step, const std::vector<RolloutRecord> &);
  std::vector<RolloutRecord> read_rollouts(uint32_t step) const;
  std::vector<uint32_t> rollout_steps() const;  // ascending

  // A checkpoint is a folder, checkpoints/step-N, that appears whole: begin() gives a folder beside to write into, commit()
  // adds checksums.json of every file, fsyncs all, renames, and then removes older ones beyond `keep` (the newest before it
  // always stays until the rename). abandon() removes the folder beside.
  std::filesystem::path begin_checkpoint(uint32_t step);
  void commit_checkpoint(uint32_t step, uint32_t keep);  // keep counts this one too; 0 keeps all
  void abandon_checkpoint(uint32_t step);
  // The newest checkpoint whose checksums hold, or nothing; damaged ones are passed over with a warning.
  // before: only checkpoints of earlier steps.
  bool newest_checkpoint(uint32_t &step, std::filesystem::path &folder, uint32_t before = UINT32_MAX) const;
  std::vector<uint32_t> checkpoint_steps() const;
  bool done() const;         // a finished stage has the file "done"
  void mark_done(const nlohmann::json &summary);  // atomically
  nlohmann::json summary() const;

 private:
  std::filesystem::path path_;
};

class RunDirectory {
 public:
  // Made whole beside and renamed, so that a failing start leaves nothing. out empty: runs/<name>-<n>, n free.
  // Names in files may have folders ("tiny/corpus.lua"). An `out` that exists must be an empty folder.
  static RunDirectory create(const std::filesystem::path &out, const std::string &name, const std::map<std::string, std::string> &files);
  static RunDirectory open(const std::filesystem::path &);  // Failure when it is not one
  RunDirectory(RunDirectory &&) noexcept;
  ~RunDirectory();
  const std::filesystem::path &path() const { return path_; }
  StageDirectory stage(int number, const std::string &label);    // NN-label, created when missing
  GrowingFile &metrics() { return metrics_; }                    // metrics.jsonl
  // One process at a time works on a run: Failure naming the other's pid. Held until destruction.
  void lock();

 private:
  explicit RunDirectory(const std::filesystem::path &);
  std::filesystem::path path_;
  GrowingFile metrics_;
  int lock_ = -1;
};

}  // namespace hone
