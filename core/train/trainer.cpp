// trainer.cpp -- drives an objective over packed units, and turns their gradients into one update.
#include "core/train/trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

#include "core/base/text.h"
#include "core/rollout/sampler.h"
#include "core/train/learner.h"
#include "core/train/objective_columns.h"
#include "core/train/step_metrics.h"
#include "core/train/units.h"

namespace hone {
namespace {

// The balance of experts counts rows, and a further token is predicted within its row.
bool can_share(const Weights &weights) { return weights.architecture().all_routed_layers() == 0; }

}  // namespace

struct Trainer::State {
  // What one thread works with. `other` runs what is not differentiated, so that expert choices there are not counted.
  struct Worker {
    PackedPass pass, other, critic;
    Worker(const hone_kernels &kernels, const hone_stream &stream) : pass(kernels, stream), other(kernels, stream), critic(kernels, stream) {}
  };

  const hone_kernels &kernels;
  Pool &pool;
  Weights &weights;
  ObjectiveCalls objective;
  TrainerSettings settings;
  Learner model;
  std::optional<Learner> critic;
  uint32_t pretraining_steps;
  bool apart, value_after;
  uint32_t depths;  // of multi-token prediction that are trained
  bool old_logp_unknown = false, old_value_unknown = false;  // in the first pass over a step's rows
  std::vector<std::unique_ptr<Worker>> workers;
  std::mutex objective_mutex;

  State(const hone_kernels &kernels_in, Pool &pool_in, Weights &weights_in, const hone_objective &objective_in,
        void *objective_self, const hone_optimizer &optimizer, void *optimizer_self, const TrainerSettings &settings_in, const Critic *critic_in)
      : kernels(kernels_in),
        pool(pool_in),
        weights(weights_in),
        objective(objective_in, objective_self, "the objective"),
        settings(settings_in.for_model_of(weights.model_size())),
        model(kernels, weights, optimizer, optimizer_self, settings),
        pretraining_steps(critic_in ? critic_in->pretraining_steps : 0),
        apart(weights.model_size() < settings.small_model && (!critic_in || critic_in->weights->model_size() < settings.small_model)),
        value_after(objective.source() != HONE_ON_POLICY && (objective.needs() & HONE_VALUE)),
        depths(settings.mtp_loss_weight > 0 ? weights.architecture().info().depths : 0) {
    if (!critic_in) return;
    TrainerSettings of_critic = critic_in->settings;
    of_critic.slots = settings.slots;
    critic.emplace(kernels, *critic_in->weights, critic_in->optimizer, critic_in->optimizer_self, of_critic);
  }

  bool needs(uint64_t column) const { return (objective.needs() & column) != 0; }

  uint32_t in_flight(size_t most) const {
    const uint32_t asked = settings.micro_batch_units ? settings.micro_batch_units : pool.threads();
    return apart ? static_cast<uint32_t>(std::min<size_t>({asked, pool.threads(), most})) : 1;
  }

  // Calls work(worker, i) for all i < n; each worker takes them one at a time, in order.
  void spread(size_t n, const std::function<void(Worker &, size_t)> &work) {
    const uint32_t n_workers = std::max(1u, in_flight(n));
    while (workers.size() < n_workers)
      workers.push_back(std::make_unique<Worker>(kernels, apart ? Pool::serial_stream() : pool.stream()));
    std::atomic<size_t> next{0};
    const auto run = [&](Worker &worker) {
      try {
        for (size_t i; (i = next++) < n;) work(worker, i);
      } catch (...) {
        next = n;
        throw;
      }
    };
    if (n_workers == 1) {
      run(*workers[0]);
      return;
    }
    pool.loop(n_workers, 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) run(*workers[i]);
    });
  }

  // The columns that the model, its critic and the reference make of a unit. What is recorded can be differentiated.
  void forward(Worker &, ObjectiveColumns &, const Unit &, const Weights *reference, bool record_model, bool record_critic);
  void run_reference(ObjectiveColumns &, const std::vector<Unit> &, const Weights &reference);
  void run_before_advantages(ObjectiveColumns &, const std::vector<Unit> &, const Weights *reference);
  // The parts of a step's loss.
  struct Losses {
    double objective = 0, auxiliary = 0, ahead = 0;  // auxiliary is scaled; ahead is before its weight
  };
  // model_learns: else the critic alone does.
  Losses run_units(ObjectiveColumns &, const std::vector<Unit> &, const Weights *reference, bool model_learns);
  double ahead_loss(const ObjectiveColumns &, uint32_t first_token, const PackedPass &,
                    std::vector<std::vector<float>> &dlogp) const;
  void verify(const ObjectiveColumns &, const std::vector<TrainRow> &, bool stop, StepReport &) const;
  void end_step(Weights &, PackedPass Worker::*pass);
};

