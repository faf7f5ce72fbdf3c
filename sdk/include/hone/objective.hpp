// objective.hpp -- write an objective as two functions over packed tokens.
#pragma once

#include <algorithm>
#include <cmath>

#include "hone/ext/objective.h"
#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

struct Row {
  uint32_t begin, end;  // its tokens
  float reward;
  uint32_t index = 0;  // into the batch's columns of one value per row: batch->label[row.index]
  uint32_t size() const { return end - begin; }
};

// Mean and deviation of some values. The deviation is of the population, and exactly 0 when all are equal.
struct Spread {
  double mean = 0, deviation = 0;
  size_t n = 0;
  // With n - 1 in place of n, as PyTorch's std(); exactly 0 when all are equal, and for one value.
  double sample_deviation() const {
    return n < 2 ? 0 : deviation * std::sqrt(static_cast<double>(n) / static_cast<double>(n - 1));
  }
};

struct Group {
  std::span<const Row> rows;
  double mean, deviation;  // of the rows' rewards (population); deviation is exactly 0 when all are equal
  double sample_deviation() const { return Spread{mean, deviation, rows.size()}.sample_deviation(); }
};

struct Pair {
  const Row &chosen, &rejected;
};

// Whether the least and the most of some rewards differ by rounding only. Rounding must not invent a spread where there is none:
// rewards are floats, often sums of weighted ones.
inline bool same_rewards(double least, double most) {
  return most - least <= 1e-6 * std::max(std::fabs(least), std::fabs(most));
}

inline Spread spread_of(std::span<const double> values) {
  if (values.empty()) return {};
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const double n = static_cast<double>(values.size());
  if (same_rewards(*least, *most)) return {values.front(), 0, values.size()};
  double mean = 0, variance = 0;
  for (const double value : values) mean += value / n;
  for (const double value : values) variance += (value - mean) * (value - mean) / n;
  return {mean, std::sqrt(variance), values.size()};
}

// hone_batch with its rows and groups ready to loop over; batch->logp and the other columns are the raw ones.
class Batch {
 public:
  explicit Batch(const hone_batch &raw) : raw_(detail::known(raw)) {
    rows_.reserve(raw_.n_rows);
    for (uint32_t i = 0; i < raw_.n_rows; ++i)
      rows_.push_back({raw_.row_start[i], raw_.row_start[i + 1], raw_.reward ? raw_.reward[i] : 0, i});
    for (uint32_t i = 0, end; i < raw_.n_rows; i = end) {
      for (end = i + 1; end < raw_.n_rows && raw_.group[end] == raw_.group[i];) ++end;
      groups_.push_back(summarize({&rows_[i], end - i}));
    }
  }
  Batch(const Batch &) = delete;
  std::span<const Row> rows() const { return rows_; }
  std::span<const Group> groups() const { return groups_; }
  const hone_batch *operator->() const { return &raw_; }

  // Of HONE_PAIRS: the chosen and the rejected row of each group. Error when a group is not such a pair.
  std::vector<Pair> pairs() const {
    std::vector<Pair> out;
    out.reserve(groups_.size());
    for (const Group &group : groups_) {
      if (group.rows.size() != 2 || !raw_.chosen || !raw_.chosen[group.rows[0].index] == !raw_.chosen[group.rows[1].index])
        throw Error("a pair needs one chosen and one rejected row, got a group of " + std::to_string(group.rows.size()) + " rows");
      const bool first = raw_.chosen[group.rows[0].index];
      out.push_back({group.rows[first ? 0 : 1], group.rows[first ? 1 : 0]});
    }
    return out;
  }

 private:
  static Group summarize(std::span<const Row> rows) {
    std::vector<double> rewards;
    for (const Row &row : rows) rewards.push_back(row.reward);
    const Spread spread = spread_of(rewards);
    return {rows, spread.mean, spread.deviation};
  }

  const hone_batch raw_;
  std::vector<Row> rows_;
  std::vector<Group> groups_;
};

// -log(sigmoid(x)) without overflow, and its derivative.
struct LogisticLoss {
  double value, slope;
};
inline LogisticLoss logistic_loss(double x) {
  const double e = std::exp(-std::fabs(x));
  return {std::log1p(e) + (x < 0 ? -x : 0), x < 0 ? -1 / (1 + e) : -e / (1 + e)};
}

class Objective {
 public:
  using Interface = Objective;
  static constexpr const char *kind = HONE_OBJECTIVE;

  virtual ~Objective() = default;
  virtual uint32_t source() const { return HONE_ON_POLICY; }
  virtual uint64_t needs() const { return 0; }
  // Fills out.advantage (zeroed before), over every row of the step.
  virtual void advantages(const Batch &, hone_advantages &) {}
  // The micro-batch's share of the step's loss; fills out.dlogp (zeroed before) and what else was asked for. batch->all_rows,
  // all_tokens, all_groups and all_weight are the whole step's: average over those.
  virtual double loss(const Batch &batch, hone_loss &out) = 0;

  // advantages is null for a class that does not override it: the host then needs no numbers before the first loss().
  template <class T>
  static const hone_objective &methods_for() {
    static const hone_objective m = [] {
      hone_objective all = methods();
      if constexpr (requires { &T::advantages; })
        if constexpr (std::is_same_v<decltype(&T::advantages), decltype(&Objective::advantages)>) all.advantages = nullptr;
      return all;
    }();
    return m;
  }

  static const hone_objective &methods() {
    static const hone_objective m{
        sizeof(hone_objective), [](void *self) { return static_cast<const Objective *>(self)->source(); },
        [](void *self) { return static_cast<const Objective *>(self)->needs(); },
        [](void *self, const hone_batch *in, hone_advantages *out, hone_error *err) {
          return detail::guard(err, [&] {
            hone_advantages known = detail::known(*out);
            static_cast<Objective *>(self)->advantages(Batch(*in), known);
          });
        },
        [](void *self, const hone_batch *in, hone_loss *out, hone_error *err) {
          return detail::guard(err, [&] {
            hone_loss known = detail::known(*out);
            out->loss = static_cast<Objective *>(self)->loss(Batch(*in), known);
          });
        }};
    return m;
  }
};

}  // namespace hone
