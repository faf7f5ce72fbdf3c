// plan.h -- what a pipeline is going to do, checked before anything trains: stages, settings, memory, cost.
#pragma once

#include <iosfwd>

#include "core/model/model.h"
#include "core/script/script.h"

namespace hone {

struct StagePlan {
  std::string name, component, source;   // source: "rollouts", "rows", "pairs", "teacher", "loop"
  uint64_t steps = 0;                    // 0: known only when the data is there
  std::string data;                      // "130000 generated rows", "FILE.jsonl (812 rows)", "from stage kept"
  uint64_t parameters = 0, active_parameters = 0;
  double memory_bytes = 0;               // weights, gradient slots, optimizer state, cache
  double flops = 0;                      // 0: unknown
};

// Stages with loops of their own are created while planning, with services that refuse every call: offers them. The host must
// outlive what is created with it.
void offer_planning_services(Host &);

// Creates every model, stage, optimizer and reward plugin from its settings, looks into every data file, and checks what each
// stage needs. Throws UsageError or Failure with the script's file and line; nothing is written and nothing trains.
std::vector<StagePlan> check_plan(const Pipeline &, const Registry &, const Host &, Script &);

void print_plan(const Pipeline &, const std::vector<StagePlan> &, std::ostream &);

}  // namespace hone
