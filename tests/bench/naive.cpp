// naive.cpp -- the loops of naive.h.
#include "tests/bench/naive.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hone::naive {
namespace {

// p over keys 0 .. n-1, ld numbers apart.
void weigh(uint32_t n, uint32_t D, double scale, const double *q, const double *k, size_t ld, double *p) {
  double highest = -INFINITY, total = 0;
  for (uint32_t j = 0; j < n; ++j) {
    double dot = 0;
    for (uint32_t d = 0; d < D; ++d) dot += q[d] * k[j * ld + d];
    p[j] = dot * scale;
    highest = std::max(highest, p[j]);
  }
  for (uint32_t j = 0; j < n; ++j) total += p[j] = std::exp(p[j] - highest);
  for (uint32_t j = 0; j < n; ++j) p[j] /= total;
}

}  // namespace

void attention_backward(uint32_t T, uint32_t H, uint32_t G, uint32_t D, double scale, const double *q, const double *k, const double *v,
                        const double *dy, double *dq, double *dk, double *dv) {
  std::vector<double> p(T), dp(T);
  for (size_t t = 0; t < T; ++t)
    for (size_t h = 0; h < H; ++h) {
      const size_t own = (t * H + h) * D, head = h / (H / G) * D, ld = size_t{G} * D;
      weigh(static_cast<uint32_t>(t) + 1, D, scale, q + own, k + head, ld, p.data());
      double delta = 0;
      for (size_t j = 0; j <= t; ++j) {
        dp[j] = 0;
        for (size_t d = 0; d < D; ++d) dp[j] += dy[own + d] * v[j * ld + head + d];
        delta += p[j] * dp[j];
      }
      for (size_t j = 0; j <= t; ++j) {
        const double ds = p[j] * (dp[j] - delta) * scale;
        for (size_t d = 0; d < D; ++d) {
          dq[own + d] += ds * k[j * ld + head + d];
          dk[j * ld + head + d] += ds * q[own + d];
          dv[j * ld + head + d] += p[j] * dy[own + d];
        }
      }
    }
}

void attention_of_one(uint32_t R, uint32_t keys, uint32_t H, uint32_t G, uint32_t D, double scale, const double *q, const double *k,
                      const double *v, double *y) {
  std::vector<double> p(keys);
  for (size_t r = 0; r < R; ++r)
    for (size_t h = 0; h < H; ++h) {
      const size_t own = (r * H + h) * D, ld = size_t{G} * D, at = r * keys * ld + h / (H / G) * D;
      weigh(keys, D, scale, q + own, k + at, ld, p.data());
      for (size_t d = 0; d < D; ++d) {
        y[own + d] = 0;
        for (size_t j = 0; j < keys; ++j) y[own + d] += p[j] * v[at + j * ld + d];
      }
    }
}

void rms_norm_backward(uint64_t n, uint32_t width, const double *x, const double *weight, const double *inverse, const double *dy,
                       double *dx, double *dweight) {
  for (uint64_t i = 0; i < n; ++i, x += width, dy += width, dx += width) {
    double dot = 0;
    for (uint32_t c = 0; c < width; ++c) dot += dy[c] * weight[c] * x[c] * inverse[i];
    for (uint32_t c = 0; c < width; ++c) {
      const double z = x[c] * inverse[i];
      dx[c] += inverse[i] * (dy[c] * weight[c] - z * dot / width);
      dweight[c] += dy[c] * z;
    }
  }
}

void swiglu_backward(uint64_t n, const double *gate, const double *up, const double *dy, double *dgate, double *dup) {
  for (uint64_t i = 0; i < n; ++i) {
    const double s = 1 / (1 + std::exp(-gate[i]));
    dgate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
    dup[i] = dy[i] * gate[i] * s;
  }
}

void logprob_backward(uint32_t T, uint32_t V, double *logits, const int32_t *target, const double *lse, const double *dlogp) {
  for (size_t t = 0; t < T; ++t, logits += V)
    for (uint32_t v = 0; v < V; ++v) logits[v] = dlogp[t] * ((static_cast<int32_t>(v) == target[t]) - std::exp(logits[v] - lse[t]));
}

void kl_backward(uint32_t T, uint32_t V, const double *logits, const double *reference, const double *lse, const double *reference_lse,
                 const double *kl, const double *dkl, double *dlogits) {
  for (size_t t = 0; t < T; ++t)
    for (size_t i = t * V; i < (t + 1) * V; ++i) {
      const double log_p = logits[i] - lse[t], log_q = reference[i] - reference_lse[t];
      dlogits[i] += dkl[t] * std::exp(log_p) * (log_p - log_q - kl[t]);
    }
}

void sample(uint32_t R, uint32_t V, const double *logits, const double *uniform, int32_t *token, double *logp) {
  std::vector<double> weight(V);
  for (size_t r = 0; r < R; ++r, logits += V) {
    const double highest = *std::max_element(logits, logits + V);
    double total = 0, running = 0;
    for (uint32_t v = 0; v < V; ++v) total += weight[v] = std::exp(logits[v] - highest);
    uint32_t v = 0;
    while (v + 1 < V && (running += weight[v]) <= uniform[r] * total) ++v;
    token[r] = static_cast<int32_t>(v);
    logp[r] = logits[v] - highest - std::log(total);
  }
}

void route_backward(const hone_route_args &a, const double *scores, const int32_t *index, const double *dweight, double *dlogits) {
  std::vector<double> ds(a.E);
  for (size_t t = 0; t < a.T; ++t) {
    const double *s = scores + t * a.E;
    double dot = 0;
    std::fill(ds.begin(), ds.end(), 0.0);
    for (size_t j = t * a.k; j < (t + 1) * a.k; ++j) ds[static_cast<size_t>(index[j])] = dweight[j] * static_cast<double>(a.scaling);
    for (uint32_t e = 0; e < a.E; ++e) dot += ds[e] * s[e];
    for (uint32_t e = 0; e < a.E; ++e) dlogits[t * a.E + e] += s[e] * (ds[e] - dot);
  }
}

void adamw(uint64_t n, double keep, double step, double root, const double *gradient, double *parameter, double *mean, double *square) {
  for (uint64_t i = 0; i < n; ++i) {
    const double g = gradient[i];
    mean[i] += 0.1 * (g - mean[i]);
    square[i] = 0.999 * square[i] + 0.001 * g * g;
    parameter[i] = keep * parameter[i] - step * mean[i] / (std::sqrt(square[i]) / root + 1e-8);
  }
}

}  // namespace hone::naive
