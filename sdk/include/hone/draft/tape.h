// tape.h -- "hone.host.tape/1" (draft): the operators a model is written with. The same calls serve training (packed
// sequences, recorded for the backward pass), scoring and decoding (attention over the KV cache): the tape chooses.
//
// Tensors are opaque handles, valid until the model's forward() returns. All are 2-D [T, columns], T being the tokens of
// this pass; parameters are as declared. Heads are laid out one after another within the columns.
// Any error (shapes that do not fit, out of memory) is kept by the tape: the call returns 0, later calls with a 0 return 0,
// and the host reports the first one when forward() returns. No differentiation code lives in a plugin.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t hone_tensor;  // 0: none

typedef struct hone_attention_shape {
  uint32_t struct_size;
  uint32_t heads, kv_heads;  // kv_heads divides heads
  float scale;               // scores = scale * q.k
} hone_attention_shape;

typedef struct hone_rope_shape {
  uint32_t struct_size;
  uint32_t heads;             // of x: columns / heads is the width of a head
  uint32_t begin, size;       // rotated columns of each head: [begin, begin + size)
  uint32_t interleaved;       // pairs (2i, 2i+1) as in DeepSeek; else (i, i + size/2) as in Llama
  float magnitude;            // cos and sin are multiplied by it (YaRN's mscale); 1 usually
  const float *inverse_frequency;  // [size/2] radians per position; copied by the call
} hone_rope_shape;

enum { HONE_GATE_SIGMOID = 0, HONE_GATE_SOFTMAX = 1 };
enum { HONE_GROUP_TWO_LARGEST = 0, HONE_GROUP_LARGEST = 1 };  // what a group of experts is judged by: DeepSeek-V3's, V2's

typedef struct hone_route_shape {
  uint32_t struct_size;
  uint32_t experts_per_token;
  uint32_t groups, groups_kept;  // group-limited choice; 1 and 1: none
  uint32_t gate;                 // HONE_GATE_SIGMOID or HONE_GATE_SOFTMAX
  uint32_t normalise;            // chosen weights divided by their sum (+ 1e-20)
  float scaling;                 // and multiplied by this (routed_scaling_factor)
  float sequence_loss;           // alpha of DeepSeek-V3's sequence-wise balance loss (eq. 17-20); 0: none
  uint32_t group_score;          // HONE_GROUP_TWO_LARGEST (their sum) or HONE_GROUP_LARGEST
} hone_route_shape;

// For foreign operators. forward reads inputs and fills output; backward adds to d_inputs (null where an input is a
// parameter that is not trained). All on the host's device. Both must give the same bits when called again.
typedef struct hone_custom {
  uint32_t struct_size, columns;  // of the output
  void *arg;                      // valid until the tape is destroyed
  void (*forward)(void *arg, uint32_t T, const float *const *inputs, float *output);
  void (*backward)(void *arg, uint32_t T, const float *const *inputs, const float *output, const float *d_output,
                   float *const *d_inputs);
} hone_custom;

typedef struct hone_tape {
  uint32_t struct_size;
  void *ctx;
  uint32_t (*tokens)(void *ctx);                                   // T of this pass
  hone_tensor (*parameter)(void *ctx, uint32_t index);             // in the order parameters() declared them
  hone_tensor (*embedding)(void *ctx, hone_tensor table);          // table [V, C] at this pass's token ids -> [T, C]
  hone_tensor (*linear)(void *ctx, hone_tensor x, hone_tensor weight, hone_tensor bias);  // x [T,K], weight [N,K], bias [N] or 0
  // Normalises each consecutive `width` columns: x / sqrt(mean(x^2) + epsilon) * weight; weight [width] or 0
  hone_tensor (*rms_norm)(void *ctx, hone_tensor x, hone_tensor weight, uint32_t width, float epsilon);
  hone_tensor (*add)(void *ctx, hone_tensor a, hone_tensor b);
  hone_tensor (*scale)(void *ctx, hone_tensor a, float factor);
  hone_tensor (*swiglu)(void *ctx, hone_tensor gate, hone_tensor up);  // silu(gate) * up
  // x seen as [T, heads, w]: columns [begin, begin + size) of each head -> [T, heads * size]
  hone_tensor (*slice)(void *ctx, hone_tensor x, uint32_t heads, uint32_t begin, uint32_t size);
  // Per head, a's columns then b's; one head of b may serve all heads of a (b_heads 1) -> [T, a_heads * (wa + wb)]
  hone_tensor (*join)(void *ctx, hone_tensor a, uint32_t a_heads, hone_tensor b, uint32_t b_heads);
  hone_tensor (*rope)(void *ctx, hone_tensor x, const hone_rope_shape *shape);
  // Causal attention within each sequence. q [T, heads*Dk], k [T, kv_heads*Dk], v [T, kv_heads*Dv] -> [T, heads*Dv].
  // The n-th call of a pass uses the n-th layer of the KV cache.
  hone_tensor (*attention)(void *ctx, hone_tensor q, hone_tensor k, hone_tensor v, const hone_attention_shape *shape);
  // Chooses experts from logits [T, E]; bias [E] or 0 counts for the choice only, never in the weights. The result goes
  // into experts(). The n-th call of a pass is routed layer n of hone_step_counts.
  hone_tensor (*route)(void *ctx, hone_tensor logits, hone_tensor bias, const hone_route_shape *shape);
  // sum over a token's experts e of weight_e * down_e(silu(gate_e x) * up_e x). gate, up [E,F,C], down [E,C,F]
  hone_tensor (*experts)(void *ctx, hone_tensor x, hone_tensor route, hone_tensor gate, hone_tensor up, hone_tensor down);
  hone_tensor (*custom)(void *ctx, const hone_tensor *inputs, uint32_t n_inputs, const hone_custom *op);
  // Marks x as a point from which what follows may be recomputed in the backward pass (activation checkpointing); call
  // it between layers. Returns x.
  hone_tensor (*boundary)(void *ctx, hone_tensor x);
  // table [V, C] at the ids `ahead` tokens later in the same row -> [T, C]; tokens with none so far ahead read the row's last.
  // For hone_model's forward_ahead(); refused in a cached pass, which does not know what comes.
  hone_tensor (*embedding_ahead)(void *ctx, hone_tensor table, uint32_t ahead);
} hone_tape;

#ifdef __cplusplus
}
#endif
