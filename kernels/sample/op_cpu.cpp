// sample on a CPU: the softmax row of logprob, candidates for the filters, radix selection among them. Rules in op.h.
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

// The first of the largest logits that are numbers; 0 when none is more than -infinity.
int32_t largest_logit(uint32_t V, const float *logits) {
  F16 top = broadcast(kNothing);
  each_block(0, V, [&](uint64_t i, uint32_t lanes) {
    const F16 z = load_block(logits + i, lanes);
    top = larger(lanes < 16 ? first(lanes, z, broadcast(kNothing)) : z, top);
  });
  const float highest = largest(top);
  for (uint32_t v = 0; highest > kNothing && v < V; v += 16) {
    const uint32_t lanes = least(16u, V - v);
    if (!any_at_least(load_block(logits + v, lanes), broadcast(highest))) continue;
    for (uint32_t j = v; j < v + lanes; ++j)
      if (logits[j] == highest) return (int32_t)j;
  }
  return 0;
}

constexpr uint32_t kChunk = 1024;  // ids whose weights are summed by lanes

// sums[c]: of chunk c of the weights. Returns their total; of one chunk, in double as it is searched.
double sum_chunks(uint32_t V, const float *weights, float *sums) {
  double total = 0;
  if (V <= kChunk) {
    for (uint32_t v = 0; v < V; ++v) total += weights[v];
    sums[0] = (float)total;
    return total;
  }
  for (uint32_t begin = 0; begin < V; begin += kChunk) {
    F16 lanes_of_chunk = zero();
    each_block(begin, least(V, begin + kChunk), [&](uint64_t i, uint32_t lanes) {
      lanes_of_chunk = lanes_of_chunk + load_block(weights + i, lanes);
    });
    sums[begin / kChunk] = sum(lanes_of_chunk);
    total += sums[begin / kChunk];
  }
  return total;
}

// The ids that the filters may keep, in order, and afterwards those that they do.
struct Candidates {
  uint32_t n;
  uint32_t *ids, *keys;
  float *weights;

  // Only the candidates whose place `stays` takes.
  template <class Stays>
  void filter(const Stays &stays) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; ++i)
      if (stays(i)) ids[kept] = ids[i], keys[kept] = keys[i], weights[kept++] = weights[i];
    n = kept;
  }
  // Keys above the cut's, and the first `ties` of those equal to it.
  void keep(uint32_t key, double ties) {
    filter([&](uint32_t i) { return keys[i] > key || (keys[i] == key && ties > 0 && (ties -= 1, true)); });
  }
};

// Those of x that are at least `bound` (every one, if it is NaN).
Candidates candidates(uint32_t V, const float *x, float bound, const float *weights) {
  uint32_t *room = static_cast<uint32_t *>(scratch(kScratchB, 3ull * V * sizeof(uint32_t)));
  Candidates c = {0, room, room + V, reinterpret_cast<float *>(room + 2ull * V)};
  const F16 least_value = broadcast(bound);
  each_block(0, V, [&](uint64_t i, uint32_t lanes) {
    if (lanes == 16 && !any_at_least(load(x + i), least_value)) return;
    for (uint32_t j = 0; j < lanes; ++j)
      if (!(x[i + j] < bound)) c.ids[c.n] = (uint32_t)i + j, c.weights[c.n++] = weights[i + j];
  });
  return c;
}

// No more than the k-th largest logit: the k-th largest of what the largest are of blocks; -infinity when there are too few.
float bound_of_top_k(uint32_t V, const float *logits, uint32_t k) {
  if (V / 16 < k) return kNothing;
  float *largest_of = scratch_floats(kScratchC, V / 16);
  uint32_t *keys = static_cast<uint32_t *>(scratch(kScratchD, V / 16 * sizeof(uint32_t)));
  for (uint32_t b = 0; b < V / 16; ++b) {
    largest_of[b] = largest(larger(load(logits + b * 16), broadcast(kNothing)));
    keys[b] = ordered_key(largest_of[b]);
  }
  const uint32_t key = find_cut(V / 16, keys, nullptr, k).key;
  for (uint32_t b = 0; b < V / 16; ++b)
    if (keys[b] == key) return largest_of[b];
  return kNothing;
}

