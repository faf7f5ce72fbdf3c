// The filters of sample in double, by a full sort.
#include "kernels/sample/op.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hone::reference {

uint32_t kept_by_filters(uint32_t V, const double *logits, const hone_sample_args &args, int32_t *ids, double *weights) {
  std::vector<int32_t> order(V);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  std::vector<double> w(V);
  for (uint32_t v = 0; v < V; ++v) w[v] = std::exp((logits[v] - logits[order[0]]) / args.temperature);
  if (args.top_k > 0 && args.top_k < V) order.resize(args.top_k);
  if (args.top_p < 1) {
    double total = 0, running = 0;
    for (int32_t v : order) total += w[v];
    size_t n = 0;
    while (n < order.size() && (n == 0 || running < args.top_p * total)) running += w[order[n++]];
    order.resize(n);
  }
  std::sort(order.begin(), order.end());
  uint32_t n = 0;
  for (int32_t v : order)
    if (w[v] >= args.min_p) ids[n] = v, weights[n++] = w[v];
  return n;
}

}  // namespace hone::reference
