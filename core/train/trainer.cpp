// trainer.cpp -- drives an objective over packed units, and turns their gradients into one update.
#include "core/train/trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>

#include "core/base/text.h"
#include "core/rollout/packed_pass.h"
#include "core/rollout/sampler.h"
#include "core/train/objective_columns.h"
#include "core/train/parameter_update.h"

namespace hone {
namespace {

constexpr uint32_t least_unit = 256;  // tokens: below it a unit of its own costs more than it spreads the work

struct Unit {
  uint32_t begin, end;  // rows of the columns
  PackedRows packed;
};

struct Group {
  uint32_t begin, end;  // rows of the columns
  uint32_t shared = 0;  // first tokens of all of them that are run once
  uint64_t tokens = 0;  // that are run
};

// How many first tokens are equal in all of a group's rows. Those that predict a trained token are each row's own.
uint32_t shared_tokens(const ObjectiveColumns &columns, const std::vector<TrainRow> &rows, const Group &group) {
  const std::vector<int32_t> &first = rows[columns.row[group.begin]].ids;
  size_t shared = first.size();
  for (uint32_t r = group.begin; r < group.end; ++r) {
    const TrainRow &row = rows[columns.row[r]];
    const auto differs = std::mismatch(first.begin(), first.end(), row.ids.begin(), row.ids.end()).first;
    shared = std::min<size_t>({shared, static_cast<size_t>(differs - first.begin()), row.begin + columns.token[columns.row_start[r]] - 1});
  }
  return static_cast<uint32_t>(shared);
}

// Whole groups in order, up to `unit_tokens` each, but no more than spread the step evenly over the slots. Depends on
// the rows alone, never on threads. share: what a group's rows begin with is run once.
std::vector<Unit> cut_units(const ObjectiveColumns &columns, const std::vector<TrainRow> &rows,
                            const TrainerSettings &settings, bool value_after, bool share) {
  uint64_t total = 0;
  std::vector<Group> groups;
  for (uint32_t r = 0, end; r < columns.rows(); r = end) {
    for (end = r + 1; end < columns.rows() && columns.group[end] == columns.group[r];) ++end;
    Group &group = groups.emplace_back(Group{r, end});
    if (share && end - r > 1) group.shared = shared_tokens(columns, rows, group);
    group.tokens = group.shared;
    for (uint32_t i = r; i < end; ++i)
      group.tokens += rows[columns.row[i]].begin + columns.token[columns.row_start[i + 1] - 1] + (value_after ? 1 : 0) - group.shared;
    total += group.tokens;
  }
  const uint64_t even = (total + settings.slots - 1) / settings.slots;
  const uint64_t most = std::min<uint64_t>(settings.unit_tokens, std::max<uint64_t>(even, least_unit));
  std::vector<Unit> units;
  std::vector<uint32_t> places;
  uint64_t in_unit = 0;
  for (const Group &group : groups) {
    if (units.empty() || in_unit + group.tokens > most) units.push_back({group.begin, group.begin, {}}), in_unit = 0;
    Unit &unit = units.back();
    unit.end = group.end;
    in_unit += group.tokens;
    if (group.shared) unit.packed.add_prefix(std::span(rows[columns.row[group.begin]].ids).first(group.shared));
    for (uint32_t r = group.begin; r < group.end; ++r) {
      const TrainRow &row = rows[columns.row[r]];
      places.clear();
      for (uint32_t t = columns.row_start[r]; t < columns.row_start[r + 1]; ++t)
        places.push_back(row.begin + columns.token[t]);
      unit.packed.add(row.ids, places, value_after, group.shared);
    }
  }
  return units;
}

// The balance of experts counts rows, and a further token is predicted within its row.
bool can_share(const Weights &weights) { return weights.architecture().all_routed_layers() == 0; }

double mean(const std::vector<float> &values) {
  double sum = 0;
  for (float value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

}  // namespace

struct Trainer::State {
  // What one thread works with. `other` runs what is not differentiated, so that expert choices there are not counted.
  struct Worker {
    PackedPass pass, other;
    Worker(const hone_kernels &kernels, const hone_stream &stream) : pass(kernels, stream), other(kernels, stream) {}
  };

  const hone_kernels &kernels;
  Pool &pool;
  Weights &weights;
  ObjectiveCalls objective;
  TrainerSettings settings;
  ParameterUpdate update;
  bool apart, value_after;
  uint32_t depths;  // of multi-token prediction that are trained
  bool old_logp_unknown = false, old_value_unknown = false;  // in the first pass over a step's rows
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<FloatBuffer> slots;  // where units add their gradients; empty: there is one slot, `gradient` itself
  FloatBuffer gradient;
  std::mutex objective_mutex;

  State(const hone_kernels &kernels_in, Pool &pool_in, Weights &weights_in, const hone_objective &objective_in,
        void *objective_self, const hone_optimizer &optimizer, void *optimizer_self, TrainerSettings settings_in)
      : kernels(kernels_in),
        pool(pool_in),
        weights(weights_in),
        objective(objective_in, objective_self, "the objective"),
        settings(settings_in.for_model_of(weights.model_size())),
        update(kernels, weights, optimizer, optimizer_self),
        apart(weights.model_size() < settings.small_model),
        value_after(false),
        depths(settings.mtp_loss_weight > 0 ? weights.architecture().info().depths : 0),
        gradient(kernels, weights.trained_size()) {
    value_after = objective.source() != HONE_ON_POLICY && (objective.needs() & HONE_VALUE);
    for (uint32_t i = 0; settings.slots > 1 && i < settings.slots; ++i) slots.emplace_back(kernels, weights.trained_size());
  }

  float *slot(size_t unit) { return slots.empty() ? gradient.data() : slots[unit % slots.size()].data(); }

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

  void run_reference(ObjectiveColumns &, const std::vector<Unit> &, const Weights &reference);
  void run_before_advantages(ObjectiveColumns &, const std::vector<Unit> &, const Weights *reference);
  // The parts of a step's loss.
  struct Losses {
    double objective = 0, auxiliary = 0, ahead = 0;  // auxiliary is scaled; ahead is before its weight
  };
  Losses run_units(ObjectiveColumns &, const std::vector<Unit> &, const Weights *reference);
  double ahead_loss(const ObjectiveColumns &, uint32_t first_token, const PackedPass &,
                    std::vector<std::vector<float>> &dlogp) const;
  void verify(const ObjectiveColumns &, const std::vector<TrainRow> &, bool stop, StepReport &) const;
  void end_step();
};

namespace {

float *at(std::vector<float> &column, uint32_t token) { return column.empty() ? nullptr : column.data() + token; }

}  // namespace

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
  spread(units.size(), [&](Worker &worker, size_t i) {
    const uint32_t from = columns.row_start[units[i].begin];
    if (needs(HONE_KL)) worker.other.forward(*reference, units[i].packed, settings.temperature, {});
    // worker.pass runs unrecorded here; its counts are reset before the units are trained.
    worker.pass.forward(
        weights, units[i].packed, settings.temperature,
        {at(columns.logp, from), at(columns.entropy, from), at(columns.value, from), at(columns.kl, from)}, false,
        false, reference, &worker.other);
  });
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
                                                 const Weights *reference) {
  std::vector<double> losses(units.size()), auxiliary(units.size()), ahead(units.size());
  const float auxiliary_scale = static_cast<float>(1.0 / columns.rows());
  objective.make_room(columns);
  for (auto &worker : workers) worker->pass.tape().reset_expert_counts();
  const auto run_unit = [&](Worker &worker, size_t i) {
    const Unit &unit = units[i];
    const uint32_t from = columns.row_start[unit.begin];
    if (needs(HONE_KL)) worker.other.forward(*reference, unit.packed, settings.temperature, {});
    worker.pass.forward(
        weights, unit.packed, settings.temperature,
        {at(columns.logp, from), at(columns.entropy, from), at(columns.value, from), at(columns.kl, from)}, true,
        settings.checkpointing, reference, &worker.other, depths);
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
    auxiliary[i] = worker.pass.tape().auxiliary_loss();
    std::vector<std::vector<float>> dlogp_ahead;
    ahead[i] = ahead_loss(columns, from, worker.pass, dlogp_ahead);
    worker.pass.backward(
        weights, unit.packed, settings.temperature,
        {at(columns.dlogp, from), at(columns.dentropy, from), at(columns.dvalue, from), at(columns.dkl, from)},
        slot(i), auxiliary_scale, reference, &worker.other, dlogp_ahead);
  };
  hone_stream stream = pool.stream();
  for (uint32_t i = 0; i < settings.slots; ++i) kernels.fill(&stream, slot(i), gradient.size(), 0.0f);
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
void Trainer::State::end_step() {
  if (weights.base()) return;
  const Architecture &architecture = weights.architecture();
  const hone_model_info &info = architecture.info();
  if (!architecture.methods().end_step) return;
  std::vector<uint64_t> counts(size_t{architecture.all_routed_layers()} * info.experts, 0);
  for (const auto &worker : workers) {
    const std::span<const uint64_t> seen = worker->pass.tape().expert_counts();
    for (size_t i = 0; i < std::min(seen.size(), counts.size()); ++i) counts[i] += seen[i];
  }
  std::vector<float *> buffers;
  for (uint32_t i = 0; i < architecture.parameters().size(); ++i)
    buffers.push_back(architecture.parameters()[i].flags & HONE_PARAMETER_BUFFER ? weights.parameter(i) : nullptr);
  const hone_step_counts step{sizeof step, architecture.all_routed_layers(), info.experts, counts.data()};
  hone_error error{};
  check_call(architecture.methods().end_step(architecture.self(), &step, buffers.data(), &error), error,
             "model " + architecture.component());
}

void Trainer::discard_values() {
  if (state_->apart) return;
  for (auto &worker : state_->workers) worker->pass.tape().discard_values(), worker->other.tape().discard_values();
}

Trainer::Trainer(const hone_kernels &kernels, Pool &pool, Weights &weights, const hone_objective &objective,
                 void *objective_self, const hone_optimizer &optimizer, void *optimizer_self,
                 TrainerSettings settings) {
  const auto wrong = [](const char *name, double value, const char *range) {
    return UsageError(std::string("training: ") + name + " is " + number_text(value) + "; it must be " + range);
  };
  if (!(settings.temperature > 0)) throw wrong("temperature", settings.temperature, "above 0");
  if (settings.slots == 0 || (settings.slots & (settings.slots - 1)))
    throw wrong("slots", settings.slots, "a power of two");
  if (settings.inner_epochs == 0) throw wrong("inner_epochs", 0, "1 or more");
  if (!(settings.max_grad_norm >= 0)) throw wrong("max_grad_norm", settings.max_grad_norm, "0 (no clipping) or more");
  if (!(settings.mtp_loss_weight >= 0) || std::isinf(settings.mtp_loss_weight))
    throw wrong("mtp_loss_weight", settings.mtp_loss_weight, "0 (none) or more");
  schedule_factor(settings, settings.warmup_steps + 1ull);  // refuses an unknown schedule
  state_ = std::make_unique<State>(kernels, pool, weights, objective, objective_self, optimizer, optimizer_self,
                                   std::move(settings));
  if (state_->needs(HONE_VALUE) && !weights.has_value_head())
    throw Failure("the objective reads values, but the model has no value head");
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
  ObjectiveColumns columns = columns_of(rows, s.objective.source());
  StepReport report;
  report.learning_rate_factor = schedule_factor(s.settings, step);
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

  const bool share = s.settings.share_prefixes && s.depths == 0 && can_share(s.weights) && (!reference || can_share(*reference));
  const std::vector<Unit> units = cut_units(columns, rows, s.settings, s.value_after, share);
  s.weights.prepare(s.pool);
  if (reference) reference->prepare(s.pool);
  if (s.needs(HONE_LOGP_REF) && !given_ref) s.run_reference(columns, units, *reference);

  if (s.needs(HONE_ENTROPY) || on_policy) columns.entropy.assign(columns.tokens(), 0.0f);
  if (s.needs(HONE_VALUE)) columns.value.assign(columns.tokens(), 0.0f);
  if (s.needs(HONE_KL)) columns.kl.assign(columns.tokens(), 0.0f);
  // The old policy is the one that sampled (bit for bit this one, or verification stops the step), unless rows say
  // more.
  if (on_policy && columns.logp_old.empty()) columns.logp_old = columns.logp_rollout;
  s.old_logp_unknown = columns.logp_old.empty();
  s.old_value_unknown = s.needs(HONE_VALUE);
  if (s.old_logp_unknown) columns.logp_old.assign(columns.tokens(), 0.0f);
  if (s.needs(HONE_VALUE)) columns.value_old.assign(columns.tokens(), 0.0f);

  bool logp_known = on_policy && !columns.logp_rollout.empty();
  if (logp_known) columns.logp = columns.logp_rollout;
  const bool model_columns = s.needs(HONE_VALUE | HONE_ENTROPY | HONE_KL);
  const bool asks = s.objective.needs() != 0 || on_policy;
  if (s.objective.has_advantages() && (model_columns || (asks && !logp_known))) {
    s.run_before_advantages(columns, units, reference);
    logp_known = true;
    if (s.old_logp_unknown) columns.logp_old = columns.logp;
    if (s.old_value_unknown) columns.value_old = columns.value;
  }
  s.objective.advantages(columns, logp_known);
  for (uint32_t r = 0; r < columns.rows(); ++r) report.advantage[columns.row[r]] = columns.advantage[columns.row_start[r]];

  for (uint32_t epoch = 0; epoch < s.settings.inner_epochs; ++epoch) {
    if (epoch > 0) s.weights.prepare(s.pool);
    // What earlier passes over the rows have done stays done; within this one nothing moves until all is known to be
    // well.
    const std::string unchanged = epoch == 0 ? ". The weights were not changed" : "";
    State::Losses losses;
    try {
      losses = s.run_units(columns, units, reference);
    } catch (const Failure &failure) {
      throw Failure("step " + std::to_string(step) + ": " + failure.what() + unchanged);
    }
    const double loss = losses.objective + losses.auxiliary + s.settings.mtp_loss_weight * losses.ahead;
    s.old_logp_unknown = s.old_value_unknown = false;
    if (epoch == 0) s.verify(columns, rows, verify, report);
    hone_stream stream = s.pool.stream();
    std::vector<const float *> slots;
    for (const FloatBuffer &slot : s.slots) slots.push_back(slot.data());
    const uint64_t size = s.weights.trained_size();
    if (!slots.empty()) s.kernels.add_slots(&stream, size, s.settings.slots, slots.data(), s.gradient.data());
    if (!std::isfinite(loss) || !s.kernels.all_finite(&stream, size, s.gradient.data()))
      throw Failure("step " + std::to_string(step) + ": " + (std::isfinite(loss) ? "a gradient" : "the loss") +
                    " is not finite" + unchanged + ". A lower learning rate usually helps");
    const double norm = std::sqrt(s.kernels.sum_of_squares(&stream, size, s.gradient.data()));
    const double limit = s.settings.max_grad_norm;
    const double scale = limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;  // as clip_grad_norm_ of PyTorch

    s.update.apply(s.pool, s.weights, s.gradient.data(), report.learning_rate_factor, scale,
                   s.depths ? 0 : HONE_PARAMETER_AHEAD);
    s.end_step();
    s.weights.changed();

    report.loss += loss / s.settings.inner_epochs;
    report.grad_norm += norm / s.settings.inner_epochs;
    if (losses.auxiliary != 0) report.metrics["auxiliary_loss"] += losses.auxiliary / s.settings.inner_epochs;
    if (s.depths) report.metrics["mtp_loss"] += losses.ahead / s.settings.inner_epochs;
    if (epoch == 0 && on_policy) report.metrics["entropy"] = mean(columns.entropy);
  }

  if (!columns.logp_ref.empty()) {  // of the last pass over the rows, before its update
    double kl = 0;
    for (uint32_t t = 0; t < columns.tokens(); ++t) {
      const double to_ref = double(columns.logp_ref[t]) - columns.logp[t];
      kl += std::expm1(to_ref) - to_ref;
    }
    report.metrics["kl"] = kl / columns.tokens();
  }
  if (s.needs(HONE_KL)) report.metrics["kl"] = mean(columns.kl);
  if (on_policy && s.needs(HONE_LOGP_OLD)) {
    double ratio = 0, moved = 0, flat = 0;
    for (uint32_t t = 0; t < columns.tokens(); ++t) {
      const double by = double(columns.logp[t]) - columns.logp_old[t];
      ratio += std::exp(by);
      moved += std::expm1(-by) + by;
      flat += columns.advantage[t] != 0 && columns.dlogp[t] == 0;
    }
    report.metrics["ratio/mean"] = ratio / columns.tokens();
    report.metrics["approx_kl"] = moved / columns.tokens();
    // A token with an advantage and no gradient has been clipped; a penalty's own gradient would hide that.
    if (!s.needs(HONE_LOGP_REF | HONE_KL | HONE_ENTROPY))
      report.metrics["clip_ratio/region_mean"] = flat / columns.tokens();
  }
  return report;
}

void Trainer::save_state(const std::filesystem::path &path) const { state_->update.save(path, state_->weights); }
void Trainer::load_state(const std::filesystem::path &path) { state_->update.load(path, state_->weights); }

}  // namespace hone
