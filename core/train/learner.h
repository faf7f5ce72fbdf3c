// learner.h -- weights that a step moves: their gradient in slots, its norm, clipping and the optimizer. A trainer has one for the model,
// and one for its critic where it has one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/train/parameter_update.h"
#include "core/train/trainer.h"

namespace hone {

class Learner {
 public:
  // All must outlive this. settings: with slots as for_model_of gave them; max_grad_norm and the schedule are this learner's own.
  Learner(const hone_kernels &, Weights &, const hone_optimizer &, void *optimizer_self, TrainerSettings settings);

  Weights &weights() { return weights_; }
  // Where unit u adds its gradient: slot u % slots, units of a slot in order.
  float *slot(size_t unit) { return slots_.empty() ? gradient_.data() : slots_[unit % slots_.size()].data(); }
  void clear(Pool &);
  // The slots meet in a fixed tree. The global norm of the sum; NaN when it is not finite, and then nothing may be applied.
  double sum(Pool &);
  // One update, clipped by `norm`; step is the schedule's. frozen: parameters with one of these flags stay.
  void apply(Pool &, double norm, uint64_t step, uint32_t frozen = 0);

  void save(const std::filesystem::path &path) const { update_.save(path, weights_); }
  void load(const std::filesystem::path &path) { update_.load(path, weights_); }

 private:
  const hone_kernels &kernels_;
  Weights &weights_;
  TrainerSettings settings_;
  ParameterUpdate update_;
  std::vector<FloatBuffer> slots_;  // empty: there is one slot, the gradient itself
  FloatBuffer gradient_;
};

}  // namespace hone
