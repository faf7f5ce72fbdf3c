// attention on a CPU, packed and cached through one body: tiles of consecutive queries of one head against key blocks of 16.
// Formula, order and page layout in op.h.
#include "kernels/attention/op.h"

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

namespace hone::kernels::HONE_ISA {
namespace {

constexpr uint32_t kQueryTile = 24;  // of the backward pass

// Where one row's keys and values of one kv head are: block b of 16 keys, transposed, at blocks[b]; value j at
// runs[j / run][(j % run) * stride].
struct KeysAndValues {
  const float *const *blocks;
  const float *const *runs;
  uint32_t run;
  size_t stride;
};

// Keys [n] (ld apart) as keys first .. first + n of blocks [][D][16]; the last block's lanes without a key are 0.
void transpose(uint32_t first, uint32_t n, uint32_t D, const float *keys, size_t ld, float *to) {
  for (uint32_t j = first; j < first + n; ++j, keys += ld) {
    float *lane = to + (size_t)(j / 16) * D * 16 + j % 16;
    for (uint32_t d = 0; d < D; ++d) lane[d * 16] = keys[d];
  }
  for (uint32_t j = first + n; j % 16; ++j) {
    float *lane = to + (size_t)(j / 16) * D * 16 + j % 16;
    for (uint32_t d = 0; d < D; ++d) lane[d * 16] = 0;
  }
}

// A row of a packed call: its own tokens, and those of the row before it.
struct Row {
  uint32_t before, own;       // tokens
  size_t before_at, own_at;   // the first of each
};
Row row_of(const uint32_t *row_start, const uint32_t *prefix, uint32_t r) {
  const uint32_t p = prefix ? prefix[r] : r;
  return {p == r ? 0 : row_start[p + 1] - row_start[p], row_start[r + 1] - row_start[r], row_start[p], row_start[r]};
}

// Of both parts, x [T, G, D] at kv head g.
void transpose_row(const Row &row, uint32_t D, const float *x, size_t ld, float *to) {
  transpose(0, row.before, D, x + row.before_at * ld, ld, to);
  transpose(row.before, row.own, D, x + row.own_at * ld, ld, to);
}

// Queries and keys of a mean row, for the estimate of a call's work.
double queries_of(uint32_t R, const uint32_t *row_start) { return (double)(row_start[R] - row_start[0]) / R; }
double keys_of(uint32_t R, const uint32_t *row_start, const uint32_t *prefix) {
  double keys = 0;
  for (uint32_t r = 0; r < R; ++r) {
    const Row row = row_of(row_start, prefix, r);
    keys += row.before + row.own / 2;
  }
  return keys / R;
}

constexpr uint32_t kSpareBlocks = 7;  // that score() may write beyond the last

// scores[i, 16 b + lane] = q[i] . key, for blocks 0 .. n_blocks-1. A few queries take several blocks at once, to have
// chains enough to fill the pipeline; past the end they repeat the last block into the spare ones.
void score(uint32_t rows, uint32_t n_blocks, uint32_t D, const float *q, size_t ldq, const float *const *blocks, float *scores,
           size_t ld) {
  const uint32_t np = tile_panels(rows);
  for (uint32_t b = 0; b < n_blocks; b += np) {
    uint32_t width = np;
    while (width / 2 >= n_blocks - b) width /= 2;
    const float *columns[8];
    for (uint32_t j = 0; j < width; ++j) columns[j] = blocks[least(b + j, n_blocks - 1)];
    any_tile(rows, width, false, D, q, ldq, 1, columns, 16, scores + b * 16, ld, false, 16);
  }
}

// Turns the scores of `rows` queries, query i at position t + i * step, into p, not normalised. total and highest have 16.
void soften(uint32_t rows, uint32_t t, uint32_t step, float scale, float *scores, size_t ld, float *total, float *highest) {
  const F16 factor = broadcast(scale), nothing = broadcast(-__builtin_inff());
  for (uint32_t i = 0; i < rows; ++i) {
    const uint32_t at = t + i * step, last = at / 16;
    float *s = scores + i * ld;
    F16 top = nothing;
    for (uint32_t b = 0; b < last; ++b) top = larger(load(s + b * 16) * factor, top);
    top = larger(first(at % 16 + 1, load(s + last * 16) * factor, nothing), top);
    highest[i] = largest(top);
  }
  for (uint32_t i = 0; i < rows; ++i) {
    const uint32_t at = t + i * step, last = at / 16;
    const F16 shift = broadcast(highest[i]);
    float *s = scores + i * ld;
    F16 sums = zero();
    for (uint32_t b = 0; b < last; ++b) {
      const F16 p = exp(load(s + b * 16) * factor - shift);
      store(s + b * 16, p);
      sums = sums + p;
    }
    const F16 p = first(at % 16 + 1, exp(load(s + last * 16) * factor - shift), zero());
    store(s + last * 16, p);
    total[i] = sum(sums + p);
  }
}

// y[i] = chain over keys [0, to) of p[i, key] v[key]
HONE_INLINE void chain_values(uint32_t rows, uint32_t to, uint32_t Dv, const float *p, size_t ldp,
                            const KeysAndValues &kv, float *y, size_t ldy) {
  for (uint32_t from = 0; from < to;) {
    const uint32_t at = from % kv.run, n = least(to - from, kv.run - at);
    gemm(rows, Dv, n, p + from, ldp, 1, kv.runs[from / kv.run] + at * kv.stride, kv.stride, 16, y, ldy, from > 0);
    from += n;
  }
}

// y[i] += chain over keys t + 1 .. t + i of p[i, key] v[key], for rows i = 1 .. MR-1: what each query sees beyond the first's
// keys. values[j] is key t + 1 + j's; p begins at key t + 1.
template <uint32_t MR>
void add_own_values(const float *const *values, uint32_t Dv, const float *p, size_t ldp, float *y, size_t ldy) {
  each_block(0, Dv, [&](uint64_t d, uint32_t lanes) {
    F16 sum[MR];
#pragma GCC unroll 12
    for (uint32_t i = 1; i < MR; ++i) sum[i] = load_block(y + i * ldy + d, lanes);
#pragma GCC unroll 12
    for (uint32_t j = 0; j + 1 < MR; ++j) {
      const F16 v = load_block(values[j] + d, lanes);
#pragma GCC unroll 12
      for (uint32_t i = j + 1; i < MR; ++i) sum[i] = fma(broadcast(p[i * ldp + j]), v, sum[i]);
    }
#pragma GCC unroll 12
    for (uint32_t i = 1; i < MR; ++i) store_block(y + i * ldy + d, lanes, sum[i]);
  });
}

void add_own_values(uint32_t rows, const float *const *values, uint32_t Dv, const float *p, size_t ldp, float *y, size_t ldy) {
#define HONE_ROWS(n) \
  case n:            \
    if constexpr (n <= kTileRows) return add_own_values<n>(values, Dv, p, ldp, y, ldy);
  switch (rows) {
    HONE_ROWS(2) HONE_ROWS(3) HONE_ROWS(4) HONE_ROWS(5) HONE_ROWS(6) HONE_ROWS(7) HONE_ROWS(8) HONE_ROWS(9) HONE_ROWS(10)
    HONE_ROWS(11) HONE_ROWS(12)
  }
#undef HONE_ROWS
}

// The same chain for N heads at once, each over its own keys 0 .. t: alone, one head would wait for its own last addition.
template <uint32_t N>
void chain_heads(uint32_t t, uint32_t Dv, const float *p, size_t ldp, const KeysAndValues *const *kv, float *y, size_t ldy) {
  each_block(0, Dv, [&](uint64_t d, uint32_t lanes) {
    F16 total[N];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < N; ++i) total[i] = zero();
    const uint32_t run = kv[0]->run;
    const size_t stride = kv[0]->stride;
    for (uint32_t from = 0; from <= t; from += run) {
      const uint32_t n = least(run, t + 1 - from);
      const float *value[N], *weight[N];
#pragma GCC unroll 4
      for (uint32_t i = 0; i < N; ++i) value[i] = kv[i]->runs[from / run] + d, weight[i] = p + i * ldp + from;
      for (uint32_t j = 0; j < n; ++j) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < N; ++i) {
          total[i] = fma(broadcast(weight[i][j]), load_block(value[i], lanes), total[i]);
          value[i] += stride;
        }
      }
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < N; ++i) store_block(y + i * ldy + d, lanes, total[i]);
  });
}

