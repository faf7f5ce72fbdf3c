// parameter_update.h -- drives an optimizer over the parameters, in fixed pieces and on all threads; owns its state.
#pragma once

#include <filesystem>
#include <vector>

#include "core/model/model.h"
#include "core/tape/float_buffer.h"
#include "hone/ext/optimizer.h"

namespace hone {

class ParameterUpdate {
 public:
  ParameterUpdate(const hone_kernels &, const Weights &, const hone_optimizer &, void *self);

  // Counts its calls: what the optimizer hears as the update's number, from 1. The learning rate is the optimizer's own times factor. Weights are left as the
  // optimizer's failed call left them: the caller must not go on with them. frozen: parameters with one of these flags stay.
  void apply(Pool &, Weights &, const float *gradient, double factor, double gradient_scale, uint32_t frozen = 0);

  // One tensor "state0.<parameter>", ... for each state buffer and trained parameter, and how many updates there were.
  void save(const std::filesystem::path &, const Weights &) const;
  void load(const std::filesystem::path &, const Weights &);

 private:
  const hone_kernels &kernels_;
  hone_optimizer methods_;
  void *self_;
  uint32_t n_states_;
  bool whole_matrices_;
  uint64_t updates_ = 0;
  std::vector<FloatBuffer> states_;  // [n_states][trained_size]
};

}  // namespace hone