namespace {

float *at(std::vector<float> &column, uint32_t token) { return column.empty() ? nullptr : column.data() + token; }

}  // namespace

void Trainer::State::forward(Worker &worker, ObjectiveColumns &columns, const Unit &unit, const Weights *reference, bool record_model,
                             bool record_critic) {
  const uint32_t from = columns.row_start[unit.begin];
  float *const value = at(columns.value, from);
  if (needs(HONE_KL)) worker.other.forward(*reference, unit.packed, settings.temperature, {});
  worker.pass.forward(weights, unit.packed, settings.temperature,
                      {at(columns.logp, from), at(columns.entropy, from), critic ? nullptr : value, at(columns.kl, from)}, record_model,
                      record_model && settings.checkpointing, reference, &worker.other, record_model ? depths : 0);
  if (critic)
    worker.critic.forward(critic->weights(), unit.packed, settings.temperature, {nullptr, nullptr, value, nullptr}, record_critic,
                          record_critic && settings.checkpointing);
}

void Trainer::State::run_reference(ObjectiveColumns &columns, const std::vector<Unit> &units,
                                   const Weights &reference) {
  columns.logp_ref.assign(columns.tokens(), 0.0f);
  spread(units.size(), [&](Worker &worker, size_t i) {
    PackedPass::Outputs out;
    out.logp = columns.logp_ref.data() + columns.row_start[units[i].begin];
    worker.other.forward(reference, units[i].packed, settings.temperature, out);
  });
}

// The columns that the model makes, for objectives whose advantages read them (a critic's values).
void Trainer::State::run_before_advantages(ObjectiveColumns &columns, const std::vector<Unit> &units,
                                           const Weights *reference) {
  // Experts are counted here too; the counts are reset before the units are trained.
  spread(units.size(), [&](Worker &worker, size_t i) { forward(worker, columns, units[i], reference, false, false); });
}

// Eq. 24 and 25 over the tokens of one unit, which begin at first_token: the mean over depths of their cross-entropies, each
// with the token's weight, divided by the weight of all the step's tokens.
double Trainer::State::ahead_loss(const ObjectiveColumns &columns, uint32_t first_token, const PackedPass &pass,
                                  std::vector<std::vector<float>> &dlogp) const {
  double loss = 0;
  for (const PackedPass::Ahead &depth : pass.ahead()) {
    std::vector<float> &d = dlogp.emplace_back(depth.token.size(), 0.0f);
    if (!(columns.all_weight > 0)) continue;
    for (size_t i = 0; i < d.size(); ++i) {
      const double share = columns.weight[first_token + depth.token[i]] / columns.all_weight / depths;
      loss -= share * depth.logp[i];
      d[i] = static_cast<float>(-share * settings.mtp_loss_weight);
    }
  }
  return loss;
}

