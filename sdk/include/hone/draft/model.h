// model.h -- "hone.model/1" (draft): a transformer as a list of parameters and a forward pass.
//
// The host allocates parameters (flat), differentiates, decodes, checkpoints, shards and applies LoRA; the plugin only
// declares and composes. Settings of a model component are its config.json keys, in Hugging Face's own names.
// The heads (log-probabilities, value, reward) are the host's: forward() ends with the hidden states after the last norm.
#pragma once

#include "hone/draft/tape.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_MODEL "hone.model/1"

enum {  // hone_parameter::flags
  HONE_PARAMETER_DECAY = 1,    // weight decay applies
  HONE_PARAMETER_EXPERTS = 2,  // dims[0] counts experts; stored as one tensor per expert, "{}" in the name is its number
  HONE_PARAMETER_BUFFER = 4,   // not trained by gradients; end_step may change it
  HONE_PARAMETER_LOOKUP = 8,   // a table that tape->embedding() reads; never multiplied unless it is the head as well
  HONE_PARAMETER_AHEAD = 16    // only forward_ahead() uses it: it stays as it is while that is not trained, and a checkpoint may
                               // lack all that is flagged so
};
enum { HONE_INIT_ZERO = 0, HONE_INIT_ONE = 1, HONE_INIT_NORMAL = 2 };

typedef struct hone_parameter {
  uint32_t struct_size, flags;
  hone_str name;               // as in the checkpoint: "model.layers.0.self_attn.q_proj.weight"
  uint32_t n_dims, dims[3];    // matrices are [out, in]
  uint32_t init;               // HONE_INIT_...
  float init_scale;            // standard deviation of HONE_INIT_NORMAL
} hone_parameter;

typedef struct hone_model_info {
  uint32_t struct_size;
  uint32_t vocab_size, hidden_size, max_positions;
  uint32_t attention_layers;               // calls of tape->attention in one pass, and their cache shapes, all alike:
  uint32_t kv_heads, key_size, value_size;
  uint32_t routed_layers, experts, experts_per_token;  // calls of tape->route in one pass; 0 for a dense model
  uint32_t head;                           // index of the parameter [vocab_size, hidden_size] that gives logits
  uint64_t active_parameters;              // used for one token: all but the experts not chosen
  // Multi-token prediction (arXiv 2412.19437, section 2.2): how many depths forward_ahead() has, and the further calls of
  // tape->attention and tape->route that each makes; 0 for a model without.
  uint32_t depths, depth_attention_layers, depth_routed_layers;
} hone_model_info;

// How many (token, choice) pairs each expert got in one optimizer step, summed over all its tokens. The routed layers of the
// depths come last; they count nothing while they are not trained.
typedef struct hone_step_counts {
  uint32_t struct_size, layers, experts;
  const uint64_t *count;  // [layers][experts]
} hone_step_counts;

typedef struct hone_model {
  uint32_t struct_size;
  const char *const *model_types;    // config.json's "model_type" values it serves; null at the end
  const char *const *architectures;  // config.json's "architectures" entry, one for each of model_types
  int32_t (*info)(void *self, hone_model_info *out, hone_error *err);  // [many]
  // Calls visit once for each parameter, always in the same order. [many]
  int32_t (*parameters)(void *self, void (*visit)(void *arg, const hone_parameter *parameter), void *arg, hone_error *err);
  // Composes the pass; *hidden is [T, hidden_size]. Calls overlap on one instance. [many]
  int32_t (*forward)(void *self, const hone_tape *tape, hone_tensor *hidden, hone_error *err);
  // After each optimizer update: buffers[i] is parameter i's data if it is a BUFFER, else null. May be null. [main]
  int32_t (*end_step)(void *self, const hone_step_counts *counts, float *const *buffers, hone_error *err);
  // Settings whose 0, "" or {} means "none" and is null in config.json, or left out where type_defaults has no such key; null
  // at the end. May be null: none.
  const char *const *null_settings;
  // For each of model_types, a JSON object: what config.json means by the keys that it leaves out, where that is not the
  // setting's own default. May be null: none.
  const char *const *type_defaults;
  // Composes one more depth (1 .. info's depths) in the pass of forward(): *out is [T, hidden_size], and the head makes of
  // state t what it expects of token t + 1 + depth. hidden: the depth before, or what forward() gave. May use
  // tape->embedding_ahead(). Null when info says 0 depths. [many]
  int32_t (*forward_ahead)(void *self, const hone_tape *tape, hone_tensor hidden, uint32_t depth, hone_tensor *out, hone_error *err);
  const char *depths_setting;  // the setting that counts depths; null when there are none
  // Calls visit once for each tensor that checkpoints hold a second time, under another name than the parameter's. Reading
  // accepts them where they equal it, writing writes them. May be null: none. [many]
  int32_t (*copies)(void *self, void (*visit)(void *arg, hone_str name, uint32_t parameter), void *arg, hone_error *err);
} hone_model;

#ifdef __cplusplus
}
#endif
