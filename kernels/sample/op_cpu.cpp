// sample on a CPU: the softmax row of logprob, radix selection for the filters, one pass to pick. Rules in op.h.
#include "kernels/sample/op.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/softmax_row.h"

namespace hone::kernels::HONE_ISA {
namespace {

// A key that orders as the float does; NaN, whichever its sign, below all.
HONE_INLINE uint32_t ordered_key(float x) {
  if (x != x) return 0;
  uint32_t bits;
  x = x + 0.0f;  // -0 and +0 are ties
  __builtin_memcpy(&bits, &x, 4);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// What stays: keys above `key`, and the first `ties` of those equal to it.
struct Cut {
  uint32_t key;
  double above;  // the amount of what lies above
};

// The largest key at which the amount of keys >= it reaches goal; amount null: each counts 1. Keys beyond reach: all stay.
Cut find_cut(uint32_t V, const uint32_t *keys, const float *amount, double goal) {
  Cut cut = {0, 0};
  uint32_t mask = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    double bins[256] = {};
    for (uint32_t v = 0; v < V; ++v)
      if ((keys[v] & mask) == cut.key) bins[keys[v] >> shift & 255] += amount ? amount[v] : 1.0f;
    uint32_t b = 255;
    while (b > 0 && (cut.above + bins[b] < goal || cut.above + bins[b] == 0)) cut.above += bins[b--];
    cut.key |= b << shift;
    mask |= 255u << shift;
  }
  return cut;
}

void keep(uint32_t V, const uint32_t *keys, uint32_t key, double ties, float *weights) {
  for (uint32_t v = 0; v < V; ++v) {
    if (keys[v] > key) continue;
    if (keys[v] == key && ties > 0)
      ties -= 1;
    else
      weights[v] = 0;
  }
}

int32_t largest_logit(uint32_t V, const float *logits) {
  uint32_t at = 0;
  for (uint32_t v = 1; v < V; ++v)
    if (logits[v] > logits[at] || (logits[at] != logits[at] && logits[v] == logits[v])) at = v;
  return logits[at] > kNothing ? (int32_t)at : 0;
}

int32_t pick(uint32_t V, const float *logits, const hone_sample_args &args, float inverse, const SoftmaxRow &row, float uniform) {
  float *weights = scratch_floats(kScratchA, V);
  const F16 factor = broadcast(inverse), shift = broadcast(row.highest);
  each_block(0, V, [&](uint64_t i, uint32_t lanes) {
    store_block(weights + i, lanes, larger(exp(load_block(logits + i, lanes) * factor - shift), zero()));
  });
  if (args.top_k > 0 && args.top_k < V) {
    uint32_t *keys = static_cast<uint32_t *>(scratch(kScratchB, V * sizeof(uint32_t)));
    for (uint32_t v = 0; v < V; ++v) keys[v] = ordered_key(logits[v]);
    const Cut cut = find_cut(V, keys, nullptr, args.top_k);
    keep(V, keys, cut.key, args.top_k - cut.above, weights);
  }
  if (args.top_p < 1) {
    uint32_t *keys = static_cast<uint32_t *>(scratch(kScratchB, V * sizeof(uint32_t)));
    __builtin_memcpy(keys, weights, V * sizeof(float));
    double total = 0;
    for (uint32_t v = 0; v < V; ++v) total += weights[v];
    const Cut cut = find_cut(V, keys, weights, args.top_p * total);
    float each;
    __builtin_memcpy(&each, &cut.key, 4);
    const double ties = each > 0 ? (args.top_p * total - cut.above) / each : 0;
    keep(V, keys, cut.key, ties > 0 ? ties : 1, weights);  // a started tie is kept: `keep` counts down through 0
  }
  double total = 0;
  for (uint32_t v = 0; v < V; ++v) {
    if (weights[v] < args.min_p) weights[v] = 0;
    total += weights[v];
  }
  const double goal = uniform * total;
  double running = 0;
  int32_t last = -1;
  for (uint32_t v = 0; v < V; ++v) {
    if (weights[v] == 0) continue;
    last = (int32_t)v;
    running += weights[v];
    if (running > goal) break;
  }
  return last >= 0 ? last : largest_logit(V, logits);
}

void sample(hone_stream *stream, uint32_t R, uint32_t V, const float *logits, const hone_sample_args *args, const float *uniform,
            int32_t *token, float *logp) {
  const hone_sample_args a = *args;
  const bool greedy = !(a.temperature > 0);
  const float inverse = greedy ? 1.0f : 1.0f / a.temperature;
  parallel(stream, R, panels(V) * 30.0 + 50, [&](uint64_t begin, uint64_t end) {
    for (uint64_t r = begin; r < end; ++r) {
      const float *x = logits + r * V;
      const SoftmaxRow row = softmax_row(V, x, inverse);
      token[r] = greedy ? largest_logit(V, x) : pick(V, x, a, inverse, row, uniform[r]);
      if (logp) logp[r] = logp_of(row, x[token[r]], inverse);
    }
  });
}

}  // namespace

void fill_sample(hone_kernels &set) { set.sample = sample; }

}  // namespace hone::kernels::HONE_ISA
