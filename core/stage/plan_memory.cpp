// plan_memory.cpp -- see plan_memory.h. The parts: weights and their packing, gradients, optimizer state and a reference, a training
// pass (measured, core/tape/measure.h) and the sampler's, all of which stay from step to step but a large model's activations and
// cache, of which either is given back before the other is needed.
#include "core/stage/plan_memory.h"

#include <algorithm>
#include <cmath>

#include "core/model/layout.h"
#include "core/rollout/sampler.h"
#include "core/tape/measure.h"
#include "core/train/trainer.h"

namespace hone {
namespace {

constexpr double program_bytes = 6e7;  // code, plugins, Lua, the tokenizer's tables

double packed_bytes(const Architecture &architecture, uint32_t dtype) {
  double bytes = 0;
  const std::vector<ParameterInfo> &parameters = architecture.parameters();
  for (uint32_t i = 0; i < parameters.size(); ++i) {
    if (!is_matrix(parameters[i], architecture.info(), i)) continue;
    const bool experts = parameters[i].dims.size() == 3;
    bytes += static_cast<double>(kernels().packed_bytes(dtype, parameters[i].dims[experts], parameters[i].dims[experts + 1])) *
             (experts ? parameters[i].dims[0] : 1);
  }
  return bytes;
}

// What a model that only runs keeps beside its packed matrices: looked-up tables and vectors.
double unpacked_bytes(const Architecture &architecture) {
  double bytes = 0;
  const std::vector<ParameterInfo> &parameters = architecture.parameters();
  for (uint32_t i = 0; i < parameters.size(); ++i)
    if (!is_matrix(parameters[i], architecture.info(), i) || (parameters[i].flags & HONE_PARAMETER_LOOKUP)) bytes += 4.0 * static_cast<double>(parameters[i].size);
  return bytes;
}

double weights_bytes(const Architecture &architecture, uint32_t dtype) {
  return 4.0 * static_cast<double>(architecture.total_size()) + packed_bytes(architecture, dtype);
}

// The logits of a chunk forward (96 tokens of a large vocabulary), or of a block backward, whichever are more, and the hidden states
// of n tokens that predict: gathered, their gradients, scattered.
double head_bytes(const hone_model_info &info, double n, uint32_t threads) {
  const double chunk = std::clamp(double(1u << 18) / info.vocab_size * threads, 96.0, 256.0 * threads);
  const double block = std::max(double(1u << 21), 64 * n);
  return 4 * std::max(std::min(n, chunk) * info.vocab_size, std::min(block, n * info.vocab_size)) + 4 * 4 * n * info.hidden_size;
}

struct Pass {
  double values, head;
};
Pass pass_bytes(const TrainingPlan &plan, const Workplace &work, const TrainerSettings &how, bool small) {
  const double row = plan.prompt_tokens + plan.response_tokens;
  if (row <= 0) return {0, 0};
  const bool shared = plan.samples && plan.architecture->all_routed_layers() == 0;  // the prompt is run once for its group
  const double group = shared ? plan.prompt_tokens + plan.rows_per_group * plan.response_tokens : plan.rows_per_group * row;
  const double slots = how.slots, total = plan.groups * group;
  const double most = std::min<double>(how.unit_tokens, std::max(std::ceil(total / slots), 256.0));
  const double unit = std::min(total, std::max(group, std::floor(most / group) * group));
  const double workers = small ? std::min<double>({double(work.threads), slots, std::ceil(total / unit)}) : 1;
  const auto rows = static_cast<uint32_t>(std::max(1.0, std::ceil(unit / row)));
  PassShape shape{rows, static_cast<uint32_t>(std::ceil(unit / rows)), plan.checkpointing, plan.depths,
                  plan.adapter ? uint32_t{HONE_F32} : work.dtype};  // an adapter's pass keeps what swiglu reads
  double measured = static_cast<double>(training_pass_bytes(plan.architecture, shape).value_or(0));
  shape.depths = 0;
  if (plan.critic) measured += static_cast<double>(training_pass_bytes(plan.critic, shape).value_or(0));
  // A reference keeps a segment only: about this much of a token, whatever the model.
  const double of_reference = plan.reference ? 4 * unit * 24 * plan.architecture->info().hidden_size : 0;
  const double predicted = unit * (plan.samples ? plan.rows_per_group * plan.response_tokens / group : 1);
  const double head = head_bytes(plan.architecture->info(), predicted, work.threads) * (plan.reference ? 2 : 1);
  return {workers * (measured + of_reference), workers * head};
}

struct Sampling {
  double cache, rest;
};
Sampling sampling_bytes(const TrainingPlan &plan) {
  const hone_model_info &info = plan.architecture->info();
  const double of_token = 4.0 * info.attention_layers * info.kv_heads * (info.key_size + info.value_size);
  const SamplerLimits limits;
  const double rows = std::min<double>(plan.groups * plan.rows_per_group, limits.max_rows);
  const double page = 32;  // tokens that a row's last page has no use for, and its copy of the prompt's last
  const double cache = rows * (plan.response_tokens + page) + std::min(plan.groups, rows) * (plan.prompt_tokens + page);
  const double logits = std::min(rows, std::max(1.0, 4e6 / info.vocab_size)) + std::min(plan.groups, rows);
  const double pass = std::min<double>(limits.prefill_tokens, plan.groups * plan.prompt_tokens) * 20 * info.hidden_size;
  return {std::min(cache * of_token, double(limits.kv_bytes)), 4 * (logits * info.vocab_size + pass)};
}

}  // namespace

double training_bytes(const TrainingPlan &plan, const Workplace &work) {
  const Architecture &architecture = *plan.architecture;
  const auto model = static_cast<double>(architecture.trained_size());
  const uint64_t size = architecture.total_size() + plan.adapter;
  const bool small = size < small_model_size;
  TrainerSettings how;
  how.unit_tokens = plan.unit_tokens;
  how = how.for_model_of(size);
  const double trained = 4 * (plan.adapter ? static_cast<double>(plan.adapter) : model);
  double held = program_bytes + weights_bytes(architecture, work.dtype);
  if (plan.adapter) held += 2 * trained;  // its numbers, and packed
  held += trained * (1 + (how.slots > 1 ? how.slots : 0) + plan.optimizer_states);
  if (plan.reference && !plan.adapter) held += weights_bytes(architecture, work.dtype);  // an adapter's is its base
  if (plan.critic) {
    const double numbers = 4 * static_cast<double>(plan.critic_adapter ? plan.critic_adapter : plan.critic->trained_size());
    held += weights_bytes(*plan.critic, work.dtype) + numbers * (1 + (how.slots > 1 ? how.slots : 0) + plan.critic_states);
    if (plan.critic_adapter) held += 2 * numbers;
  }
  if (plan.teacher) held += packed_bytes(*plan.teacher, work.dtype) + unpacked_bytes(*plan.teacher);
  const Pass pass = pass_bytes(plan, work, how, small);
  if (!plan.samples) return held + pass.values + pass.head;
  const Sampling sampling = sampling_bytes(plan);
  return held + pass.head + sampling.rest + (small ? pass.values + sampling.cache : std::max(pass.values, sampling.cache));
}

// The numbers are read whole, and their memory is given back a matrix at a time while they are packed.
double running_bytes(const Architecture &architecture, const Workplace &work) {
  uint64_t largest = 0;
  for (const ParameterInfo &parameter : architecture.parameters()) largest = std::max(largest, parameter.size);
  const double size = work.dtype == HONE_F32 ? 4 : 2;
  return program_bytes + 4.0 * static_cast<double>(architecture.total_size()) + size * static_cast<double>(largest);
}

}  // namespace hone
