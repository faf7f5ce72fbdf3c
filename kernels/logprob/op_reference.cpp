// logprob, entropy and KL in double.
#include "kernels/logprob/op.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hone::reference {
namespace {

std::vector<double> log_softmax(uint32_t V, const double *logits, double temperature) {
  std::vector<double> z(logits, logits + V);
  for (double &value : z) value /= temperature;
  const double highest = *std::max_element(z.begin(), z.end());
  double total = 0;
  for (double value : z) total += std::exp(value - highest);
  for (double &value : z) value -= highest + std::log(total);
  return z;
}

}  // namespace

void logprob(uint32_t T, uint32_t V, const double *logits, double temperature, const int32_t *target, double *logp,
             double *entropy) {
  for (size_t t = 0; t < T; ++t) {
    const auto log_p = log_softmax(V, logits + t * V, temperature);
    logp[t] = log_p[target[t]];
    if (!entropy) continue;
    entropy[t] = 0;
    for (double l : log_p) entropy[t] -= std::exp(l) * l;
  }
}

void kl(uint32_t T, uint32_t V, const double *logits, const double *reference, double temperature, double *kl) {
  for (size_t t = 0; t < T; ++t) {
    const auto p = log_softmax(V, logits + t * V, temperature), q = log_softmax(V, reference + t * V, temperature);
    kl[t] = 0;
    for (uint32_t v = 0; v < V; ++v) kl[t] += std::exp(p[v]) * (p[v] - q[v]);
  }
}

}  // namespace hone::reference
