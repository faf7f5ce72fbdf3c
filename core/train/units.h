// units.h -- a step's rows cut into units, each run in one packed pass: whole groups in order.
#pragma once

#include <cstdint>
#include <vector>

#include "core/rollout/packed_pass.h"
#include "core/train/objective_columns.h"

namespace hone {

struct Unit {
  uint32_t begin, end;  // rows of the columns
  PackedRows packed;
};

// Up to settings.unit_tokens each, but no more than spread the step evenly over the slots. Depends on the rows alone, never on
// threads. share: what a group's rows begin with is run once.
std::vector<Unit> cut_units(const ObjectiveColumns &, const std::vector<TrainRow> &, const TrainerSettings &, bool value_after, bool share);

}  // namespace hone