// -1: the filters leave nothing of positive weight.
int32_t pick_filtered(uint32_t V, const float *logits, const hone_sample_args &args, const float *weights, double total, float uniform) {
  const bool by_k = args.top_k > 0 && args.top_k < V;
  // Weights below the last bound sum to less than what top_p leaves out.
  const float bound = by_k ? bound_of_top_k(V, logits, args.top_k) : args.top_p < 1 ? (float)((1 - args.top_p) * total / V * 0.99) : args.min_p;
  Candidates c = candidates(V, by_k ? logits : weights, bound, weights);
  if (by_k) {
    for (uint32_t i = 0; i < c.n; ++i) c.keys[i] = ordered_key(logits[c.ids[i]]);
    const Cut cut = find_cut(c.n, c.keys, nullptr, args.top_k);
    c.keep(cut.key, args.top_k - cut.above);
    total = 0;
    for (uint32_t i = 0; i < c.n; ++i) total += c.weights[i];
  }
  if (args.top_p < 1) {
    __builtin_memcpy(c.keys, c.weights, c.n * sizeof(float));
    const Cut cut = find_cut(c.n, c.keys, c.weights, args.top_p * total);
    float each;
    __builtin_memcpy(&each, &cut.key, 4);
    const double ties = each > 0 ? (args.top_p * total - cut.above) / each : 0;
    c.keep(cut.key, ties > 0 ? ties : 1);  // a started tie is kept: `keep` counts down through 0
  }
  if (args.min_p > 0) c.filter([&](uint32_t i) { return c.weights[i] >= args.min_p; });
  double left = 0, running = 0;
  for (uint32_t i = 0; i < c.n; ++i) left += c.weights[i];
  int32_t last = -1;
  for (uint32_t i = 0; i < c.n; ++i) {
    if (c.weights[i] == 0) continue;
    last = (int32_t)c.ids[i];
    if ((running += c.weights[i]) > uniform * left) break;
  }
  return last;
}

// The first id at which the running sum exceeds goal, or the last of positive weight; -1: none has one.
int32_t pick_of_all(uint32_t V, const float *weights, const float *sums, double goal) {
  double running = 0;
  uint32_t begin = 0, last_begin = 0;
  bool any = false;
  for (; begin < V; running += sums[begin / kChunk], begin += kChunk) {
    if (!(sums[begin / kChunk] > 0)) continue;
    any = true, last_begin = begin;
    if (V <= kChunk || running + sums[begin / kChunk] > goal) break;
  }
  if (!any) return -1;
  if (begin >= V) begin = last_begin, goal = __builtin_inf();
  int32_t last = -1;
  for (uint32_t v = begin; v < least(V, begin + kChunk); ++v) {
    if (weights[v] == 0) continue;
    last = (int32_t)v;
    if ((running += weights[v]) > goal) break;
  }
  return last;
}

int32_t pick(uint32_t V, const float *logits, const hone_sample_args &args, const float *weights, float uniform) {
  float *sums = scratch_floats(kScratchE, V / kChunk + 1);
  const double total = sum_chunks(V, weights, sums);
  const bool filtered = (args.top_k > 0 && args.top_k < V) || args.top_p < 1 || args.min_p > 0;
  const int32_t picked =
      filtered ? pick_filtered(V, logits, args, weights, total, uniform) : pick_of_all(V, weights, sums, uniform * total);
  return picked >= 0 ? picked : largest_logit(V, logits);
}

void sample(hone_stream *stream, uint32_t R, uint32_t V, const float *logits, const hone_sample_args *args, const float *uniform,
            int32_t *token, float *logp) {
  const hone_sample_args a = *args;
  const bool greedy = !(a.temperature > 0);
  const float inverse = greedy ? 1.0f : 1.0f / a.temperature;
  parallel(stream, R, panels(V) * 30.0 + 50, [&](uint64_t begin, uint64_t end) {
    for (uint64_t r = begin; r < end; ++r) {
      const float *x = logits + r * V;
      float *weights = greedy ? nullptr : scratch_floats(kScratchA, V);
      const SoftmaxRow row = softmax_row(V, x, inverse, weights);
      token[r] = greedy ? largest_logit(V, x) : pick(V, x, a, weights, uniform[r]);
      if (logp) logp[r] = logp_of(row, x[token[r]], inverse);
    }
  });
}

}  // namespace

void fill_sample(hone_kernels &set) { set.sample = sample; }

}  // namespace hone::kernels::HONE_ISA
