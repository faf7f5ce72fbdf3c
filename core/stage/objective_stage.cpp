// objective_stage.cpp -- setting up an objective's loop, its steps over rows, and its checkpoints. See objective_stage.h.
#include "core/stage/objective_stage.h"

#include <cmath>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/plugin/settings.h"
#include "core/stage/companions.h"
#include "core/run/progress.h"
#include "core/stage/step_rows.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bool given(const json &settings, const char *name) { return settings.contains(name) && !settings[name].is_null(); }

}  // namespace

ObjectiveStage::ObjectiveStage(RunContext &context, int index, bool replaying)
    : context_(context),
      index_(index),
      node_(context.pipeline.stages.at(index)),
      settings_(node_.settings),
      number_(context.number_of(index)),
      folder_name_(stage_folder_name(context.pipeline, index)),
      where_(node_.place.text() + ": stage " + stage_label(context.pipeline, index)),
      directory_(context.directory_of(index)),
      batch_size_(setting<uint32_t>("batch_size")),
      num_generations_(setting<uint32_t>("num_generations")),
      watch_(settings_, where_),
      replaying_(replaying) {
  const ComponentInfo &component = context.registry.require("stage", node_.component);
  training_ = std::make_unique<ModelTraining>(
      context, component, own_settings(component, settings_), handle_index(settings_.at("model"), "$model"),
      handle_index(settings_.at("optimizer"), "$optimizer"), adaptation_of(context, index, 0), critic_choice(settings_));
  source_ = training_->source();
  if (const int teacher = handle_index(settings_.at("teacher"), "$model"); teacher >= 0) {
    StageModel loaded = load_stage_model(context, teacher);
    loaded.weights->settle(context.pool);
    teacher_ = std::move(loaded.weights);
    teacher_tokenizer_ = std::move(loaded.tokenizer);
  }
  if (given(settings_, "rewards")) rewards_ = std::make_unique<RewardSets>(context, settings_.at("rewards"), settings_, where_);
  journal_ = std::make_unique<ScoreJournal>(directory_.journal(), replaying_);
  sampler_ = std::make_unique<Sampler>(context.kernels, context.pool);
  load_rows();

  TrainerSettings trainer;
  trainer.temperature = on_policy() && setting<float>("temperature") > 0 ? setting<float>("temperature") : 1;
  trainer.unit_tokens = setting<uint32_t>("unit_tokens");
  trainer.checkpointing = setting<bool>("gradient_checkpointing");
  trainer.mtp_loss_weight = setting<double>("mtp_loss_weight");
  trainer.total_steps = steps_;
  trainer.inner_epochs = setting<uint32_t>("num_iterations");
  trainer.mini_batches = on_policy() ? setting<uint32_t>("num_mini_batches") : 1;
  training_->begin(trainer);
}

ObjectiveStage::~ObjectiveStage() = default;

bool ObjectiveStage::on_policy() const { return source_ == HONE_ON_POLICY; }

void ObjectiveStage::load_rows() {
  const char *wanted = source_ == HONE_ON_POLICY || source_ == HONE_TEACHER ? "prompts" : "data";
  if (!given(settings_, wanted)) throw UsageError(where_ + ": needs `" + wanted + "`");
  if (on_policy() && !rewards_ && !needs_no_rewards(training_->needs())) throw UsageError(where_ + ": needs `rewards`");
  if (source_ == HONE_TEACHER && !teacher_) throw UsageError(where_ + ": needs `teacher`, the model to learn from");
  if (on_policy() && training_->needs(HONE_LOGP_TEACHER) && !teacher_) throw UsageError(where_ + ": needs `teacher`, whose log-probs its objective reads");
  if (on_policy() && teacher_) check_same_vocabulary(tokenizer(), *teacher_tokenizer_, where_ + ": its teacher");
  domains_ = load_domains(context_, settings_.at(wanted));
  const uint32_t positions = training_->max_positions();
  if (source_ == HONE_ROWS) {
    for (const Domain &domain : domains_)
      for (const DataRow &row : domain.rows)
        rows_.push_back(training_->needs(HONE_STEP_REWARD) ? steps_to_train(tokenizer(), row, setting<std::string>("neutral"), positions)
                                                           : row_to_train(tokenizer(), row, setting<double>("prompt_weight"), positions));
  } else if (source_ == HONE_PAIRS) {
    for (const Domain &domain : domains_)
      for (const DataRow &row : domain.rows) {
        auto [chosen, rejected] = pair_to_train(tokenizer(), row, static_cast<uint32_t>(rows_.size() / 2), positions);
        rows_.push_back(std::move(chosen));
        rows_.push_back(std::move(rejected));
      }
  } else if (source_ == HONE_TEACHER) {
    sample_teacher();
  }
  if (!on_policy() && rows_.empty()) throw Failure(where_ + ": there are no rows to train on");
  uint64_t one_pass = source_ == HONE_PAIRS ? rows_.size() / 2 : rows_.size();
  if (on_policy())
    for (const Domain &domain : domains_) one_pass += domain.rows.size();
  steps_ = setting<uint32_t>("steps");
  if (steps_ == 0) steps_ = static_cast<uint32_t>(std::ceil(static_cast<double>(one_pass) * setting<double>("epochs") / batch_size_));
  if (steps_ == 0) throw UsageError(where_ + ": steps and epochs are both 0; give one of them");
}

