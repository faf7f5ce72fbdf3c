// runner.h -- runs a pipeline stage by stage within a run directory, and goes on where an earlier process stopped.
#pragma once

#include "core/stage/context.h"

namespace hone {

struct RunRequest {
  std::filesystem::path script;             // of a new run
  ScriptArguments arguments;
  std::filesystem::path out;                // "" : runs/<script>-<n>
  std::vector<std::filesystem::path> plugins;
  uint32_t threads = 0;                     // 0: as many as the machine lets us use
  uint32_t dtype = HONE_F32;
  std::vector<std::string> command_line;    // recorded in the run
};

// Everything that running or replaying a saved run needs, opened from its directory.
class OpenRun {
 public:
  OpenRun(const std::filesystem::path &run, const std::vector<std::filesystem::path> &plugins, uint32_t threads, std::atomic<int> *signal,
          bool to_write);  // to_write: locks the run
  ~OpenRun();
  RunContext &context() { return *context_; }
  RunDirectory &directory() { return directory_; }

 private:
  RunDirectory directory_;
  Registry registry_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Script> script_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<RunContext> context_;
};

// Checks everything that can be checked (see plan.h), makes the run directory and returns its path.
std::filesystem::path create_run(const RunRequest &);
struct Continuing {
  bool passing = false;     // the directory will be gone when the program ends: no report is written and nothing in it is named
  bool verify_all = false;  // see RunContext
};
// Runs what is not done yet. Returns the exit code: 0, or 128 + signal after an interruption.
int continue_run(const std::filesystem::path &run, const std::vector<std::filesystem::path> &plugins, uint32_t threads, Continuing = {});

}  // namespace hone