Trainer::State::Losses Trainer::State::run_units(ObjectiveColumns &columns, const std::vector<Unit> &units,
                                                 const Weights *reference, bool model_learns) {
  std::vector<double> losses(units.size()), auxiliary(units.size()), ahead(units.size());
  const float auxiliary_scale = static_cast<float>(1.0 / columns.rows());
  objective.make_room(columns);
  for (auto &worker : workers) worker->pass.tape().reset_expert_counts(), worker->critic.tape().reset_expert_counts();
  const auto run_unit = [&](Worker &worker, size_t i) {
    const Unit &unit = units[i];
    const uint32_t from = columns.row_start[unit.begin];
    forward(worker, columns, unit, reference, model_learns, true);
    {
      std::lock_guard lock(objective_mutex);
      // In the first pass over the rows, the old policy is the one that just ran.
      const uint32_t to = columns.row_start[unit.end];
      if (old_logp_unknown)
        std::copy(columns.logp.begin() + from, columns.logp.begin() + to, columns.logp_old.begin() + from);
      if (old_value_unknown)
        std::copy(columns.value.begin() + from, columns.value.begin() + to, columns.value_old.begin() + from);
      losses[i] = objective.loss(columns, unit.begin, unit.end);
    }
    const float *const dvalue = at(columns.dvalue, from);
    if (critic) {
      auxiliary[i] = worker.critic.tape().auxiliary_loss();
      worker.critic.backward(critic->weights(), unit.packed, settings.temperature, {nullptr, nullptr, dvalue, nullptr}, critic->slot(i), auxiliary_scale);
    }
    if (!model_learns) return;
    auxiliary[i] += worker.pass.tape().auxiliary_loss();
    std::vector<std::vector<float>> dlogp_ahead;
    ahead[i] = ahead_loss(columns, from, worker.pass, dlogp_ahead);
    worker.pass.backward(weights, unit.packed, settings.temperature,
                         {at(columns.dlogp, from), at(columns.dentropy, from), critic ? nullptr : dvalue, at(columns.dkl, from)},
                         model.slot(i), auxiliary_scale, reference, &worker.other, dlogp_ahead);
  };
  if (model_learns) model.clear(pool);
  if (critic) critic->clear(pool);
  spread(std::min<size_t>(settings.slots, units.size()), [&](Worker &worker, size_t first) {
    for (size_t i = first; i < units.size(); i += settings.slots) run_unit(worker, i);
  });
  Losses sum;
  for (size_t i = 0; i < units.size(); ++i) {
    sum.objective += losses[i];
    sum.auxiliary += auxiliary[i] * auxiliary_scale;
    sum.ahead += ahead[i];
  }
  return sum;
}

// Compares what the sampler recorded with what the pass gave: equal to the bit, or the rows are not this policy's.
void Trainer::State::verify(const ObjectiveColumns &columns, const std::vector<TrainRow> &rows, bool stop,
                            StepReport &report) const {
  uint32_t first = columns.tokens();
  for (uint32_t r = 0; r < columns.rows(); ++r) {
    const std::vector<float> &recorded = rows[columns.row[r]].logp_rollout;
    if (recorded.empty() || rows[columns.row[r]].off_policy) continue;
    report.compared += columns.row_start[r + 1] - columns.row_start[r];
    for (uint32_t t = columns.row_start[r]; t < columns.row_start[r + 1]; ++t) {
      const double difference = std::fabs(double(recorded[columns.token[t]]) - columns.logp[t]);
      if (difference == 0) continue;
      first = std::min(first, t);
      if (!(difference <= report.logp_difference_max)) report.logp_difference_max = difference;
    }
  }
  if (!stop || first == columns.tokens()) return;
  const uint32_t r = static_cast<uint32_t>(std::upper_bound(columns.row_start.begin(), columns.row_start.end(), first) -
                                           columns.row_start.begin()) -
                     1;
  throw LogpMismatch(columns.place(first) + ": the sampler recorded log-probability " +
                     number_text(rows[columns.row[r]].logp_rollout[columns.token[first]]) + " but training computes " +
                     number_text(columns.logp[first]) +
                     "; the two must agree to the last bit. The weights were not changed. Was the response sampled by "
                     "other weights, or is a kernel broken?");
}