uint32_t ObjectiveStage::place_in_pass(uint32_t n, uint64_t position, uint32_t salt) {
  const auto pass = static_cast<uint32_t>(position / n), place = static_cast<uint32_t>(position % n);
  if (!setting<bool>("shuffle")) return place;
  const auto key = std::make_pair(salt, pass);
  auto found = orders_.find(key);
  if (found == orders_.end()) {
    std::erase_if(orders_, [&](const auto &entry) { return entry.first.first == salt && entry.first.second + 1 < pass; });
    found = orders_.emplace(key, permutation(n, context_.pipeline.seed, number_, pass * 1009 + salt)).first;
  }
  return found->second[place];
}

std::vector<TrainRow> ObjectiveStage::step_rows(uint32_t step) {
  std::vector<TrainRow> rows;
  const uint64_t first = static_cast<uint64_t>(step - 1) * batch_size_;
  const uint32_t width = source_ == HONE_PAIRS ? 2 : 1;
  const auto n = static_cast<uint32_t>(rows_.size() / width);
  for (uint32_t i = 0; i < batch_size_; ++i) {
    const uint32_t at = place_in_pass(n, first + i, 0);
    for (uint32_t j = 0; j < width; ++j) {
      rows.push_back(rows_[at * width + j]);
      rows.back().group = i;  // a row drawn twice in one step is two groups
    }
  }
  return rows;
}

std::map<std::string, double> ObjectiveStage::train_step(uint32_t step) {
  std::map<std::string, double> metrics = on_policy() ? rollout_step(step) : rows_step(step);
  const auto sync = setting<uint32_t>("ref_model_sync_steps");
  if (sync > 0 && step % sync == 0) training_->refresh_reference();
  return metrics;
}

std::map<std::string, double> ObjectiveStage::rows_step(uint32_t step) {
  std::vector<TrainRow> rows = step_rows(step);
  const StepReport report = training_->step(rows, step, false);
  place_.tokens += report.tokens;
  std::map<std::string, double> metrics = report.metrics;
  metrics["loss"] = report.loss;
  metrics["grad_norm"] = report.grad_norm;
  metrics["learning_rate_factor"] = report.learning_rate_factor;
  metrics["num_tokens"] = static_cast<double>(place_.tokens);
  return metrics;
}

void ObjectiveStage::checkpoint(uint32_t step) {
  context_.run.metrics().sync();
  place_.step = step;
  place_.metrics_length = context_.run.metrics().length();
  write_checkpoint(directory_, step, setting<uint32_t>("keep_checkpoints"), to_json(place_), [&](const fs::path &folder) {
    training_->save(folder);
  });
}

void ObjectiveStage::run() {
  uint32_t done = 0;
  fs::path folder;
  if (directory_.newest_checkpoint(done, folder)) {
    place_ = run_place(read_state(folder));
    training_->load_weights(folder);
    if (done >= steps_) return finish();  // killed between the last checkpoint and the mark
    training_->load_optimizer(folder);
    log_info(folder_name_ + ": going on after step " + std::to_string(done) + " of " + std::to_string(steps_));
  } else {
    if (setting<bool>("cache") && take_from_cache()) return;
    place_.metrics_begin = context_.run.metrics().length();
  }
  Progress progress(folder_name_, steps_);
  uint32_t saved = done;
  const double began = seconds_now() - place_.seconds;
  for (uint32_t step = done + 1; step <= steps_; ++step) {
    const double step_began = seconds_now();
    std::map<std::string, double> metrics;
    try {
      context_.stop_if_interrupted();
      metrics = train_step(step);
    } catch (const Interrupted &) {
      place_.seconds = seconds_now() - began;
      if (step - 1 > saved) checkpoint(step - 1);
      throw;
    }
    metrics["step_time"] = seconds_now() - step_began;
    place_.seconds = seconds_now() - began;
    append_metrics(context_, folder_name_, step, metrics);
    if (on_policy()) watch_.look(step, metrics, taught_, place_.flat_steps);
    std::string note;
    for (const char *name : {"reward", "completions/mean_length", "loss"})
      if (const auto at = metrics.find(name); at != metrics.end() && !std::isnan(at->second))
        note += (note.empty() ? "" : "  ") + std::string(name) + " " + number_text(std::round(at->second * 1e4) / 1e4 + 0.0);
    progress.update(step, note);
    if (step == steps_ || step % setting<uint32_t>("save_every") == 0) {
      checkpoint(step);
      saved = step;
    }
  }
  finish();
}

void ObjectiveStage::finish() {
  json summary = {{"steps", steps_},
                  {"tokens", place_.tokens},
                  {"seconds", place_.seconds},
                  {"metrics_begin", place_.metrics_begin},
                  {"metrics_length", context_.run.metrics().length()},
                  {"weights_checksum", weights().checksum()}};
  if (!place_.cached.empty()) summary["cached"] = place_.cached;
  directory_.mark_done(summary);
  if (setting<bool>("cache") && place_.cached.empty()) put_into_cache();
}

void ObjectiveStage::restore_before(uint32_t step) {
  uint32_t from = 0;
  fs::path folder;
  if (directory_.newest_checkpoint(from, folder, step) && fs::exists(folder / "optimizer.safetensors")) {
    training_->load_weights(folder);
    training_->load_optimizer(folder);
    place_.drawn = run_place(read_state(folder)).drawn;
  } else {
    from = 0;
  }
  Progress progress("going back to step " + std::to_string(step) + " from " + std::to_string(from), step - 1 - from);
  for (uint32_t at = from + 1; at < step; ++at) {
    train_step(at);
    progress.update(at - from);
    context_.stop_if_interrupted();
  }
}

}  // namespace hone
