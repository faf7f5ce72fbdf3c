/* layout_lock.h -- the layouts of ABI 1, locked. A struct may grow at its end; what is here never moves. C11 or C++. */
#pragma once

#include <stddef.h>

#include "hone/abi.h"
#include "hone/ext/host.h"
#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"
#include "hone/ext/reward.h"

#ifdef __cplusplus
#define HONE_LOCK(type, field, offset) static_assert(offsetof(type, field) == (offset), #type "::" #field " has moved")
#define HONE_LOCK_SIZE(type, size) static_assert(sizeof(type) == (size), #type " has another size")
#define HONE_LOCK_TYPE(type, number) static_assert((type) == (number), #type " has another number")
#else
#define HONE_LOCK(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "::" #field " has moved")
#define HONE_LOCK_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size")
#define HONE_LOCK_TYPE(type, number) _Static_assert((type) == (number), #type " has another number")
#endif

/* Without struct_size: never change. */
HONE_LOCK_SIZE(hone_str, 16);
HONE_LOCK_SIZE(hone_error, 512);
HONE_LOCK_SIZE(hone_value, 24);

/* Types of settings: hone_value::type. */
HONE_LOCK_TYPE(HONE_BOOL, 1);
HONE_LOCK_TYPE(HONE_INT, 2);
HONE_LOCK_TYPE(HONE_FLOAT, 3);
HONE_LOCK_TYPE(HONE_STRING, 4);
HONE_LOCK_TYPE(HONE_LIST, 5);
HONE_LOCK_TYPE(HONE_TABLE, 6);
HONE_LOCK_TYPE(HONE_MODEL_HANDLE, 7);
HONE_LOCK_TYPE(HONE_REWARD_HANDLE, 8);
HONE_LOCK_TYPE(HONE_DATA_HANDLE, 9);
HONE_LOCK_TYPE(HONE_FUNCTION_HANDLE, 10);
HONE_LOCK_TYPE(HONE_OPTIMIZER_HANDLE, 11);

/* abi.h */
HONE_LOCK(hone_str, data, 0);
HONE_LOCK(hone_str, size, 8);
HONE_LOCK(hone_error, code, 0);
HONE_LOCK(hone_error, text, 4);
HONE_LOCK(hone_value, type, 0);
HONE_LOCK(hone_value, as, 8);
HONE_LOCK(hone_param, name, 0);
HONE_LOCK(hone_param, help, 8);
HONE_LOCK(hone_param, min, 16);
HONE_LOCK(hone_param, max, 24);
HONE_LOCK(hone_param, fallback, 32);
HONE_LOCK(hone_param, choices, 56);
HONE_LOCK(hone_param, flags, 64);
HONE_LOCK(hone_param, reserved, 68);
HONE_LOCK(hone_host, struct_size, 0);
HONE_LOCK(hone_host, minor, 4);
HONE_LOCK(hone_host, ctx, 8);
HONE_LOCK(hone_host, get, 16);
HONE_LOCK(hone_component, struct_size, 0);
HONE_LOCK(hone_component, kind, 8);
HONE_LOCK(hone_component, name, 16);
HONE_LOCK(hone_component, help, 24);
HONE_LOCK(hone_component, params, 32);
HONE_LOCK(hone_component, n_params, 40);
HONE_LOCK(hone_component, param_size, 44);
HONE_LOCK(hone_component, methods, 48);
HONE_LOCK(hone_component, create, 56);
HONE_LOCK(hone_component, destroy, 64);
HONE_LOCK(hone_component, get, 72);
HONE_LOCK(hone_plugin, struct_size, 0);
HONE_LOCK(hone_plugin, min_minor, 4);
HONE_LOCK(hone_plugin, id, 8);
HONE_LOCK(hone_plugin, version, 16);
HONE_LOCK(hone_plugin, components, 24);
HONE_LOCK(hone_plugin, n_components, 32);

/* ext/host.h */
HONE_LOCK(hone_log, struct_size, 0);
HONE_LOCK(hone_log, ctx, 8);
HONE_LOCK(hone_log, write, 16);
HONE_LOCK(hone_metrics, struct_size, 0);
HONE_LOCK(hone_metrics, ctx, 8);
HONE_LOCK(hone_metrics, put, 16);
HONE_LOCK(hone_parallel, struct_size, 0);
HONE_LOCK(hone_parallel, ctx, 8);
HONE_LOCK(hone_parallel, threads, 16);
HONE_LOCK(hone_parallel, loop, 24);
HONE_LOCK(hone_random, struct_size, 0);
HONE_LOCK(hone_random, ctx, 8);
HONE_LOCK(hone_random, bits, 16);

