// plan_memory.h -- how much memory a stage takes at most: what `hone plan` tells, and getrusage shows afterwards.
#pragma once

#include <cstdint>
#include <memory>

#include "core/model/model.h"

namespace hone {

// The machine and how models run on it.
struct Workplace {
  uint32_t dtype = HONE_F32, threads = 1;
};

// What is known of a stage that trains. Tokens are those of a row at most; 0: nothing is known of its rows.
struct TrainingPlan {
  std::shared_ptr<const Architecture> architecture;
  uint64_t adapter = 0;         // numbers of an adapter; 0: the model itself is trained
  uint32_t optimizer_states = 0;
  bool reference = false;
  std::shared_ptr<const Architecture> critic = nullptr;  // of its own; null: none
  uint32_t critic_states = 0;                  // of its optimizer
  uint64_t critic_adapter = 0;                 // numbers of its adapter; 0: it is trained itself
  std::shared_ptr<const Architecture> teacher = nullptr;  // that reads along; null: none
  bool samples = false;         // on policy: its own rollouts
  double prompt_tokens = 0, response_tokens = 0;
  double groups = 1, rows_per_group = 1;
  uint32_t unit_tokens = 0, depths = 0;
  bool checkpointing = false;
};

// Bytes of a program that trains, and of one that only runs a model.
double training_bytes(const TrainingPlan &, const Workplace &);
double running_bytes(const Architecture &, const Workplace &);

}  // namespace hone
