// stage.h -- "hone.stage/1" (draft): a stage that drives its own loop through host services: sample, eval, mcts.
//
// A stage never hides state on its stack: it answers step() after step(), and save() tells all it needs to go on in
// another process with the same bits. What comes in and out of the services is one columnar table.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_STAGE "hone.stage/1"

enum { HONE_DONE = 0, HONE_AGAIN = 1 };

// What one cell holds; lists are given by offsets into the flat values.
enum { HONE_COLUMN_INT = 1,     // int64_t  values[n_rows]
       HONE_COLUMN_FLOAT = 2,   // double   values[n_rows]; NaN is "no value"
       HONE_COLUMN_TEXT = 3,    // hone_str values[n_rows]
       HONE_COLUMN_INTS = 4,    // int32_t  values[offsets[n_rows]]
       HONE_COLUMN_FLOATS = 5   // float    values[offsets[n_rows]]
};
typedef struct hone_column {
  hone_str name;
  int32_t type;
  const void *values;
  const uint32_t *offsets;  // [n_rows + 1] for INTS and FLOATS, else null
} hone_column;

typedef struct hone_table {
  uint32_t struct_size, n_columns;
  uint64_t n_rows;
  const hone_column *columns;
} hone_table;

// Tables given back by a service stay valid until the same service is called again, or step() returns.
#define HONE_HOST_STAGE "hone.host.stage/1"
typedef struct hone_sampling {
  uint32_t struct_size, num_generations;   // responses per prompt, adjacent
  uint32_t max_completion_length, top_k;   // top_k 0: all
  float temperature, top_p, min_p;         // temperature 0: greedy; top_p 1 and min_p 0: off
  uint32_t step;                           // random numbers are keyed by (seed, stage, this step, row, token)
  const hone_str *stop;                    // [n_stop] a response ends with the token that completes one of these texts
  uint32_t n_stop, n_step_separators;
  const hone_str *step_separators;         // [n_step_separators] a step of a response ends with the token that completes one of these texts
} hone_sampling;

// How trainer() trains, beside the settings of its objective. 0 stands for the usual value.
typedef struct hone_training {
  uint32_t struct_size;
  uint32_t num_iterations;  // updates made with the rows of one train_step(); usually 1
  float temperature;        // logits are divided by it, as when the rows were sampled; usually 1
  uint32_t reserved;
  uint64_t steps;           // train_step() calls until the end or a restart(), which a schedule that ends must know; 0: not known
} hone_training;

// Why a response of rollout() ended: with a token that ends responses, the last of its ids, with a stop text, at max_completion_length, or at the model's
// last position, so that nothing can follow it.
enum { HONE_ENDED = 0, HONE_ENDED_BY_STOP_TEXT = 1, HONE_ENDED_BY_LENGTH = 2, HONE_ENDED_BY_POSITIONS = 3 };

