// learner.cpp -- see learner.h.
#include "core/train/learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hone {

Learner::Learner(const hone_kernels &kernels, Weights &weights, const hone_optimizer &optimizer, void *optimizer_self, TrainerSettings settings)
    : kernels_(kernels),
      weights_(weights),
      settings_(std::move(settings)),
      update_(kernels, weights, optimizer, optimizer_self),
      gradient_(kernels, weights.trained_size()) {
  for (uint32_t i = 0; settings_.slots > 1 && i < settings_.slots; ++i) slots_.emplace_back(kernels, weights.trained_size());
}

void Learner::clear(Pool &pool) {
  hone_stream stream = pool.stream();
  for (uint32_t i = 0; i < settings_.slots; ++i) kernels_.fill(&stream, slot(i), gradient_.size(), 0.0f);
}

double Learner::sum(Pool &pool) {
  hone_stream stream = pool.stream();
  const uint64_t size = gradient_.size();
  std::vector<const float *> slots;
  for (const FloatBuffer &slot : slots_) slots.push_back(slot.data());
  if (!slots.empty()) kernels_.add_slots(&stream, size, settings_.slots, slots.data(), gradient_.data());
  if (!kernels_.all_finite(&stream, size, gradient_.data())) return std::numeric_limits<double>::quiet_NaN();
  return std::sqrt(kernels_.sum_of_squares(&stream, size, gradient_.data()));
}

void Learner::apply(Pool &pool, double norm, uint64_t step, uint32_t frozen) {
  const double limit = settings_.max_grad_norm;
  const double scale = limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;  // as clip_grad_norm_ of PyTorch
  update_.apply(pool, weights_, gradient_.data(), schedule_factor(settings_, step), scale, frozen);
}

}  // namespace hone
