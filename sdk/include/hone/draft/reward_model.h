// reward_model.h -- the host service "hone.host.reward_model/1" (draft): runs a reward model that an earlier stage trained.
// Offered to rewards, in their worker processes.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_HOST_REWARD_MODEL "hone.host.reward_model/1"
typedef struct hone_reward_model {
  uint32_t struct_size;
  void *ctx;
  // out[i]: the model's score, before any squashing, of responses[i] to prompts[i]. model is the value of a setting of type
  // HONE_MODEL_HANDLE. A pair's score does not depend on the others in the call. [worker]
  int32_t (*score)(void *ctx, int64_t model, const hone_str *prompts, const hone_str *responses, uint32_t n, float *out,
                   hone_error *err);
  // Of a process reward model: prompt i has n_steps[i] steps, whose texts follow one another in `steps`, those of all prompts in order;
  // out likewise: the model's value, before any squashing, after the last token of each step. Each step is encoded by itself, so
  // its value depends on the prompt and the steps up to it alone. May be null: an older host. [worker]
  int32_t (*score_steps)(void *ctx, int64_t model, const hone_str *prompts, const uint32_t *n_steps, const hone_str *steps, uint32_t n,
                         float *out, hone_error *err);
} hone_reward_model;

#ifdef __cplusplus
}
#endif