/* ext/objective.h */
HONE_LOCK(hone_batch, struct_size, 0);
HONE_LOCK(hone_batch, n_rows, 4);
HONE_LOCK(hone_batch, n_tokens, 8);
HONE_LOCK(hone_batch, n_groups, 12);
HONE_LOCK(hone_batch, all_rows, 16);
HONE_LOCK(hone_batch, all_tokens, 24);
HONE_LOCK(hone_batch, all_groups, 32);
HONE_LOCK(hone_batch, all_weight, 40);
HONE_LOCK(hone_batch, row_start, 48);
HONE_LOCK(hone_batch, group, 56);
HONE_LOCK(hone_batch, policy_version, 64);
HONE_LOCK(hone_batch, reward, 72);
HONE_LOCK(hone_batch, reward_baseline, 80);
HONE_LOCK(hone_batch, label, 88);
HONE_LOCK(hone_batch, margin, 96);
HONE_LOCK(hone_batch, truncated, 104);
HONE_LOCK(hone_batch, chosen, 112);
HONE_LOCK(hone_batch, position, 120);
HONE_LOCK(hone_batch, logp, 128);
HONE_LOCK(hone_batch, logp_const, 136);
HONE_LOCK(hone_batch, logp_old, 144);
HONE_LOCK(hone_batch, logp_rollout, 152);
HONE_LOCK(hone_batch, logp_ref, 160);
HONE_LOCK(hone_batch, logp_teacher, 168);
HONE_LOCK(hone_batch, value, 176);
HONE_LOCK(hone_batch, value_old, 184);
HONE_LOCK(hone_batch, entropy, 192);
HONE_LOCK(hone_batch, kl, 200);
HONE_LOCK(hone_batch, step_reward, 208);
HONE_LOCK(hone_batch, advantage, 216);
HONE_LOCK(hone_batch, target, 224);
HONE_LOCK(hone_batch, weight, 232);
HONE_LOCK(hone_advantages, struct_size, 0);
HONE_LOCK(hone_advantages, advantage, 8);
HONE_LOCK(hone_advantages, target, 16);
HONE_LOCK(hone_loss, struct_size, 0);
HONE_LOCK(hone_loss, loss, 8);
HONE_LOCK(hone_loss, dlogp, 16);
HONE_LOCK(hone_loss, dvalue, 24);
HONE_LOCK(hone_loss, dentropy, 32);
HONE_LOCK(hone_loss, dkl, 40);
HONE_LOCK(hone_objective, struct_size, 0);
HONE_LOCK(hone_objective, source, 8);
HONE_LOCK(hone_objective, needs, 16);
HONE_LOCK(hone_objective, advantages, 24);
HONE_LOCK(hone_objective, loss, 32);

/* ext/optimizer.h */
HONE_LOCK_TYPE(HONE_SPAN_DECAY, 1);
HONE_LOCK_TYPE(HONE_SPAN_EMBEDDING, 2);
HONE_LOCK_TYPE(HONE_SPAN_HEAD, 4);
HONE_LOCK(hone_span, struct_size, 0);
HONE_LOCK(hone_span, flags, 4);
HONE_LOCK(hone_span, name, 8);
HONE_LOCK(hone_span, size, 24);
HONE_LOCK(hone_span, rows, 32);
HONE_LOCK(hone_span, columns, 40);
HONE_LOCK(hone_span, parameter, 48);
HONE_LOCK(hone_span, gradient, 56);
HONE_LOCK(hone_span, state, 64);
HONE_LOCK(hone_update, struct_size, 0);
HONE_LOCK(hone_update, span_size, 4);
HONE_LOCK(hone_update, step, 8);
HONE_LOCK(hone_update, learning_rate_factor, 16);
HONE_LOCK(hone_update, gradient_scale, 24);
HONE_LOCK(hone_optimizer, struct_size, 0);
HONE_LOCK(hone_optimizer, n_states, 8);
HONE_LOCK(hone_optimizer, granularity, 16);
HONE_LOCK(hone_optimizer, update, 24);

/* ext/reward.h */
HONE_LOCK(hone_response, struct_size, 0);
HONE_LOCK(hone_response, finish, 4);
HONE_LOCK(hone_response, prompt, 8);
HONE_LOCK(hone_response, text, 24);
HONE_LOCK(hone_response, answer, 40);
HONE_LOCK(hone_response, columns, 56);
HONE_LOCK(hone_response, ids, 72);
HONE_LOCK(hone_response, n_ids, 80);
HONE_LOCK(hone_response, step_start, 88);
HONE_LOCK(hone_response, n_steps, 96);
HONE_LOCK(hone_response, step_text, 104);
HONE_LOCK(hone_scores, struct_size, 0);
HONE_LOCK(hone_scores, score, 8);
HONE_LOCK(hone_scores, step, 16);
HONE_LOCK(hone_scores, why, 24);
HONE_LOCK(hone_reward, struct_size, 0);
HONE_LOCK(hone_reward, response_size, 4);
HONE_LOCK(hone_reward, score, 8);
