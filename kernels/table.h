// table.h -- the kernel table: every operator that models, heads and sampling need, as function pointers. One set per
// device (libhone_kernels_cpu.so fills it here); core knows nothing else of kernels.
//
// Legend: T tokens, R rows (sequences), C channels, N outputs, K inputs of a matmul, H heads, G kv heads, Dk/Dv key and
// value sizes, E experts, k experts per token, F expert width, V vocabulary. Matrices are row-major; `ld` is in elements.
// All pointers are device pointers; a call may return before the work is done (see synchronize). Activations are f32.
// "+=" in a name's comment: adds to what is there. Everything is deterministic, independent of threads and of the other
// rows in the call; each op.h gives the order of accumulation. Shapes are the caller's promise; kernels check nothing.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where work runs. On a CPU: the host's thread pool. threads 1 and loop null are allowed: all on the caller.
typedef struct hone_stream {
  uint32_t threads;
  void *pool;
  void (*loop)(void *pool, uint64_t n, uint64_t grain, void (*body)(void *arg, uint64_t begin, uint64_t end), void *arg);
  void *device;  // the backend's own: null on a CPU
} hone_stream;

// How matrix products and their gradients are made: of f32; of both factors rounded to bf16 (to nearest even), accumulated in f32, as
// one chain; or so, but in blocks of 32 steps. matmul/op.h has the order of each. Every set has all three, with the same bits.
enum { HONE_F32 = 0, HONE_BF16 = 1, HONE_BF16_BLOCKS = 2 };

// A weight [N, K] prepared for matmul. `packed` is what pack_weight wrote (packed_bytes of it); data is the f32 original,
// which backward_input and tests read.
typedef struct hone_weight {
  uint32_t dtype, reserved;
  uint32_t N, K;
  const float *data;    // [N, K]
  const void *packed;
} hone_weight;

typedef struct hone_kv_page_shape { uint32_t page_tokens, kv_heads, key_size, value_size; } hone_kv_page_shape;

// One pass of cached attention: rows' new tokens are packed: row r owns tokens row_start[r] .. row_start[r+1], at positions
// first_position[r] + 0, 1, ...; page_table[r * max_pages + i] is the page of positions [i*page_tokens, (i+1)*page_tokens).
typedef struct hone_cached_rows {
  uint32_t R, max_pages;
  const uint32_t *row_start, *first_position, *page_table;
} hone_cached_rows;

typedef struct hone_route_args {
  uint32_t T, E, k, groups, groups_kept, gate, normalise;  // as hone_route_shape
  float scaling;
  uint32_t group_score;
} hone_route_args;

typedef struct hone_sample_args {
  float temperature, top_p, min_p;  // temperature 0: greedy
  uint32_t top_k;                   // 0: all
} hone_sample_args;