// The same for N heads over the same keys and values, ND blocks of 16 of each value at once: values are read once, in order.
template <uint32_t N, uint32_t ND>
void chain_group(uint32_t t, uint32_t d, uint32_t Dv, const float *p, size_t ldp, const KeysAndValues &kv, float *y) {
  F16 total[N][ND];
#pragma GCC unroll 4
  for (uint32_t i = 0; i < N; ++i)
#pragma GCC unroll 4
    for (uint32_t b = 0; b < ND; ++b) total[i][b] = zero();
  for (uint32_t from = 0; from <= t; from += kv.run) {
    const uint32_t n = least(kv.run, t + 1 - from);
    const float *value = kv.runs[from / kv.run] + d, *weight = p + from;
    for (uint32_t j = 0; j < n; ++j, value += kv.stride, ++weight) {
      F16 v[ND];
#pragma GCC unroll 4
      for (uint32_t b = 0; b < ND; ++b) v[b] = load(value + b * 16);
#pragma GCC unroll 4
      for (uint32_t i = 0; i < N; ++i) {
        const F16 w = broadcast(weight[i * ldp]);
#pragma GCC unroll 4
        for (uint32_t b = 0; b < ND; ++b) total[i][b] = fma(w, v[b], total[i][b]);
      }
    }
  }
#pragma GCC unroll 4
  for (uint32_t i = 0; i < N; ++i)
#pragma GCC unroll 4
    for (uint32_t b = 0; b < ND; ++b) store(y + i * Dv + d + b * 16, total[i][b]);
}

