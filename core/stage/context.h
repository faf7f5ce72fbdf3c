// context.h -- what every stage of one run shares.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/pool.h"
#include "core/model/model.h"
#include "core/plugin/host.h"
#include "core/run/run_directory.h"
#include "core/script/script.h"

namespace hone {

// Thrown out of a step when SIGINT or SIGTERM asked the run to end; the step is dropped.
struct Interrupted {
  int signal;
};

struct RunContext {
  const Registry &registry;
  const hone_kernels &kernels;
  Pool &pool;
  Host &host;
  Script &script;
  const Pipeline &pipeline;
  RunDirectory &run;
  std::vector<std::filesystem::path> plugin_folders;
  nlohmann::json script_arguments;   // with which workers run the saved script again
  std::filesystem::path script_path; // the saved script in the run directory
  uint32_t dtype = HONE_F32;
  std::atomic<int> *signal = nullptr;  // not 0 once a signal came; may be null
  bool verify_all = false;             // --verify all: also where a stage says verify = false

  bool interrupted() const { return signal && signal->load(std::memory_order_relaxed) != 0; }
  void stop_if_interrupted() const {
    if (interrupted()) throw Interrupted{signal->load()};
  }
  // Stage number as in the run directory: 1 for the first that runs. Keys random numbers too.
  uint32_t number_of(int stage_index) const;
  StageDirectory directory_of(int stage_index) const;
};

std::string stage_label(const Pipeline &, int stage_index);          // the label, or the component's name; two stages may share it
std::string stage_folder_name(const Pipeline &, int stage_index);    // "02-first_rl"

}  // namespace hone
