// rollout_metrics.cpp -- see rollout_metrics.h.
#include "core/stage/rollout_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hone/objective.hpp"

namespace hone {
namespace {

// Of what is not NaN; NaN itself when nothing is: no score is not a score of 0.
Spread spread(const float *values, size_t n) {
  std::vector<double> known;
  for (size_t i = 0; i < n; ++i)
    if (!std::isnan(values[i])) known.push_back(values[i]);
  if (known.empty()) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN(), 0};
  return spread_of(known);
}

}  // namespace

void reward_metrics(const ScoredRows &scored, uint32_t group_size, std::map<std::string, double> &metrics) {
  metrics["reward"] = spread(scored.reward.data(), scored.reward.size()).mean;
  double deviations = 0, flat = 0;
  uint64_t groups = 0;
  for (size_t at = 0; at < scored.reward.size(); at += group_size) {
    const Spread group = spread(&scored.reward[at], std::min<size_t>(group_size, scored.reward.size() - at));
    if (group.n == 0) continue;
    ++groups;
    deviations += group.deviation;
    flat += group.deviation == 0;
  }
  metrics["reward_std"] = groups ? deviations / static_cast<double>(groups) : 0;
  metrics["frac_reward_zero_std"] = groups ? flat / static_cast<double>(groups) : 0;
  for (const auto &[label, values] : scored.parts) {
    const Spread part = spread(values.data(), values.size());
    metrics["rewards/" + label + "/mean"] = part.mean;
    metrics["rewards/" + label + "/std"] = part.deviation;
    const auto unscored = scored.unscored.find(label);
    metrics["rewards/" + label + "/unscored"] = unscored == scored.unscored.end() ? 0 : unscored->second;
    if (const auto steps = scored.steps_scored.find(label); steps != scored.steps_scored.end())
      metrics["rewards/" + label + "/steps"] = static_cast<double>(steps->second) / static_cast<double>(scored.reward.size());
  }
  if (scored.steps_scored.empty()) return;
  std::vector<float> steps;
  for (const std::vector<float> &row : scored.steps) steps.insert(steps.end(), row.begin(), row.end());
  metrics["step_reward/mean"] = spread(steps.data(), steps.size()).mean;
}

void length_metrics(const std::vector<SampledRow> &sampled, std::map<std::string, double> &metrics) {
  double sum = 0, longest = 0, shortest = std::numeric_limits<double>::infinity(), clipped = 0;
  for (const SampledRow &row : sampled) {
    const auto length = static_cast<double>(row.ids.size());
    sum += length;
    longest = std::max(longest, length);
    shortest = std::min(shortest, length);
    clipped += row.truncated;
  }
  const auto n = static_cast<double>(sampled.size());
  metrics["completions/mean_length"] = sum / n;
  metrics["completions/max_length"] = longest;
  metrics["completions/min_length"] = shortest;
  metrics["completions/clipped_ratio"] = clipped / n;
}

}  // namespace hone