// Blocks of a value that chain_group takes at once for n heads, as many as there are registers for.
constexpr uint32_t group_blocks(uint32_t n) { return n * 4 <= kAccumulators ? 4 : n * 2 <= kAccumulators ? 2 : 1; }
template <uint32_t N>
void chain_group(uint32_t t, uint32_t Dv, const float *p, size_t ldp, const KeysAndValues &kv, float *y) {
  constexpr uint32_t ND = group_blocks(N);
  uint32_t d = 0;
  for (; d + ND * 16 <= Dv; d += ND * 16) chain_group<N, ND>(t, d, Dv, p, ldp, kv, y);
  for (; d < Dv; d += 16) chain_group<N, 1>(t, d, Dv, p, ldp, kv, y);
}

void divide(uint32_t rows, uint32_t Dv, const float *total, float *y, size_t ldy) {
  float inverse[16];
  store(inverse, broadcast(1.0f) / load(total));
  for (uint32_t i = 0; i < rows; ++i)
    each_block(0, Dv, [&](uint64_t d, uint32_t lanes) {
      store_block(y + i * ldy + d, lanes, load_block(y + i * ldy + d, lanes) * broadcast(inverse[i]));
    });
}

// Queries at positions t .. t + rows - 1 of one head.
void attend(uint32_t rows, uint32_t t, uint32_t Dk, uint32_t Dv, float scale, const float *q, size_t ldq, const KeysAndValues &kv,
            float *y, size_t ldy, float *lse, size_t ldlse) {
  const uint32_t n_blocks = (t + rows - 1) / 16 + 1;
  const size_t ld = (size_t)(n_blocks + kSpareBlocks) * 16;
  float *scores = scratch_floats(kScratchC, kTileRows * ld), total[16], highest[16];
  store(total, broadcast(1.0f));
  store(highest, zero());
  score(rows, n_blocks, Dk, q, ldq, kv.blocks, scores, ld);
  soften(rows, t, 1, scale, scores, ld, total, highest);
  chain_values(rows, t + 1, Dv, scores, ld, kv, y, ldy);  // the keys that all of them see, then each one's own
  if (rows > 1) {
    const float *own[kTileRows];
    for (uint32_t j = 0; j + 1 < rows; ++j) own[j] = kv.runs[(t + 1 + j) / kv.run] + (t + 1 + j) % kv.run * kv.stride;
    add_own_values(rows, own, Dv, scores + t + 1, ld, y, ldy);
  }
  divide(rows, Dv, total, y, ldy);
  if (!lse) return;
  float logs[16];
  store(logs, load(highest) + log(load(total)));
  for (uint32_t i = 0; i < rows; ++i) lse[i * ldlse] = logs[i];
}

