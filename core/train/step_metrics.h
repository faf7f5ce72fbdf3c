// step_metrics.h -- what a step of training reports beside its loss, in TRL's names: sums over the tokens of its parts.
#pragma once

#include <map>
#include <string>

#include "core/train/objective_columns.h"

namespace hone {

class StepMetrics {
 public:
  // Of the last pass over a part of the step's rows, before its update.
  void add(const ObjectiveColumns &, const ObjectiveCalls &);
  void add_entropy(const ObjectiveColumns &);  // of the first pass
  // Of the whole step, once its targets are known: how well the old values foretold them.
  void add_values(const ObjectiveColumns &);
  void forget_passes();  // of a pass that another follows
  void put(std::map<std::string, double> &) const;

 private:
  uint64_t tokens_ = 0, entropy_tokens_ = 0;
  double kl_ = 0, ratio_ = 0, moved_ = 0, flat_ = 0, entropy_ = 0, explained_ = 0, value_ = 0, teacher_ = 0;
  bool has_kl_ = false, has_ratio_ = false, has_flat_ = false, has_values_ = false, has_teacher_ = false;
};

}  // namespace hone
