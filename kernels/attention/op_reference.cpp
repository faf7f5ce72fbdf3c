// attention in double, one query at a time; lse may be null.
#include "kernels/attention/op.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hone::reference {

void attention(uint32_t R, const uint32_t *row_start, const uint32_t *prefix, uint32_t H, uint32_t G, uint32_t Dk,
               uint32_t Dv, double scale, const double *q, const double *k, const double *v, double *y, double *lse) {
  for (uint32_t r = 0; r < R; ++r)
    for (size_t t = row_start[r]; t < row_start[r + 1]; ++t) {
      std::vector<size_t> seen;  // the tokens whose keys the query looks at
      if (prefix && prefix[r] != r)
        for (size_t j = row_start[prefix[r]]; j < row_start[prefix[r] + 1]; ++j) seen.push_back(j);
      for (size_t j = row_start[r]; j <= t; ++j) seen.push_back(j);
      for (size_t h = 0; h < H; ++h) {
        const size_t g = h / (H / G);
        std::vector<double> s;
        for (const size_t j : seen) {
          double dot = 0;
          for (size_t d = 0; d < Dk; ++d) dot += q[(t * H + h) * Dk + d] * k[(j * G + g) * Dk + d];
          s.push_back(dot * scale);
        }
        const double highest = *std::max_element(s.begin(), s.end());
        double total = 0;
        for (double &score : s) total += score = std::exp(score - highest);
        for (size_t d = 0; d < Dv; ++d) {
          double value = 0;
          for (size_t j = 0; j < s.size(); ++j) value += s[j] / total * v[(seen[j] * G + g) * Dv + d];
          y[(t * H + h) * Dv + d] = value;
        }
        if (lse) lse[t * H + h] = highest + std::log(total);
      }
    }
}

}  // namespace hone::reference
