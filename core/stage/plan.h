// plan.h -- what a pipeline is going to do, checked before anything trains: stages, settings, memory, cost.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/script/script.h"

namespace hone {

struct StagePlan {
  std::string name, component, source;   // source: "rollouts", "rows", "pairs", "teacher", "loop"
  uint64_t steps = 0;                    // 0: known only when the data is there
  std::string data;                      // "130000 generated rows", "FILE.jsonl (812 rows)", "from stage kept"
  std::string trains;                    // of a loop: "sft with adamw"; empty: nothing, or it does not say so beforehand
  std::vector<std::filesystem::path> objectives;  // libraries of what it trains with
  uint64_t parameters = 0, active_parameters = 0;
  uint64_t adapter_parameters = 0;       // of lora: what is trained instead of the model; 0: all of it
  double memory_bytes = 0;               // at most: weights, gradients, optimizer state, activations, the sampler's cache, and the program
  double flops = 0;                      // 0: unknown
  std::vector<std::string> notes;        // what is no error, but worth knowing: a reward that has no score for anything yet
  std::vector<std::string> unused;       // the host's settings that this stage does not look at
};

// Creates every model, stage, optimizer and reward plugin from its settings, looks into every data file, checks what each
// stage needs, and lets rewards judge made-up responses (reward_trial.h). Throws UsageError or Failure with the script's file
// and line; nothing is written and nothing trains. The host is good for nothing else afterwards: it was offered services that
// are gone (planning_services.h).
// dtype: of the models' products; threads: that will work.
std::vector<StagePlan> check_plan(const Pipeline &, const Registry &, Host &, Script &, uint32_t dtype = HONE_F32, uint32_t threads = 1);

void print_plan(const Pipeline &, const std::vector<StagePlan> &, std::ostream &);

}  // namespace hone