typedef struct hone_kernels {
  uint32_t struct_size;
  const char *device;  // "cpu"
  const char *isa;     // "amx", "avx512bf16", "avx512", "avx2", "plain", chosen at load (HONE_ISA overrides)
  uint32_t bf16;       // HONE_BF16 or HONE_BF16_BLOCKS: the one that is faster here

  // memory ------------------------------------------------------------------------------------------------------------
  void *(*allocate)(size_t bytes);  // 64-byte aligned, zeroed; null when there is none
  void (*release)(void *);
  // What these bytes of an allocation hold is not needed any more: the machine may have their memory, until they are written.
  void (*discard)(hone_stream *, void *, size_t bytes);
  void (*copy_in)(hone_stream *, void *to, const void *from_host, size_t bytes);
  void (*copy_out)(hone_stream *, void *to_host, const void *from, size_t bytes);
  void (*fill)(hone_stream *, float *x, uint64_t n, float value);
  void (*copy)(hone_stream *, float *to, const float *from, uint64_t n);
  int32_t (*synchronize)(hone_stream *);  // 0, or what went wrong since the last one

  // matmul ------------------------------------------------------------------------------------------------------------
  size_t (*packed_bytes)(uint32_t dtype, uint32_t N, uint32_t K);
  void (*pack_weight)(hone_stream *, uint32_t dtype, uint32_t N, uint32_t K, const float *data, void *packed);
  // Outputs first .. first + n of a weight (first a multiple of 16) as one of its own, which lasts as long as the whole.
  void (*weight_outputs)(const hone_weight *, uint32_t first, uint32_t n, hone_weight *part);
  // y[T,N] (+)= x[T,K] W^T;  accumulate 0 overwrites
  void (*matmul)(hone_stream *, uint32_t T, const float *x, uint32_t ldx, const hone_weight *, float *y, uint32_t ldy, int accumulate);
  // dx[T,K] (+)= dy[T,N] W;  accumulate 0 overwrites
  void (*matmul_backward_input)(hone_stream *, uint32_t T, const float *dy, uint32_t lddy, const hone_weight *, float *dx, uint32_t lddx, int accumulate);
  // dW[N,K] += dy^T x, tokens in order; dtype: what both are rounded to
  void (*matmul_backward_weight)(hone_stream *, uint32_t dtype, uint32_t T, uint32_t N, uint32_t K, const float *x, uint32_t ldx,
                                 const float *dy, uint32_t lddy, float *dW);
  // Expert e serves rows offsets[e] .. offsets[e+1] of x and y; weight[e] and dW + e*N*K are its matrices
  void (*expert_matmul)(hone_stream *, uint32_t E, const uint32_t *offsets, const float *x, const hone_weight *, float *y);
  void (*expert_matmul_backward_input)(hone_stream *, uint32_t E, const uint32_t *offsets, const float *dy, const hone_weight *, float *dx);
  void (*expert_matmul_backward_weight)(hone_stream *, uint32_t dtype, uint32_t E, const uint32_t *offsets, uint32_t N, uint32_t K,
                                        const float *x, const float *dy, float *dW);
  // elementwise -------------------------------------------------------------------------------------------------------
  void (*add)(hone_stream *, uint64_t n, const float *a, const float *b, float *y);
  void (*add_scaled)(hone_stream *, uint64_t n, const float *x, float factor, float *y);             // y += factor x
  void (*add_bias)(hone_stream *, uint32_t T, uint32_t N, const float *bias, float *y);              // y[t] += bias
  void (*add_bias_backward)(hone_stream *, uint32_t T, uint32_t N, const float *dy, float *dbias);   // += tokens in order
  void (*swiglu)(hone_stream *, uint64_t n, const float *gate, const float *up, float *y);
  void (*swiglu_backward)(hone_stream *, uint64_t n, const float *gate, const float *up, const float *dy, float *dgate, float *dup,
                          int accumulate);  // (+)=; accumulate 0 overwrites both
  // y[t, h, :] (size wide, at y + t*ldy + h*y_head) (+)= x[t, h, :] at x + t*ldx + h*x_head; x_head 0 repeats one head
  void (*copy_heads)(hone_stream *, uint32_t T, uint32_t H, uint32_t size, const float *x, uint32_t ldx, uint32_t x_head, float *y,
                     uint32_t ldy, uint32_t y_head, int accumulate);
  // dx[t, :] += sum over h, in order, of dy[t, h, :]: the backward of a repeated head
  void (*sum_heads)(hone_stream *, uint32_t T, uint32_t H, uint32_t size, const float *dy, uint32_t lddy, uint32_t dy_head, float *dx, uint32_t lddx);
  // embedding ---------------------------------------------------------------------------------------------------------
  void (*embedding)(hone_stream *, uint32_t T, uint32_t C, const int32_t *ids, const float *table, float *y);
  void (*embedding_backward)(hone_stream *, uint32_t T, uint32_t C, uint32_t V, const int32_t *ids, const float *dy, float *dtable);  // += tokens in order
  // rmsnorm: groups of `width` columns; n = T * columns / width groups; weight may be null; inverse [n] is kept for backward
  void (*rms_norm)(hone_stream *, uint64_t n, uint32_t width, const float *x, const float *weight, float epsilon, float *y, float *inverse);
  void (*rms_norm_backward)(hone_stream *, uint64_t n, uint32_t width, const float *x, const float *weight, const float *inverse,
                            const float *dy, float *dx, float *dweight);  // += both; dweight may be null; groups in order
  // rope: cos_sin [max_position][size] holds cos then sin, size/2 each. y may be x. direction +1 forward, -1 backward
  void (*rope)(hone_stream *, uint32_t T, uint32_t H, uint32_t head_size, uint32_t begin, uint32_t size, int interleaved,
               const uint32_t *position, const float *cos_sin, int direction, const float *x, float *y);
  // attention, packed: row r owns tokens row_start[r] .. row_start[r+1], and comes after those of row prefix[r] unless that is
  // r itself (prefix may be null; attention/op.h). q [T,H,Dk] k [T,G,Dk] v [T,G,Dv] y [T,H,Dv] lse [T,H]
  void (*attention)(hone_stream *, uint32_t R, const uint32_t *row_start, const uint32_t *prefix, uint32_t H, uint32_t G, uint32_t Dk, uint32_t Dv, float scale,
                    const float *q, const float *k, const float *v, float *y, float *lse);
  void (*attention_backward)(hone_stream *, uint32_t R, const uint32_t *row_start, const uint32_t *prefix, uint32_t H, uint32_t G, uint32_t Dk, uint32_t Dv,
                             float scale, const float *q, const float *k, const float *v, const float *y, const float *lse,
                             const float *dy, float *dq, float *dk, float *dv);  // += all
  // attention, cached: writes k, v of the new tokens into their pages, then attends. Bit for bit what `attention` gives.
  size_t (*kv_page_bytes)(const hone_kv_page_shape *);  // of one page of one layer, keys and values
  void (*attention_cached)(hone_stream *, const hone_cached_rows *, const hone_kv_page_shape *, uint32_t H, float scale,
                           const float *q, const float *k, const float *v, void *pages, float *y);
  void (*copy_page)(hone_stream *, const hone_kv_page_shape *, void *pages, uint32_t to, uint32_t from);
  // routing -----------------------------------------------------------------------------------------------------------
  // scores [T,E]: the gate's values, kept for backward. index, weight [T,k]: chosen experts, by falling biased score, ties to
  // the lower index. bias may be null.
  void (*route)(hone_stream *, const hone_route_args *, const float *logits, const float *bias, float *scores, int32_t *index, float *weight);
  void (*route_backward)(hone_stream *, const hone_route_args *, const float *scores, const int32_t *index, const float *weight,
                         const float *dweight, float *dlogits);  // +=
  // DeepSeek-V3 eq. 17-20 per sequence: returns alpha * sum_r sum_e f P to *loss (adds, in order of rows) and its gradient
  // times dloss into dlogits (+=). loss or dlogits may be null.
  void (*sequence_balance)(hone_stream *, const hone_route_args *, uint32_t R, const uint32_t *row_start, const float *scores,
                           const int32_t *index, float alpha, float dloss, double *loss, float *dlogits);
  // Sorts the T*k choices by expert, stable: order[i] = t*k + j of place i; place[t*k+j] = i; offsets [E+1]
  void (*dispatch)(hone_stream *, uint32_t T, uint32_t k, uint32_t E, const int32_t *index, uint32_t *order, uint32_t *place, uint32_t *offsets);
  void (*gather_rows)(hone_stream *, uint32_t n, uint32_t C, uint32_t k, const uint32_t *order, const float *x, float *y);  // y[i] = x[order[i]/k]
  // y[t] = sum over j in order of weight[t,j] * x[place[t*k+j]]
  void (*combine)(hone_stream *, uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *weight, const float *x, float *y);
  // dx[place] = weight * dy[t]; dweight[t,j] = dy[t] . x[place]
  void (*combine_backward)(hone_stream *, uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *weight, const float *x,
                           const float *dy, float *dx, float *dweight);
  // dx[t] += sum over j in order of dy[place[t*k+j]]: the backward of gather_rows
  void (*gather_rows_backward)(hone_stream *, uint32_t T, uint32_t k, uint32_t C, const uint32_t *place, const float *dy, float *dx);
  // heads -------------------------------------------------------------------------------------------------------------
  // Of softmax(logits / temperature): logp of target[t], lse [T] kept for backward; entropy [T] may be null
  void (*logprob)(hone_stream *, uint32_t T, uint32_t V, const float *logits, float temperature, const int32_t *target, float *logp,
                  float *lse, float *entropy);
  // Of ids first .. first + n alone, logits [T,n]: each becomes its own gradient, dlogp[t] d logp + dentropy[t] d entropy
  // (dentropy may be null, and entropy with it). lse and entropy are what logprob gave of all ids.
  void (*logprob_backward)(hone_stream *, uint32_t T, uint32_t first, uint32_t n, float *logits, float temperature,
                           const int32_t *target, const float *lse, const float *entropy, const float *dlogp, const float *dentropy);
  // Full-vocabulary KL(p || q) per token at this temperature, with q's lse [T]
  void (*kl)(hone_stream *, uint32_t T, uint32_t V, const float *logits, const float *reference, float temperature, float *kl,
             float *reference_lse);
  // Its gradient into p's logits, of n ids alone, logits and reference [T,n]: dlogits += dkl[t] d kl
  void (*kl_backward)(hone_stream *, uint32_t T, uint32_t n, const float *logits, const float *reference, float temperature,
                      const float *lse, const float *reference_lse, const float *kl, const float *dkl, float *dlogits);
  // y[t] = x[t] . w + bias;  backward: += all
  void (*value_head)(hone_stream *, uint32_t T, uint32_t C, const float *x, const float *w, float *y);
  void (*value_head_backward)(hone_stream *, uint32_t T, uint32_t C, const float *x, const float *w, const float *dy, float *dx, float *dw);
  // uniform [R] in [0,1) picks from softmax(logits / temperature) after top-k, top-p, min-p; logp is of the whole
  // distribution at the temperature (at 1 when greedy), the same bits as logprob gives
  void (*sample)(hone_stream *, uint32_t R, uint32_t V, const float *logits, const hone_sample_args *, const float *uniform,
                 int32_t *token, float *logp);
  // reductions --------------------------------------------------------------------------------------------------------
  // Sum of squares over fixed chunks of 65,536, in order, in double
  double (*sum_of_squares)(hone_stream *, uint64_t n, const float *x);
  // to[i] = ((s0 + s1) + (s2 + s3)) ...: a fixed tree over n_slots (a power of two) buffers
  void (*add_slots)(hone_stream *, uint64_t n, uint32_t n_slots, const float *const *slots, float *to);
  int32_t (*all_finite)(hone_stream *, uint64_t n, const float *x);  // 1 or 0
} hone_kernels;

// The one symbol a kernel library exports.
typedef const hone_kernels *(*hone_kernels_entry)(void);  // "hone_kernels_v1"

#ifdef __cplusplus
}
#endif