constexpr uint32_t kHeadsAtOnce = 4;

// One query at position t in each of n (at most kHeadsAtOnce) heads. score_all(n_blocks, scores, ld) makes the heads' scores, ld apart, and
// chain.operator()<n>(p, ld) what they weigh into y.
template <class Score, class Chain>
HONE_INLINE void attend_one_query(uint32_t n, uint32_t t, uint32_t Dv, float scale, float *y, const Score &score_all, const Chain &chain) {
  const uint32_t n_blocks = t / 16 + 1;
  const size_t ld = (size_t)(n_blocks + kSpareBlocks) * 16;
  float *scores = scratch_floats(kScratchC, kHeadsAtOnce * ld), total[16], highest[16];
  store(total, broadcast(1.0f));
  score_all(n_blocks, scores, ld);
  soften(n, t, 0, scale, scores, ld, total, highest);
  switch (n) {
    case 1: chain.template operator()<1>(scores, ld); break;
    case 2: chain.template operator()<2>(scores, ld); break;
    case 3: chain.template operator()<3>(scores, ld); break;
    default: chain.template operator()<4>(scores, ld);
  }
  divide(n, Dv, total, y, Dv);
}

// kv[i] is head i's.
void attend_heads(uint32_t n, uint32_t t, uint32_t Dk, uint32_t Dv, float scale, const float *q, const KeysAndValues *const *kv, float *y) {
  attend_one_query(
      n, t, Dv, scale, y,
      [&](uint32_t n_blocks, float *scores, size_t ld) {
        for (uint32_t i = 0; i < n; ++i) score(1, n_blocks, Dk, q + (size_t)i * Dk, Dk, kv[i]->blocks, scores + i * ld, ld);
      },
      [&]<uint32_t N>(const float *p, size_t ld) { chain_heads<N>(t, Dv, p, ld, kv, y, Dv); });
}

// All heads share kv; Dv is whole blocks of 16.
void attend_group(uint32_t n, uint32_t t, uint32_t Dk, uint32_t Dv, float scale, const float *q, const KeysAndValues &kv, float *y) {
  attend_one_query(
      n, t, Dv, scale, y, [&](uint32_t n_blocks, float *scores, size_t ld) { score(n, n_blocks, Dk, q, Dk, kv.blocks, scores, ld); },
      [&]<uint32_t N>(const float *p, size_t ld) { chain_group<N>(t, Dv, p, ld, kv, y); });
}

// Estimated nanoseconds of one row's one kv head.
double cost(double queries, double keys, uint32_t heads, uint32_t Dk, uint32_t Dv) {
  return queries * keys * heads * (2.0 * (Dk + Dv) / 40 + 0.2) + 50;
}

void attention(hone_stream *stream, uint32_t R, const uint32_t *row_start, const uint32_t *prefix, uint32_t H, uint32_t G,
               uint32_t Dk, uint32_t Dv, float scale, const float *q, const float *k, const float *v, float *y, float *lse) {
  if (R == 0) return;
  const uint32_t heads = H / G;
  const double each = cost(queries_of(R, row_start), keys_of(R, row_start, prefix), heads, Dk, Dv);
  parallel(stream, (uint64_t)R * G, each, [&](uint64_t begin, uint64_t end) {
    for (uint64_t task = begin; task < end; ++task) {
      const uint32_t r = (uint32_t)(task / G), g = (uint32_t)(task % G);
      const Row row = row_of(row_start, prefix, r);
      if (row.own == 0) continue;
      const uint32_t seen = row.before + row.own, n = panels(seen), T = row.own;
      const size_t ldk = (size_t)G * Dk, ldv = (size_t)G * Dv, start = row.own_at;
      float *keys = scratch_floats(kScratchA, (size_t)n * 16 * Dk);
      const float **blocks = static_cast<const float **>(scratch(kScratchB, n * sizeof(float *)));
      transpose_row(row, Dk, k + (size_t)g * Dk, ldk, keys);
      for (uint32_t b = 0; b < n; ++b) blocks[b] = keys + (size_t)b * 16 * Dk;
      const float *values = v + start * ldv + (size_t)g * Dv;
      size_t stride = ldv;
      if (row.before) {  // both parts in one piece
        float *together = scratch_floats(kScratchD, (size_t)seen * Dv);
        for (uint32_t j = 0; j < seen; ++j) {
          const size_t at = j < row.before ? row.before_at + j : row.own_at + (j - row.before);
          __builtin_memcpy(together + (size_t)j * Dv, v + at * ldv + (size_t)g * Dv, Dv * sizeof(float));
        }
        values = together, stride = Dv;
      }
      const KeysAndValues kv = {blocks, &values, UINT32_MAX, stride};
      const uint32_t rows = even_tile(T);
      for (uint32_t h = g * heads; h < (g + 1) * heads; ++h)
        for (uint32_t t = 0; t < T; t += rows) {
          const size_t at = (start + t) * H + h;
          attend(least(rows, T - t), row.before + t, Dk, Dv, scale, q + at * Dk, (size_t)H * Dk, kv, y + at * Dv, (size_t)H * Dv,
                 lse ? lse + at : nullptr, H);
        }
    }
  });
}

