// trainer.h -- one optimizer step: rows -> packed units -> objective -> gradients in slots -> clipping -> optimizer.
//
// The step's rows are cut into units (a whole group, or rows in order up to unit_tokens). Unit u adds its gradient to
// slot u % slots, units of a slot in order; slots meet in a fixed tree. So threads and micro-batches do not change a
// bit. What the rows of a group begin with, their prompt, is run once (packed_pass.h). Units are no larger than spreads a
// small step evenly over the slots (but 256 tokens at least, and never less than a group). A large model, whose units run one
// after another, has one slot: nothing is spread, and no gradient is kept twice.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/failure.h"
#include "core/tape/tape.h"
#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"

namespace hone {

// One sequence to train on. Trained tokens are ids[begin..]; each list with "per token" has ids.size() - begin entries.
struct TrainRow {
  std::vector<int32_t> ids;
  uint32_t begin = 1;           // >= 1: the first token has no prediction
  uint32_t response_begin = 1;  // where the response starts; tokens before it (if any are trained) have `position` 0
  std::vector<float> weight;    // per token; empty: all 1
  std::vector<uint8_t> masked;  // per token; empty: none. A masked token takes part in nothing
  uint32_t group = 0, policy_version = 0;                        // equal groups adjacent
  float reward = 0, reward_baseline = 0, label = 0, margin = 0;  // reward NaN: no score, the row takes part in nothing
  bool truncated = false, chosen = false;
  bool off_policy = false;  // sampled by other weights: logp_rollout is not compared with what these give
  std::vector<float> logp_rollout, logp_old, logp_ref, logp_teacher,
      step_reward;  // per token; as the objective needs them
};

struct TrainerSettings {
  float temperature = 1;  // logits are divided by it, as in sampling
  uint32_t unit_tokens = 0;         // 0: 2,048, and 1,024 for large models, whose activations take more room than they save time
  uint32_t slots = 4;              // a power of two; of small models
  uint32_t micro_batch_units = 0;  // units in flight; 0: as many as threads. Never changes a bit
  bool checkpointing = false;
  bool share_prefixes = true;  // what the rows of a group begin with is run once; gradients differ by the order of sums only
  double max_grad_norm = 1;           // 0: no clipping
  std::string schedule = "constant";  // constant, linear, cosine
  uint32_t warmup_steps = 0, total_steps = 0;
  double min_learning_rate_factor = 0;  // where linear and cosine end
  uint32_t inner_epochs = 1;            // passes over the step's rows, each with its own update
  uint32_t mini_batches = 1;            // parts of a pass, of whole groups in their order, each with an update of its own
  // lambda of DeepSeek-V3's eq. 25: multi-token prediction of the trained tokens is learnt beside the objective. 0: not, and
  // what only it uses stays as it is.
  double mtp_loss_weight = 0;
  uint64_t small_model = 4'000'000;  // models of fewer numbers: units side by side on the threads; else one at a time
  // unit_tokens and slots as a model of this many numbers has them: by its size alone, whatever small_model says.
  TrainerSettings for_model_of(uint64_t size) const;
};

// What was recorded when a row was sampled is not what the weights give now.
struct LogpMismatch : Failure {
  using Failure::Failure;
};

struct StepReport {
  double loss = 0, grad_norm = 0, learning_rate_factor = 0;
  uint64_t tokens = 0, rows = 0;          // trained
  std::map<std::string, double> metrics;  // kl, entropy, clip_ratio/region_mean, ... in TRL's names
  bool taught = false;                    // some trained token had an advantage (on policy), or there was a row (else)
  double logp_difference_max = 0;         // |recomputed - recorded| over rows with logp_rollout (0 is the promise)
  uint64_t compared = 0;                  // tokens of those rows
  std::vector<double> advantage;          // per row: of its first trained token; NaN when it took part in nothing
};

// A critic beside the model: its value head gives the values, and it learns from their derivatives.
struct Critic {
  Weights *weights;  // with a value head
  hone_optimizer optimizer;
  void *optimizer_self;
  TrainerSettings settings;        // only its clipping and its schedule count
  uint32_t pretraining_steps = 0;  // first steps in which it alone learns; the model's schedule begins after them
};

class Trainer {
 public:
  // All must outlive this. Without a critic, values are those of the model's own value head.
  Trainer(const hone_kernels &, Pool &, Weights &, const hone_objective &, void *objective_self, const hone_optimizer &,
          void *optimizer_self, TrainerSettings, const Critic *critic = nullptr);
  ~Trainer();
  // step counts from 1. reference may be null unless the objective needs it. Throws Failure when a gradient is not finite or the objective fails (before the
  // first of the step's updates the weights are untouched, and the sentence says so), and LogpMismatch when recorded and recomputed log-probs differ (verify: rows were sampled by these very weights). After a
  // Failure of the optimizer's or the model's own call the weights may be half updated: go back to the last checkpoint.
  // Rows without a score take part in nothing; when none is left, nothing is updated and report.rows is 0.
  StepReport step(std::vector<TrainRow> &rows, uint64_t step, const Weights *reference = nullptr, bool verify = true);
  // A large model's activations are given back until the next step, for others to use their memory meanwhile.
  void discard_values();
  // [n_states][trained_size]; names for files are "state0.<parameter>", ...
  void save_state(const std::filesystem::path &optimizer_safetensors) const;
  void load_state(const std::filesystem::path &optimizer_safetensors);
  void save_critic_state(const std::filesystem::path &optimizer_safetensors) const;  // of the critic that this was made with
  void load_critic_state(const std::filesystem::path &optimizer_safetensors);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Why a stage that learns pairs, or not, cannot have this mtp_loss_weight with this model; "" when it can.
std::string why_not_ahead(double mtp_loss_weight, const Architecture &, bool pairs);

// The learning rate's factor in `step` (from 1). UsageError for an unknown schedule.
double schedule_factor(const TrainerSettings &, uint64_t step);

}  // namespace hone