typedef struct hone_stage_host {
  uint32_t struct_size;
  void *ctx;
  // Rows of a data handle: columns "prompt", "answer" (TEXT; empty when a row has none), "columns" (TEXT, the whole row as
  // JSON) and "domain" (TEXT: the key in a prompts table, or empty). [main]
  int32_t (*data)(void *ctx, int64_t data, hone_table *out, hone_error *err);
  // prompts needs column "prompt". Gives num_generations rows for each: "prompt_row" (INT), "response" (TEXT), "ids" (INTS),
  // "logprobs" (FLOATS), "truncated" (INT); of a model under training also "policy_version" (INT). prompts may have a column "ids"
  // (INTS): the first tokens of the response, which is gone on with. Then "response" is the text of all of it, but "ids" and "logprobs"
  // are of the new tokens only; max_completion_length counts those, and stop texts are looked for in them. What such a call computed is
  // kept until the step ends or the model trains: a response that goes on from one of its own costs only the tokens it adds, which
  // changes no bit. With step_separators also "step_start" and "step_text" (INTS): where in "ids" and in the bytes of "response" each step
  // begins; not of responses that had begun. prompts may have "max_completion_length" (INT), each row's own, at most the sampling's.
  // Also given: "ended" (INT: HONE_ENDED...), and how many tokens were run through the model for this row, and how many before its new
  // ones were not, for somebody else's run served: "computed" and "reused" (INT; their sum is the same wherever and however often this
  // runs). [main]
  int32_t (*rollout)(void *ctx, int64_t model, const hone_table *prompts, const hone_sampling *sampling, hone_table *out,
                     hone_error *err);
  // rows needs "prompt", "response", and may have "answer", "columns", "domain", "ids", "truncated". rewards is a reward
  // handle (one or many with weights). Gives "reward" (FLOAT: the weighted sum; NaN when a part has no score) and one
  // FLOAT column per reward of these rows' domains, by its label, even if all NaN. Journalled under `step`. [main]
  int32_t (*score)(void *ctx, int64_t rewards, const hone_table *rows, uint32_t step, hone_table *out, hone_error *err);
  // Calls a Lua function once for each row, with the row as a table; *keep[i] is whether it answered true. [main]
  int32_t (*call)(void *ctx, int64_t function, const hone_table *rows, uint8_t *keep, hone_error *err);
  // Appends rows to the stage's output data (`stage.data` in a script); a resume forgets what follows the last save. [main]
  int32_t (*emit)(void *ctx, const hone_table *rows, hone_error *err);
  // A row of the pipeline's table of results: values by column name. name is the row's, e.g. the model's. [main]
  int32_t (*result)(void *ctx, hone_str name, const hone_table *one_row, hone_error *err);
  // What a script called the model ("r1", else the stage that made it). Valid until the stage is destroyed. [main]
  hone_str (*model_name)(void *ctx, int64_t model);
  // done of total steps, for progress and its ETA. [main]
  void (*progress)(void *ctx, uint64_t done, uint64_t total);
  // rows needs "prompt" (TEXT) and "ids" (INTS), a response's token ids. Gives "logprobs" (FLOATS): the model's log-probability of
  // each id at this temperature, the same bits as rollout gives for its own. [main]
  int32_t (*logprobs)(void *ctx, int64_t model, const hone_table *rows, float temperature, hone_table *out, hone_error *err);

  // --- Training, for a stage that has a setting of type HONE_OPTIMIZER_HANDLE ---------------------------------------------
  // Makes a copy of `model`, trained by an objective ("sft", "grpo", ...; settings: a JSON table of its own, or empty) and an
  // optimizer. how may be null. *trained is a handle that every service takes for a model, and that no script's model has.
  // Call it while the stage is created, so that `hone plan` checks it and counts its memory, or in the first step() of a
  // process; the k-th call of a process is the k-th model. After a resume that model is what it had come to, weights and
  // optimizer, and must be asked for as before. The first one trains the setting `model`: it is the script's stage.model.
  // A reference that the objective compares with (KL) is the model as it began. [main]
  int32_t (*trainer)(void *ctx, int64_t model, hone_str objective, hone_str settings, int64_t optimizer,
                     const hone_training *how, int64_t *trained, hone_error *err);
  // One optimizer step on all rows. A row is "prompt" (TEXT) with "ids" (INTS: its response), or else with "response" (TEXT:
  // its end token is added, unless truncated); or it is a "text" (TEXT). Others, each where the objective reads it:
  //   "reward", "reward_baseline", "label", "margin" (FLOAT; a reward that is NaN: the row takes part in nothing),
  //   "truncated", "chosen" (INT: 0 or 1), "group" (INT: equal ones adjacent; a pair is a group of one chosen and one
  //   rejected), and with one number for each of "ids": "logprobs", "teacher_logprobs", "weight", "step_reward" (FLOATS).
  // On policy, "group" and "reward" are needed. "logprobs" are what rollout() gave: they must be those of the weights as they
  // are, bit for bit, or the run stops. Rows that other weights sampled say so by the "policy_version" (INT) that rollout()
  // gave too, or 0; older weights of the same model have another one, as have other models.
  // Gives one row: "loss", "grad_norm", "learning_rate_factor", "tokens", "rows" and what else was measured (all FLOAT).
  // After a failure the run ends, whatever the stage does. A signal waits for the end of a step() that has trained, so keep
  // steps short. [main]
  int32_t (*train_step)(void *ctx, int64_t trained, const hone_table *rows, hone_table *out, hone_error *err);
  // The model and its optimizer are as they began: the next train_step() is the first. [main]
  int32_t (*restart)(void *ctx, int64_t trained, hone_error *err);

  // The labels of a reward handle's rewards: a row for each, "label" and "domain" (TEXT; empty: of every domain). Works while
  // the stage is created, too, so that one which needs a certain label can refuse before anything runs. [main]
  int32_t (*labels)(void *ctx, int64_t rewards, hone_table *out, hone_error *err);

  // rows needs "prompt" (TEXT) and "ids" (INTS), the first tokens of a response, or none. Gives "value" (FLOAT: what the model's value
  // head says after the last of them), "computed" and "reused" (INT; what is computed is kept as rollout() keeps it). An error when the
  // model has no value head. [main]
  int32_t (*values)(void *ctx, int64_t model, const hone_table *rows, hone_table *out, hone_error *err);
} hone_stage_host;

typedef struct hone_stage {
  uint32_t struct_size;
  int32_t (*step)(void *self, int32_t *again, hone_error *err);  // *again: HONE_AGAIN or HONE_DONE. [main]
  // The state after the last finished step, as text (JSON by custom). write may be called several times. [main]
  int32_t (*save)(void *self, void (*write)(void *arg, hone_str text), void *arg, hone_error *err);
  int32_t (*load)(void *self, hone_str saved, hone_error *err);  // before the first step() of a resumed run. [main]
} hone_stage;

#ifdef __cplusplus
}
#endif
