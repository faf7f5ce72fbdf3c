// route in double, by sorting; bias may be null.
#include "kernels/route/op.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hone::reference {

void route(const hone_route_args &a, const double *logits, const double *bias, double *scores, int32_t *index, double *weight) {
  const uint32_t size = a.E / a.groups;
  for (uint32_t t = 0; t < a.T; ++t) {
    const double *x = logits + size_t(t) * a.E;
    double *s = scores + size_t(t) * a.E;
    const double highest = *std::max_element(x, x + a.E);
    double total = 0;
    for (uint32_t e = 0; e < a.E; ++e) total += std::exp(x[e] - highest);
    for (uint32_t e = 0; e < a.E; ++e) s[e] = a.gate ? std::exp(x[e] - highest) / total : 1 / (1 + std::exp(-x[e]));
    std::vector<double> biased(s, s + a.E);
    for (uint32_t e = 0; e < a.E; ++e) biased[e] += bias ? bias[e] : 0;
    std::vector<std::pair<double, uint32_t>> groups;  // (-value, group): sorts by falling value, then by index
    for (uint32_t g = 0; g < a.groups; ++g) {
      std::vector<double> in(biased.begin() + g * size, biased.begin() + (g + 1) * size);
      std::sort(in.rbegin(), in.rend());
      groups.push_back({-(in[0] + (size > 1 && a.group_score == 0 ? in[1] : 0)), g});
    }
    std::sort(groups.begin(), groups.end());
    std::vector<std::pair<double, uint32_t>> experts;
    for (uint32_t i = 0; i < a.groups_kept; ++i)
      for (uint32_t e = groups[i].second * size; e < (groups[i].second + 1) * size; ++e) experts.push_back({-biased[e], e});
    std::sort(experts.begin(), experts.end());
    double chosen = 0;
    for (uint32_t j = 0; j < a.k; ++j) chosen += s[experts[j].second];
    for (uint32_t j = 0; j < a.k; ++j) {
      index[size_t(t) * a.k + j] = int32_t(experts[j].second);
      weight[size_t(t) * a.k + j] = s[experts[j].second] / (a.normalise ? chosen + 1e-20 : 1.0) * a.scaling;
    }
  }
}

double sequence_balance(const hone_route_args &a, uint32_t R, const uint32_t *row_start, const double *scores,
                        const int32_t *index, double alpha) {
  double loss = 0;
  for (uint32_t r = 0; r < R; ++r) {
    const double T = row_start[r + 1] - row_start[r];
    for (uint32_t e = 0; e < a.E; ++e) {
      double count = 0, share = 0;
      for (size_t t = row_start[r]; t < row_start[r + 1]; ++t) {
        for (uint32_t j = 0; j < a.k; ++j) count += index[t * a.k + j] == int32_t(e);
        share += scores[t * a.E + e] / std::accumulate(scores + t * a.E, scores + (t + 1) * a.E, 0.0);
      }
      if (T > 0) loss += alpha * (a.E / (a.k * T) * count) * (share / T);
    }
  }
  return loss;
}

}  // namespace hone::reference
