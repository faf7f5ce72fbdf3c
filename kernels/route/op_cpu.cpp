// route on a CPU; the choice takes the best of what is left, k times: E and k are small. Formulas in op.h.
#include "kernels/route/op.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace hone::kernels::HONE_ISA {
namespace {

constexpr uint32_t kSoftmax = 1;  // HONE_GATE_SOFTMAX of hone/draft/tape.h
constexpr uint32_t kLargest = 1;  // HONE_GROUP_LARGEST

// The index of the largest of n, the lowest on ties; taken ones are -infinity, so are NaN. n when nothing is left.
HONE_INLINE uint32_t best(const float *x, const uint8_t *taken, uint32_t n) {
  uint32_t at = n;
  for (uint32_t i = 0; i < n; ++i)
    if (!taken[i] && (at == n || x[i] > x[at])) at = i;
  return at;
}

void gate(const hone_route_args &a, const float *logits, float *scores) {
  if (a.gate != kSoftmax) {
    each_block(0, a.E, [&](uint64_t i, uint32_t lanes) { store_block(scores + i, lanes, sigmoid(load_block(logits + i, lanes))); });
    return;
  }
  const float none = -__builtin_inff();
  F16 top = broadcast(none), total = zero();
  each_block(0, a.E, [&](uint64_t i, uint32_t lanes) { top = larger(load_first(logits + i, lanes, none), top); });
  const F16 shift = broadcast(largest(top));
  each_block(0, a.E, [&](uint64_t i, uint32_t lanes) {
    const F16 p = first(lanes, exp(load_block(logits + i, lanes) - shift), zero());
    total = total + p;
    store_block(scores + i, lanes, p);
  });
  const F16 inverse = broadcast(1.0f / sum(total));
  each_block(0, a.E, [&](uint64_t i, uint32_t lanes) { store_block(scores + i, lanes, load_block(scores + i, lanes) * inverse); });
}

void route(hone_stream *stream, const hone_route_args *args, const float *logits, const float *bias, float *scores, int32_t *index,
           float *weight) {
  const hone_route_args a = *args;
  const uint32_t size = a.E / a.groups;
  parallel(stream, a.T, a.E * (2.0 + a.k), [&](uint64_t begin, uint64_t end) {
    float *biased = scratch_floats(kScratchA, a.E + a.groups), *group = biased + a.E;
    uint8_t *taken = static_cast<uint8_t *>(scratch(kScratchB, a.E + a.groups)), *kept = taken + a.E;
    for (uint64_t t = begin; t < end; ++t) {
      float *s = scores + t * a.E;
      gate(a, logits + t * a.E, s);
      for (uint32_t e = 0; e < a.E; ++e) {
        const float b = s[e] + (bias ? bias[e] : 0.0f);
        biased[e] = b == b ? b : -__builtin_inff();
        taken[e] = 0;
      }
      if (a.groups > 1) {
        for (uint32_t g = 0; g < a.groups; ++g) {
          float top = -__builtin_inff(), second = top;
          for (uint32_t e = g * size; e < (g + 1) * size; ++e) {
            if (biased[e] > top)
              second = top, top = biased[e];
            else if (biased[e] > second)
              second = biased[e];
          }
          group[g] = size > 1 && a.group_score != kLargest ? top + second : top;
          kept[g] = 0;
        }
        for (uint32_t i = 0; i < a.groups_kept; ++i) kept[best(group, kept, a.groups)] = 1;
        for (uint32_t e = 0; e < a.E; ++e) taken[e] = !kept[e / size];
      }
      float total = 0;
      for (uint32_t j = 0; j < a.k; ++j) {
        const uint32_t e = best(biased, taken, a.E);
        taken[e] = 1;
        index[t * a.k + j] = (int32_t)e;
        weight[t * a.k + j] = s[e];
        total += s[e];
      }
      for (uint32_t j = 0; j < a.k; ++j) {
        const float w = weight[t * a.k + j];
        weight[t * a.k + j] = (a.normalise ? w / (total + 1e-20f) : w) * a.scaling;
      }
    }
  });
}

// dlogits[t] += of the gate at scores s, given ds
HONE_INLINE void gate_backward(const hone_route_args &a, const float *s, const float *ds, float *dlogits) {
  float dot = 0;
  if (a.gate == kSoftmax)
    for (uint32_t e = 0; e < a.E; ++e) dot = fma(ds[e], s[e], dot);
  for (uint32_t e = 0; e < a.E; ++e)
    dlogits[e] += a.gate == kSoftmax ? s[e] * (ds[e] - dot) : ds[e] * (s[e] * (1.0f - s[e]));
}

void route_backward(hone_stream *stream, const hone_route_args *args, const float *scores, const int32_t *index, const float *,
                    const float *dweight, float *dlogits) {
  const hone_route_args a = *args;
  parallel(stream, a.T, a.E * 2.0, [&](uint64_t begin, uint64_t end) {
    float *ds = scratch_floats(kScratchA, a.E);
    for (uint64_t t = begin; t < end; ++t) {
      const float *s = scores + t * a.E, *dw = dweight + t * a.k;
      const int32_t *chosen = index + t * a.k;
      float total = 0, dot = 0;
      for (uint32_t j = 0; j < a.k; ++j) total += s[chosen[j]];
      const float inverse = 1.0f / (total + 1e-20f);
      for (uint32_t j = 0; j < a.k; ++j) dot = fma(dw[j], s[chosen[j]] * inverse, dot);
      for (uint32_t e = 0; e < a.E; ++e) ds[e] = 0;
      for (uint32_t j = 0; j < a.k; ++j) ds[chosen[j]] = (a.normalise ? (dw[j] - dot) * inverse : dw[j]) * a.scaling;
      gate_backward(a, s, ds, dlogits + t * a.E);
    }
  });
}

void sequence_balance(hone_stream *, const hone_route_args *args, uint32_t R, const uint32_t *row_start, const float *scores,
                      const int32_t *index, float alpha, float dloss, double *loss, float *dlogits) {
  const hone_route_args a = *args;
  double *share = static_cast<double *>(scratch(kScratchA, a.E * 2 * sizeof(double))), *slope = share + a.E;
  float *ds = scratch_floats(kScratchB, a.E);
  for (uint32_t r = 0; r < R; ++r) {
    const uint64_t from = row_start[r], to = row_start[r + 1];
    if (from == to) continue;
    const double T = (double)(to - from);
    for (uint32_t e = 0; e < a.E; ++e) share[e] = slope[e] = 0;
    for (uint64_t t = from; t < to; ++t) {
      double total = 0;
      for (uint32_t e = 0; e < a.E; ++e) total += scores[t * a.E + e];
      for (uint32_t e = 0; e < a.E; ++e) share[e] += scores[t * a.E + e] / total;
      for (uint32_t j = 0; j < a.k; ++j) slope[index[t * a.k + j]] += 1;
    }
    double balance = 0;
    for (uint32_t e = 0; e < a.E; ++e) {
      slope[e] *= a.E / (a.k * T);  // f_e
      balance += slope[e] * (share[e] / T);
    }
    if (loss) *loss += alpha * balance;
    if (!dlogits) continue;
    for (uint64_t t = from; t < to; ++t) {
      const float *s = scores + t * a.E;
      double total = 0, mean = 0;
      for (uint32_t e = 0; e < a.E; ++e) total += s[e];
      for (uint32_t e = 0; e < a.E; ++e) mean += slope[e] * (s[e] / total);
      for (uint32_t e = 0; e < a.E; ++e) ds[e] = (float)((double)dloss * alpha / T * (slope[e] - mean) / total);
      gate_backward(a, s, ds, dlogits + t * a.E);
    }
  }
}

}  // namespace

void fill_route(hone_kernels &set) {
  set.route = route;
  set.route_backward = route_backward;
  set.sequence_balance = sequence_balance;
}

}  // namespace hone::kernels::HONE_ISA
