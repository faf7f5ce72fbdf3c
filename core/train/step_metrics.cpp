// step_metrics.cpp -- see step_metrics.h.
#include "core/train/step_metrics.h"

#include <cmath>

namespace hone {

void StepMetrics::add(const ObjectiveColumns &c, const ObjectiveCalls &objective) {
  tokens_ += c.tokens();
  const auto needs = [&](uint64_t column) { return (objective.needs() & column) != 0; };
  has_kl_ = needs(HONE_KL) || !c.logp_ref.empty();
  if (needs(HONE_KL)) {  // exact, which no estimate is beside it
    for (const float kl : c.kl) kl_ += kl;
  } else if (!c.logp_ref.empty()) {
    for (uint32_t t = 0; t < c.tokens(); ++t) {
      const double to_ref = double(c.logp_ref[t]) - c.logp[t];
      kl_ += std::expm1(to_ref) - to_ref;
    }
  }
  if (needs(HONE_LOGP_TEACHER)) {
    has_teacher_ = true;
    for (uint32_t t = 0; t < c.tokens(); ++t) teacher_ += double(c.logp[t]) - c.logp_teacher[t];
  }
  if (objective.source() != HONE_ON_POLICY || !needs(HONE_LOGP_OLD)) return;
  has_ratio_ = true;
  for (uint32_t t = 0; t < c.tokens(); ++t) {
    const double by = double(c.logp[t]) - c.logp_old[t];
    ratio_ += std::exp(by);
    moved_ += std::expm1(by) - by;  // k3: the tokens are the old policy's
    flat_ += c.advantage[t] != 0 && c.dlogp[t] == 0;
  }
  // A token with an advantage and no gradient has been clipped; a penalty's own gradient would hide that.
  has_flat_ = !needs(HONE_LOGP_REF | HONE_KL | HONE_ENTROPY);
}

void StepMetrics::add_entropy(const ObjectiveColumns &c) {
  entropy_tokens_ += c.tokens();
  for (const float entropy : c.entropy) entropy_ += entropy;
}

void StepMetrics::add_values(const ObjectiveColumns &c) {
  double mean = 0, of_error = 0;
  const auto n = static_cast<double>(c.tokens());
  for (uint32_t t = 0; t < c.tokens(); ++t) {
    mean += c.target[t] / n;
    of_error += (double(c.target[t]) - c.value_old[t]) / n;
    value_ += c.value_old[t] / n;
  }
  double variance = 0, left = 0;
  for (uint32_t t = 0; t < c.tokens(); ++t) {
    variance += (c.target[t] - mean) * (c.target[t] - mean);
    const double error = double(c.target[t]) - c.value_old[t] - of_error;
    left += error * error;
  }
  has_values_ = true;
  explained_ = variance > 0 ? 1 - left / variance : 0;
}

void StepMetrics::forget_passes() {
  tokens_ = 0;
  kl_ = ratio_ = moved_ = flat_ = teacher_ = 0;
}

void StepMetrics::put(std::map<std::string, double> &metrics) const {
  const auto n = static_cast<double>(tokens_);
  if (has_kl_) metrics["kl"] = kl_ / n;
  if (has_teacher_) metrics["teacher_kl"] = teacher_ / n;
  if (has_ratio_) metrics["ratio/mean"] = ratio_ / n, metrics["approx_kl"] = moved_ / n;
  if (has_ratio_ && has_flat_) metrics["clip_ratio/region_mean"] = flat_ / n;
  if (entropy_tokens_ > 0) metrics["entropy"] = entropy_ / static_cast<double>(entropy_tokens_);
  if (has_values_) metrics["value/mean"] = value_, metrics["value/explained_variance"] = explained_;
}

}  // namespace hone