size_t page_floats(const hone_kv_page_shape &s) { return (size_t)s.page_tokens * s.kv_heads * (s.key_size + s.value_size); }
size_t kv_page_bytes(const hone_kv_page_shape *shape) { return page_floats(*shape) * sizeof(float); }

void attention_cached(hone_stream *stream, const hone_cached_rows *rows, const hone_kv_page_shape *shape, uint32_t H, float scale,
                      const float *q, const float *k, const float *v, void *pages, float *y) {
  if (rows->R == 0) return;
  const uint32_t R = rows->R, G = shape->kv_heads, Dk = shape->key_size, Dv = shape->value_size, P = shape->page_tokens;
  const uint32_t heads = H / G;
  const size_t page = page_floats(*shape), values_at = (size_t)P * G * Dk;
  double queries = 0, keys = 0;
  for (uint32_t r = 0; r < R; ++r) {
    const uint32_t n = rows->row_start[r + 1] - rows->row_start[r];
    queries += n;
    keys += n ? rows->first_position[r] + n / 2 + 1 : 0;
  }
  // A task is up to kHeadsAtOnce kv heads of a row.
  const uint32_t bundles = (G + kHeadsAtOnce - 1) / kHeadsAtOnce, n_blocks_of_page = P / 16;
  const double each = cost(queries / R, keys / R, heads, Dk, Dv) * G / bundles;
  parallel(stream, (uint64_t)R * bundles, each, [&](uint64_t begin, uint64_t end) {
    for (uint64_t task = begin; task < end; ++task) {
      const uint32_t r = (uint32_t)(task / bundles), g0 = (uint32_t)(task % bundles) * kHeadsAtOnce;
      const uint32_t g1 = least(G, g0 + kHeadsAtOnce), T = rows->row_start[r + 1] - rows->row_start[r];
      if (T == 0) continue;
      const size_t start = rows->row_start[r];
      const uint32_t position = rows->first_position[r], n_pages = (position + T - 1) / P + 1;
      const uint32_t *table = rows->page_table + (size_t)r * rows->max_pages;
      const float **blocks = static_cast<const float **>(scratch(kScratchA, sizeof(float *) * kHeadsAtOnce * n_pages * n_blocks_of_page));
      const float **runs = static_cast<const float **>(scratch(kScratchB, sizeof(float *) * kHeadsAtOnce * n_pages));
      KeysAndValues kv[kHeadsAtOnce];
      for (uint32_t g = g0; g < g1; ++g) {
        const float **own_blocks = blocks + (size_t)(g - g0) * n_pages * n_blocks_of_page, **own_runs = runs + (size_t)(g - g0) * n_pages;
        for (uint32_t i = 0; i < n_pages; ++i) {
          const float *base = static_cast<float *>(pages) + table[i] * page;
          for (uint32_t b = 0; b < n_blocks_of_page; ++b) own_blocks[i * n_blocks_of_page + b] = base + ((size_t)g * P + b * 16) * Dk;
          own_runs[i] = base + values_at + (size_t)g * P * Dv;
        }
        kv[g - g0] = {own_blocks, own_runs, P, Dv};
      }
      for (uint32_t t = 0; t < T; ++t) {
        const uint32_t at = (position + t) % P;
        float *base = static_cast<float *>(pages) + table[(position + t) / P] * page;
        for (uint32_t g = g0; g < g1; ++g) {
          float *key = base + ((size_t)g * P + at / 16 * 16) * Dk + at % 16;
          const float *from = k + ((start + t) * G + g) * Dk;
          for (uint32_t d = 0; d < Dk; ++d) key[d * 16] = from[d];
          __builtin_memcpy(base + values_at + ((size_t)g * P + at) * Dv, v + ((start + t) * G + g) * Dv, Dv * sizeof(float));
        }
      }
      // Heads that share keys go together, unless they are few and narrow: then those of several keys do.
      if (T == 1 && Dv % 16 == 0 && least(heads, kHeadsAtOnce) * Dv >= 4 * 16) {
        for (uint32_t g = g0; g < g1; ++g)
          for (uint32_t i = 0; i < heads; i += kHeadsAtOnce) {
            const size_t at = start * H + g * heads + i;
            attend_group(least(kHeadsAtOnce, heads - i), position, Dk, Dv, scale, q + at * Dk, kv[g - g0], y + at * Dv);
          }
        continue;
      }
      if (T == 1) {
        for (uint32_t h = g0 * heads; h < g1 * heads; h += kHeadsAtOnce) {
          const uint32_t n = least(kHeadsAtOnce, g1 * heads - h);
          const KeysAndValues *own[kHeadsAtOnce];
          for (uint32_t i = 0; i < n; ++i) own[i] = &kv[(h + i) / heads - g0];
          attend_heads(n, position, Dk, Dv, scale, q + (start * H + h) * Dk, own, y + (start * H + h) * Dv);
        }
        continue;
      }
      const uint32_t tile_rows = even_tile(T);
      for (uint32_t h = g0 * heads; h < g1 * heads; ++h)
        for (uint32_t t = 0; t < T; t += tile_rows) {
          const size_t at = (start + t) * H + h;
          attend(least(tile_rows, T - t), position + t, Dk, Dv, scale, q + at * Dk, (size_t)H * Dk, kv[h / heads - g0],
                 y + at * Dv, (size_t)H * Dv, nullptr, 0);
        }
    }
  });
}