// Tells the model how often each expert was chosen, so that it can move what balances them: its buffers, which in
// adapted weights are base's and stay as they are.
void Trainer::State::end_step(Weights &moved, PackedPass Worker::*pass) {
  if (moved.base()) return;
  const Architecture &architecture = moved.architecture();
  const hone_model_info &info = architecture.info();
  if (!architecture.methods().end_step) return;
  std::vector<uint64_t> counts(size_t{architecture.all_routed_layers()} * info.experts, 0);
  for (const auto &worker : workers) {
    const std::span<const uint64_t> seen = ((*worker).*pass).tape().expert_counts();
    for (size_t i = 0; i < std::min(seen.size(), counts.size()); ++i) counts[i] += seen[i];
  }
  std::vector<float *> buffers;
  for (uint32_t i = 0; i < architecture.parameters().size(); ++i)
    buffers.push_back(architecture.parameters()[i].flags & HONE_PARAMETER_BUFFER ? moved.parameter(i) : nullptr);
  const hone_step_counts step{sizeof step, architecture.all_routed_layers(), info.experts, counts.data()};
  hone_error error{};
  check_call(architecture.methods().end_step(architecture.self(), &step, buffers.data(), &error), error,
             "model " + architecture.component());
}

void Trainer::discard_values() {
  if (state_->apart) return;
  for (auto &worker : state_->workers)
    for (PackedPass *pass : {&worker->pass, &worker->other, &worker->critic}) pass->tape().discard_values();
}

Trainer::Trainer(const hone_kernels &kernels, Pool &pool, Weights &weights, const hone_objective &objective,
                 void *objective_self, const hone_optimizer &optimizer, void *optimizer_self,
                 TrainerSettings settings, const Critic *critic) {
  const auto wrong = [](const char *name, double value, const char *range) {
    return UsageError(std::string("training: ") + name + " is " + number_text(value) + "; it must be " + range);
  };
  if (!(settings.temperature > 0)) throw wrong("temperature", settings.temperature, "above 0");
  if (settings.slots == 0 || (settings.slots & (settings.slots - 1)))
    throw wrong("slots", settings.slots, "a power of two");
  if (settings.inner_epochs == 0) throw wrong("inner_epochs", 0, "1 or more");
  if (settings.mini_batches == 0) throw wrong("mini_batches", 0, "1 or more");
  if (!(settings.max_grad_norm >= 0)) throw wrong("max_grad_norm", settings.max_grad_norm, "0 (no clipping) or more");
  if (!(settings.mtp_loss_weight >= 0) || std::isinf(settings.mtp_loss_weight))
    throw wrong("mtp_loss_weight", settings.mtp_loss_weight, "0 (none) or more");
  schedule_factor(settings, settings.warmup_steps + 1ull);  // refuses an unknown schedule
  state_ = std::make_unique<State>(kernels, pool, weights, objective, objective_self, optimizer, optimizer_self,
                                   settings, critic);
  if (state_->needs(HONE_VALUE) && !(critic ? *critic->weights : weights).has_value_head())
    throw Failure(std::string("the objective reads values, but the ") + (critic ? "critic" : "model") + " has no value head");
  const std::string why_not = why_not_ahead(state_->settings.mtp_loss_weight, weights.architecture(), state_->objective.source() == HONE_PAIRS);
  if (!why_not.empty()) throw UsageError("training: " + why_not);
}

TrainerSettings TrainerSettings::for_model_of(uint64_t size) const {
  TrainerSettings out = *this;
  const bool small = size < small_model_size;
  if (!small) out.slots = 1;
  if (unit_tokens == 0) out.unit_tokens = small ? 2048 : 1024;
  return out;
}

std::string why_not_ahead(double weight, const Architecture &architecture, bool pairs) {
  if (!(weight > 0)) return "";
  if (pairs) return "mtp_loss_weight goes with what learns tokens; of pairs, nothing is predicted. Leave it out";
  if (architecture.info().depths > 0) return "";
  const char *setting = architecture.methods().depths_setting;
  return "mtp_loss_weight is " + number_text(weight) + ", but its model " +
         (setting ? std::string("has no layer of multi-token prediction (its ") + setting + " is 0)"
                  : "(" + architecture.component() + ") knows no multi-token prediction") +
         "; leave the weight out";
}

Trainer::~Trainer() = default;

