// reward.h -- "hone.reward/1": scores finished responses. Runs in a worker process, not in the trainer.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_REWARD "hone.reward/1"

enum { HONE_FINISHED = 0, HONE_TRUNCATED = 1 };

typedef struct hone_response {
  uint32_t struct_size, finish;      // HONE_FINISHED, or HONE_TRUNCATED at the token limit
  hone_str prompt, text, answer;     // answer is empty when the row has none
  hone_str columns;                  // the data row, a JSON object
  const int32_t *ids; uint32_t n_ids;            // the response's token ids; may be null when n_ids is 0
  const uint32_t *step_start; uint32_t n_steps;  // where its reasoning steps begin, in ids; none unless asked for
  const uint32_t *step_text;                     // [n_steps] the byte of text where each begins; may be null (an older host)
} hone_response;

typedef struct hone_scores {
  uint32_t struct_size;
  float *score;         // [n] prefilled with NaN, which means "no score": never the same as 0
  float *const *step;   // [n][n_steps] likewise; null unless steps were asked for
  hone_error *why;      // [n] why a response has no score
} hone_scores;

typedef struct hone_reward {
  uint32_t struct_size;
  uint32_t response_size;  // sizeof(hone_response) as the plugin knew it; the host lays the array out so
  // Scores in[0 .. n). Failing for one response leaves its NaN and says why; the call fails only as a whole. [many]
  int32_t (*score)(void *self, const hone_response *in, uint32_t n, hone_scores *out, hone_error *err);
} hone_reward;

#ifdef __cplusplus
}
#endif