void copy_page(hone_stream *, const hone_kv_page_shape *shape, void *pages, uint32_t to, uint32_t from) {
  const size_t bytes = kv_page_bytes(shape);
  if (to != from) __builtin_memcpy(static_cast<char *>(pages) + to * bytes, static_cast<char *>(pages) + from * bytes, bytes);
}

// One row's gradients of kv head g: += into dq of its own tokens, and into dk and dv of those it sees.
struct BackwardCall {
  uint32_t H, G, Dk, Dv;
  float scale;
  const float *q, *k, *v, *y, *lse, *dy;
  float *dq, *dk, *dv;

  void row(const Row &row, uint32_t g) const {
    const uint32_t heads = H / G, T = row.own, P = row.before, n = panels(P + T);
    const size_t start = row.own_at, ldq = (size_t)H * Dk, ldy = (size_t)H * Dv, ldk = (size_t)G * Dk, ldv = (size_t)G * Dv;
    if (T == 0) return;
    const size_t own_k = start * ldk + (size_t)g * Dk, own_v = start * ldv + (size_t)g * Dv;
    const size_t before_k = row.before_at * ldk + (size_t)g * Dk, before_v = row.before_at * ldv + (size_t)g * Dv;
    float *keys_across = scratch_floats(kScratchA, (size_t)n * 16 * Dk);
    float *values_across = scratch_floats(kScratchB, (size_t)n * 16 * Dv);
    float *p = scratch_floats(kScratchC, (size_t)kQueryTile * n * 16), *ds = scratch_floats(kScratchD, (size_t)kQueryTile * n * 16);
    transpose_row(row, Dk, k + (size_t)g * Dk, ldk, keys_across);
    transpose_row(row, Dv, v + (size_t)g * Dv, ldv, values_across);
    const F16 factor = broadcast(scale);
    for (uint32_t h = g * heads; h < (g + 1) * heads; ++h)
      for (uint32_t t0 = 0; t0 < T; t0 += kQueryTile) {
        const uint32_t rows = least(kQueryTile, T - t0), own = t0 + rows;  // its own keys 0 .. own-1 matter, and all before
        const size_t at = (start + t0) * H + h, ld = (size_t)panels(P + own) * 16;
        const float *query = q + at * Dk, *grad = dy + at * Dv, *out = y + at * Dv;
        gemm(rows, (uint32_t)ld, Dk, query, ldq, 1, keys_across, 16, (size_t)Dk * 16, p, ld, false);
        gemm(rows, (uint32_t)ld, Dv, grad, ldy, 1, values_across, 16, (size_t)Dv * 16, ds, ld, false);
        for (uint32_t i = 0; i < rows; ++i) {
          F16 dot = zero();
          each_block(0, Dv, [&](uint64_t d, uint32_t lanes) {
            dot = fma(load_block(grad + i * ldy + d, lanes), load_block(out + i * ldy + d, lanes), dot);
          });
          const F16 delta = broadcast(sum(dot)), shift = broadcast(lse[at + (size_t)i * H]);
          float *pi = p + i * ld, *dsi = ds + i * ld;
          const uint32_t position = P + t0 + i, last = position / 16;
          for (uint32_t b = 0; b * 16 < ld; ++b) {
            const uint32_t lanes = b < last ? 16 : b > last ? 0 : position % 16 + 1;
            const F16 prob = first(lanes, exp(load(pi + b * 16) * factor - shift), zero());
            const F16 slope = first(lanes, prob * (load(dsi + b * 16) - delta) * factor, zero());
            store(pi + b * 16, prob);
            store(dsi + b * 16, slope);
          }
        }
        if (P) {
          gemm(rows, Dk, P, ds, ld, 1, k + before_k, ldk, 16, dq + at * Dk, ldq, true);
          gemm(P, Dk, rows, ds, 1, ld, query, ldq, 16, dk + before_k, ldk, true);
          gemm(P, Dv, rows, p, 1, ld, grad, ldy, 16, dv + before_v, ldv, true);
        }
        gemm(rows, Dk, own, ds + P, ld, 1, k + own_k, ldk, 16, dq + at * Dk, ldq, true);
        gemm(own, Dk, rows, ds + P, 1, ld, query, ldq, 16, dk + own_k, ldk, true);
        gemm(own, Dv, rows, p + P, 1, ld, grad, ldy, 16, dv + own_v, ldv, true);
      }
  }
};

