// advantages.hpp -- from rewards to advantages: what objectives share. Deviations are of the population (n, not n - 1) and nothing
// is added to them unless a function says so; where all values are equal up to rounding they are exactly 0.
#pragma once

#include <vector>

#include "hone/objective.hpp"

namespace hone HONE_HIDDEN {

inline void fill_row(hone_advantages &out, const Row &row, double advantage) {
  std::fill(out.advantage + row.begin, out.advantage + row.end, static_cast<float>(advantage));
}

inline std::vector<double> rewards_of(std::span<const Row> rows) {
  std::vector<double> all;
  all.reserve(rows.size());
  for (const Row &row : rows) all.push_back(row.reward);
  return all;
}

// A = (r - mean of the group) / deviation, of the group (DeepSeekMath, arXiv 2402.03300, section 4.1.2, outcome supervision) or of all the
// step's rewards (arXiv 2508.08221), or undivided (Dr. GRPO, arXiv 2503.20783). Exactly 0 in a group of equal rewards.
// scale: "group", "batch" or "none". rewards: one per row of the batch.
inline void group_relative(const Batch &batch, std::span<const double> rewards, const std::string &scale, hone_advantages &out) {
  const double all = scale == "batch" ? spread_of(rewards).deviation : 0;
  for (const Group &group : batch.groups()) {
    const size_t first = static_cast<size_t>(group.rows.data() - batch.rows().data());
    const Spread of_group = spread_of(rewards.subspan(first, group.rows.size()));
    const double deviation = scale == "group" ? of_group.deviation : scale == "batch" ? all : 1;
    for (size_t i = 0; i < group.rows.size(); ++i)
      fill_row(out, group.rows[i], of_group.deviation > 0 ? (rewards[first + i] - of_group.mean) / deviation : 0);
  }
}

// The same of the rewards of steps, each at the token that ends its step (NaN elsewhere): A of a token is the sum over the ends from it
// on (DeepSeekMath, section 4.1.3, process supervision). The statistics are of all steps of a group; with "batch" the deviation is
// of all steps there are.
inline void group_relative_steps(const Batch &batch, const std::string &scale, hone_advantages &out) {
  const auto steps_of = [&](std::span<const Row> rows) {
    std::vector<double> all;
    for (const Row &row : rows)
      for (uint32_t t = row.begin; t < row.end; ++t)
        if (!std::isnan(batch->step_reward[t])) all.push_back(batch->step_reward[t]);
    return all;
  };
  const double all = scale == "batch" ? spread_of(steps_of(batch.rows())).deviation : 0;
  for (const Group &group : batch.groups()) {
    const Spread of_group = spread_of(steps_of(group.rows));
    const double deviation = scale == "group" ? of_group.deviation : scale == "batch" ? all : 1;
    for (const Row &row : group.rows) {
      double to_come = 0;
      for (uint32_t t = row.end; t-- > row.begin;) {
        if (!std::isnan(batch->step_reward[t]) && of_group.deviation > 0) to_come += (batch->step_reward[t] - of_group.mean) / deviation;
        out.advantage[t] = static_cast<float>(to_come);
      }
    }
  }
}

// The reward of each token of a row: at the last one the row's; everywhere -kl_coef k1, k1 = log p_old - log p_ref (Ouyang et al., arXiv
// 2203.02155, eq. 2; TRL's and verl's kl in the reward); and the reward of a step where one ends.
inline std::vector<double> token_rewards(const Batch &batch, const Row &row, double kl_coef, bool with_steps = false) {
  std::vector<double> all(row.size(), 0);
  for (uint32_t i = 0; i < row.size(); ++i) {
    const uint32_t t = row.begin + i;
    if (kl_coef != 0) all[i] -= kl_coef * (double(batch->logp_old[t]) - batch->logp_ref[t]);
    if (with_steps && !std::isnan(batch->step_reward[t])) all[i] += batch->step_reward[t];
  }
  if (!all.empty()) all.back() += row.reward;
  return all;
}

// What is still to come at each token, in place: R_t = r_t + gamma R_t+1.
inline void discount(std::span<double> rewards, double gamma) {
  for (size_t t = rewards.size(); t-- > 1;) rewards[t - 1] += gamma * rewards[t];
}

// (A - mean) / deviation over all tokens of the step, where deviation(spread) says what stands for it. All 0 when all are equal.
template <class Deviation>
void normalize(std::span<float> advantages, Deviation &&deviation) {
  const std::vector<double> all(advantages.begin(), advantages.end());
  const Spread spread = spread_of(all);
  const double divisor = deviation(spread);
  for (size_t t = 0; t < all.size(); ++t) advantages[t] = spread.deviation > 0 ? static_cast<float>((all[t] - spread.mean) / divisor) : 0.0f;
}

// TRL's masked_whiten: sqrt(variance + 1e-8), with n - 1 in the variance.
inline void whiten(std::span<float> advantages) {
  normalize(advantages, [](const Spread &spread) { return std::sqrt(spread.sample_deviation() * spread.sample_deviation() + 1e-8); });
}

// OpenRLHF's: sqrt(max(variance, 1e-8)), with n in the variance.
inline void standardize(std::span<float> advantages) {
  normalize(advantages, [](const Spread &spread) { return std::sqrt(std::max(spread.deviation * spread.deviation, 1e-8)); });
}

}  // namespace hone
