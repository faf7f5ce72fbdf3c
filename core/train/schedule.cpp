// schedule.cpp -- the learning-rate factor of a step, from the step's number alone.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/failure.h"
#include "core/train/trainer.h"

namespace hone {

// Warm-up rises through 1 / (w + 1), 2 / (w + 1), ... (never 0: no step is wasted); then, with p from 0 in the first
// step after it to just below 1 in the last, linear is 1 - p and cosine (1 + cos(pi p)) / 2, both towards the least
// factor.
double schedule_factor(const TrainerSettings &settings, uint64_t step) {
  const double done = step > 0 ? static_cast<double>(step - 1) : 0, warmup = settings.warmup_steps;
  if (done < warmup) return (done + 1) / (warmup + 1);
  if (settings.schedule == "constant") return 1;
  const double length = std::max(1.0, static_cast<double>(settings.total_steps) - warmup);
  const double p = std::min(1.0, (done - warmup) / length), least = settings.min_learning_rate_factor;
  if (settings.schedule == "linear") return least + (1 - least) * (1 - p);
  if (settings.schedule == "cosine") return least + (1 - least) * 0.5 * (1 + std::cos(std::numbers::pi * p));
  throw UsageError("there is no schedule \"" + settings.schedule + "\"; choose constant, linear or cosine");
}

}  // namespace hone