// A task is a kv head of a row that has nothing before it, with those that share it.
void attention_backward(hone_stream *stream, uint32_t R, const uint32_t *row_start, const uint32_t *prefix, uint32_t H,
                        uint32_t G, uint32_t Dk, uint32_t Dv, float scale, const float *q, const float *k, const float *v,
                        const float *y, const float *lse, const float *dy, float *dq, float *dk, float *dv) {
  if (R == 0) return;
  const BackwardCall call = {H, G, Dk, Dv, scale, q, k, v, y, lse, dy, dq, dk, dv};
  const double each = 3 * cost(queries_of(R, row_start), keys_of(R, row_start, prefix), H / G, Dk, Dv);
  parallel(stream, (uint64_t)R * G, each, [&](uint64_t begin, uint64_t end) {
    for (uint64_t task = begin; task < end; ++task) {
      const uint32_t first_row = (uint32_t)(task / G), g = (uint32_t)(task % G);
      if (prefix && prefix[first_row] != first_row) continue;
      call.row(row_of(row_start, prefix, first_row), g);
      for (uint32_t r = first_row + 1; prefix && r < R && prefix[r] == first_row; ++r) call.row(row_of(row_start, prefix, r), g);
    }
  });
}

}  // namespace

void fill_attention(hone_kernels &set) {
  set.attention = attention;
  set.attention_backward = attention_backward;
  set.kv_page_bytes = kv_page_bytes;
  set.attention_cached = attention_cached;
  set.copy_page = copy_page;
}

}  // namespace hone::kernels::HONE_ISA
