// objective.h -- "hone.objective/1": turns rewards into advantages, and log-probabilities into a loss.
//
// A policy-gradient method sees the model only through numbers per token: log-probability, value, entropy, KL. So the
// line is drawn there: the model computes them and later takes the loss's derivatives; no graph crosses the ABI.
//
// What reaches an objective trains: the host leaves out rows without a score and masked tokens (a prompt, a tool's
// output) and puts zeroes back in their place afterwards. A group or a pair is never split over two batches.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_OBJECTIVE "hone.objective/1"

// Columns an objective can ask for; the host computes no column that nobody asked for.
#define HONE_LOGP_OLD     (1ull << 0)  // of the policy that the step began with
#define HONE_LOGP_ROLLOUT (1ull << 1)  // as recorded by the sampler
#define HONE_LOGP_REF     (1ull << 2)
#define HONE_LOGP_TEACHER (1ull << 3)
// and value_old; the objective then fills target and dvalue. On policy, a token's value is that of the state in which it was
// chosen; in rows, pairs and a teacher's responses that of the state after it (so the last one is the response's)
#define HONE_VALUE        (1ull << 4)
#define HONE_ENTROPY      (1ull << 5)
#define HONE_KL           (1ull << 6)  // KL to the reference over the whole vocabulary
#define HONE_STEP_REWARD  (1ull << 7)  // of the step that ends at this token; NaN where none ends
#define HONE_BASELINE     (1ull << 8)  // reward of the greedy response to the same prompt

// Where an objective's batches come from.
enum {
  HONE_ON_POLICY = 1,  // responses sampled from the model being trained, scored by rewards
  HONE_ROWS = 2,       // rows of data
  HONE_PAIRS = 3,      // pairs of rows, one chosen and one rejected: adjacent, equal `group`
  HONE_TEACHER = 4     // responses sampled once from a teacher model, then used as rows
};

typedef struct hone_batch {
  uint32_t struct_size, n_rows, n_tokens, n_groups;
  uint64_t all_rows, all_tokens, all_groups;  // of the whole optimizer step, on all ranks: average over these
  double   all_weight;                        // sum of `weight` over the whole optimizer step
  // [n_rows + 1] row i owns tokens row_start[i] .. row_start[i + 1]; then [n_rows] each
  const uint32_t *row_start, *group, *policy_version;  // equal groups answer one prompt and are adjacent
  const float    *reward, *reward_baseline, *label, *margin;
  const uint8_t  *truncated, *chosen;
  // [n_tokens] each, null unless asked for; logp, position and weight always. logp_const is logp that counts as a constant:
  // use it where a formula stops the gradient, so that finite differences can check dlogp
  const uint32_t *position;  // the token's place in its response
  const float *logp, *logp_const, *logp_old, *logp_rollout, *logp_ref, *logp_teacher;
  const float *value, *value_old, *entropy, *kl, *step_reward;
  const float *advantage, *target;  // what advantages() wrote; null inside it
  const float *weight;              // the token's share in a row's loss: 1, or the stage's prompt weight
} hone_batch;

typedef struct hone_advantages {
  uint32_t struct_size;
  float *advantage, *target;  // [n_tokens] out, zeroed; target (the critic's) is null unless HONE_VALUE was asked for
} hone_advantages;

typedef struct hone_loss {
  uint32_t struct_size;
  double loss;                              // this micro-batch's share of the step's loss
  float *dlogp, *dvalue, *dentropy, *dkl;   // [n_tokens] out, zeroed; null unless asked for (dlogp: never null)
} hone_loss;

typedef struct hone_objective {
  uint32_t struct_size;
  uint32_t (*source)(void *self);  // HONE_ON_POLICY, HONE_ROWS, HONE_PAIRS or HONE_TEACHER. [many]
  uint64_t (*needs)(void *self);   // columns this instance reads. [many]
  // Called once per step, with every row of it, on every rank alike. May be null: no advantages, and no extra pass of the
  // model before the first loss(). In it logp is, on policy, what the sampler recorded (of rows that other weights sampled too,
  // unless HONE_LOGP_ROLLOUT is asked for: then that of the weights that the step began with); columns that the model makes are
  // those of the weights that the step began with. With rows, pairs or a teacher and no column asked for, logp is NaN. [worker]
  int32_t (*advantages)(void *self, const hone_batch *in, hone_advantages *out, hone_error *err);
  // Called once per micro-batch; the losses of a step add up. [worker]
  int32_t (*loss)(void *self, const hone_batch *in, hone_loss *out, hone_error *err);
} hone_objective;

#ifdef __cplusplus
}
#endif