StepReport Trainer::step(std::vector<TrainRow> &rows, uint64_t step, const Weights *reference, bool verify) {
  State &s = *state_;
  for (size_t i = 0; i < rows.size(); ++i) check_sequence(s.weights, rows[i].ids, "row " + std::to_string(i));
  ObjectiveColumns columns = columns_of(rows, s.objective.source(), s.needs(HONE_STEP_REWARD));
  StepReport report;
  const bool model_learns = step > s.pretraining_steps;
  report.learning_rate_factor = model_learns ? schedule_factor(s.settings, step - s.pretraining_steps) : 0;
  report.rows = columns.rows();
  report.tokens = columns.tokens();
  report.advantage.assign(rows.size(), std::numeric_limits<double>::quiet_NaN());
  if (columns.rows() == 0) return report;  // nothing to learn from: the weights stay as they are

  const bool on_policy = s.objective.source() == HONE_ON_POLICY;
  const bool given_ref = !columns.logp_ref.empty();
  if ((s.needs(HONE_KL) || (s.needs(HONE_LOGP_REF) && !given_ref)) && !reference)
    throw Failure("the objective compares with a reference model, but none was given");
  if (reference && reference->architecture().info().vocab_size != s.weights.architecture().info().vocab_size)
    throw Failure("the reference model has another vocabulary than the model that is trained");
  if (s.critic && s.critic->weights().architecture().info().vocab_size != s.weights.architecture().info().vocab_size)
    throw Failure("the critic has another vocabulary than the model that is trained");

  const bool share = s.settings.share_prefixes && s.depths == 0 && can_share(s.weights) && (!reference || can_share(*reference)) &&
                     (!s.critic || can_share(s.critic->weights()));
  std::vector<Unit> units = cut_units(columns, rows, s.settings, s.value_after, share);
  const auto prepare = [&] {
    s.weights.prepare(s.pool);
    if (s.critic) s.critic->weights().prepare(s.pool);
  };
  prepare();
  if (reference) reference->prepare(s.pool);
  if (s.needs(HONE_LOGP_REF) && !given_ref) s.run_reference(columns, units, *reference);

  if (s.needs(HONE_ENTROPY) || on_policy) columns.entropy.assign(columns.tokens(), 0.0f);
  if (s.needs(HONE_VALUE)) columns.value.assign(columns.tokens(), 0.0f);
  if (s.needs(HONE_KL)) columns.kl.assign(columns.tokens(), 0.0f);
  // The old policy is the one that sampled (bit for bit this one, or verification stops the step), unless rows say more. An objective
  // that corrects for a sampler of other weights needs both.
  const bool sampled_elsewhere = s.needs(HONE_LOGP_ROLLOUT) && std::any_of(columns.row.begin(), columns.row.end(), [&](uint32_t r) { return rows[r].off_policy; });
  if (on_policy && columns.logp_old.empty() && !sampled_elsewhere) columns.logp_old = columns.logp_rollout;
  s.old_logp_unknown = columns.logp_old.empty();
  s.old_value_unknown = s.needs(HONE_VALUE);
  if (s.old_logp_unknown) columns.logp_old.assign(columns.tokens(), 0.0f);
  if (s.needs(HONE_VALUE)) columns.value_old.assign(columns.tokens(), 0.0f);

  bool logp_known = on_policy && !columns.logp_rollout.empty() && !sampled_elsewhere, verified = false;
  if (logp_known) columns.logp = columns.logp_rollout;
  const bool model_columns = s.needs(HONE_VALUE | HONE_ENTROPY | HONE_KL);
  const bool asks = s.objective.needs() != 0 || on_policy;
  // Later parts of a step meet weights that have moved: what they are compared with must be known before.
  const auto n_parts = static_cast<uint32_t>(std::min<uint64_t>(s.settings.mini_batches, columns.groups));
  if ((s.objective.has_advantages() && (model_columns || (asks && !logp_known))) || (n_parts > 1 && (s.old_logp_unknown || s.old_value_unknown || verify))) {
    s.run_before_advantages(columns, units, reference);
    s.verify(columns, rows, verify, report);
    logp_known = verified = true;
    if (s.old_logp_unknown) columns.logp_old = columns.logp;
    if (s.old_value_unknown) columns.value_old = columns.value;
    s.old_logp_unknown = s.old_value_unknown = false;
  }
  s.objective.advantages(columns, logp_known);
  for (uint32_t r = 0; r < columns.rows(); ++r) report.advantage[columns.row[r]] = columns.advantage[columns.row_start[r]];
  report.taught = !on_policy || std::any_of(columns.advantage.begin(), columns.advantage.end(), [](float a) { return a != 0; });
  StepMetrics metrics;
  if (on_policy && s.needs(HONE_VALUE)) metrics.add_values(columns);

  struct Part {
    ObjectiveColumns columns;
    std::vector<Unit> units;
  };
  std::vector<Part> parts(n_parts);
  if (n_parts == 1) {
    parts[0] = {std::move(columns), std::move(units)};
  } else {
    std::vector<uint32_t> first;  // row of each group
    for (uint32_t r = 0; r < columns.rows(); ++r)
      if (r == 0 || columns.group[r] != columns.group[r - 1]) first.push_back(r);
    first.push_back(columns.rows());
    for (uint64_t i = 0; i < n_parts; ++i) {
      parts[i].columns = part_of(columns, first[i * columns.groups / n_parts], first[(i + 1) * columns.groups / n_parts]);
      parts[i].units = cut_units(parts[i].columns, rows, s.settings, s.value_after, share);
    }
  }

  const double updates = static_cast<double>(s.settings.inner_epochs) * n_parts;
  bool moved = false;
  for (uint32_t epoch = 0; epoch < s.settings.inner_epochs; ++epoch) {
    metrics.forget_passes();
    for (Part &part : parts) {
      if (moved) prepare();
      // What earlier updates have done stays done; within this one nothing moves until all is known to be well.
      const std::string unchanged = moved ? "" : ". The weights were not changed";
      State::Losses losses;
      try {
        losses = s.run_units(part.columns, part.units, reference, model_learns);
      } catch (const Failure &failure) {
        throw Failure("step " + std::to_string(step) + ": " + failure.what() + unchanged);
      }
      const double loss = losses.objective + losses.auxiliary + s.settings.mtp_loss_weight * losses.ahead;
      if (!moved && !verified) s.verify(part.columns, rows, verify, report);
      const double norm = model_learns ? s.model.sum(s.pool) : 0, critic_norm = s.critic ? s.critic->sum(s.pool) : 0;
      if (!std::isfinite(loss) || !std::isfinite(norm) || !std::isfinite(critic_norm))
        throw Failure("step " + std::to_string(step) + ": " + (!std::isfinite(loss) ? "the loss" : std::isfinite(norm) ? "a gradient of the critic" : "a gradient") +
                      " is not finite" + unchanged + ". A lower learning rate usually helps");
      if (model_learns) {
        s.model.apply(s.pool, norm, step - s.pretraining_steps, s.depths ? 0 : HONE_PARAMETER_AHEAD);
        s.end_step(s.weights, &State::Worker::pass);
        s.weights.changed();
      }
      if (s.critic) {
        s.critic->apply(s.pool, critic_norm, step, HONE_PARAMETER_AHEAD);
        s.end_step(s.critic->weights(), &State::Worker::critic);
        s.critic->weights().changed();
      }
      moved = true;

      report.loss += loss / updates;
      report.grad_norm += norm / updates;
      if (s.critic) report.metrics["critic/grad_norm"] += critic_norm / updates;
      if (losses.auxiliary != 0) report.metrics["auxiliary_loss"] += losses.auxiliary / updates;
      if (s.depths) report.metrics["mtp_loss"] += losses.ahead / updates;
      if (epoch == 0 && on_policy) metrics.add_entropy(part.columns);
      metrics.add(part.columns, s.objective);
    }
    s.old_logp_unknown = s.old_value_unknown = false;
  }
  metrics.put(report.metrics);
  return report;
}

void Trainer::save_state(const std::filesystem::path &path) const { state_->model.save(path); }
void Trainer::load_state(const std::filesystem::path &path) { state_->model.load(path); }
void Trainer::save_critic_state(const std::filesystem::path &path) const { state_->critic->save(path); }
void Trainer::load_critic_state(const std::filesystem::path &path) { state_->critic->load(path); }

}  // namespace hone
