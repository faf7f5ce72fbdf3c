// model_training.cpp -- see model_training.h.
#include "core/stage/model_training.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/stage/models.h"

namespace hone {
namespace fs = std::filesystem;

static const char *const kOptimizerFile = "optimizer.safetensors", *const kCriticFolder = "critic", *const kReferenceFolder = "reference";

std::optional<CriticChoice> critic_choice(const nlohmann::json &settings) {
  if (settings.at("share_critic")) return {};
  const auto or_else = [&](const char *name, const char *otherwise, const char *key) {
    const bool given = settings.contains(name) && !settings[name].is_null();
    return handle_index(settings.at(given ? name : otherwise), key);
  };
  return CriticChoice{or_else("critic", "model", "$model"), or_else("critic_optimizer", "optimizer", "$optimizer"), settings.at("value_pretraining_steps")};
}

ModelTraining::ModelTraining(const RunContext &context, const ComponentInfo &objective, const nlohmann::json &settings,
                             int model, int optimizer, Adaptation adaptation, const std::optional<CriticChoice> &critic)
    : context_(context) {
  objective_ = std::make_unique<Instance>(objective, context.host.abi(), settings);
  const hone_objective methods = known_methods<hone_objective>(objective_->component());
  source_ = methods.source(objective_->self());
  needs_ = methods.needs(objective_->self());
  const bool judged = critic && needs(HONE_VALUE) && source_ == HONE_ON_POLICY;
  if (judged) {
    Adaptation of_critic = adaptation;
    of_critic.base_folder += "-of-critic";
    critic_ = std::make_unique<LearnedModel>(context, critic->model, critic->optimizer, true, std::move(of_critic));
    pretraining_steps_ = critic->pretraining_steps;
  }
  learned_ = std::make_unique<LearnedModel>(context, model, optimizer, needs(HONE_VALUE) && !judged, std::move(adaptation));
  if (needs(HONE_LOGP_REF | HONE_KL)) reference_ = learned_->as_it_began();
}

ModelTraining::~ModelTraining() = default;

static TrainerSettings with_schedule_of(TrainerSettings settings, const nlohmann::json &chosen) {
  settings.max_grad_norm = chosen.value("max_grad_norm", 1.0);
  settings.schedule = chosen.value("schedule", "constant");
  settings.warmup_steps = chosen.value("warmup_steps", 0u);
  settings.min_learning_rate_factor = chosen.value("min_learning_rate_factor", 0.0);
  return settings;
}

void ModelTraining::begin(TrainerSettings settings) {
  settings_ = std::move(settings);
  TrainerSettings of_model = with_schedule_of(settings_, learned_->optimizer_host_settings());
  Critic critic{};
  if (critic_) {
    critic = {&critic_->weights(), critic_->optimizer(), critic_->optimizer_self(), with_schedule_of(settings_, critic_->optimizer_host_settings()),
              pretraining_steps_};
    of_model.total_steps -= std::min(of_model.total_steps, pretraining_steps_);
  }
  trainer_ = std::make_unique<Trainer>(context_.kernels, context_.pool, learned_->weights(), known_methods<hone_objective>(objective_->component()),
                                       objective_->self(), learned_->optimizer(), learned_->optimizer_self(), of_model, critic_ ? &critic : nullptr);
}

StepReport ModelTraining::step(std::vector<TrainRow> &rows, uint64_t step, bool verify) {
  return trainer_->step(rows, step, reference_.get(), verify);
}

void ModelTraining::refresh_reference() {
  if (!reference_) return;
  reference_ = learned_->weights().clone();
  refreshed_ = true;
}

void ModelTraining::restart() {
  learned_->begin_again();
  if (critic_) critic_->begin_again();
  if (reference_) reference_ = learned_->as_it_began();
  refreshed_ = false;
  begin(settings_);
}

void ModelTraining::save(const fs::path &folder) const {
  learned_->save(folder);
  trainer_->save_state(folder / kOptimizerFile);
  if (critic_) {
    fs::create_directories(folder / kCriticFolder);
    critic_->save(folder / kCriticFolder);
    trainer_->save_critic_state(folder / kCriticFolder / kOptimizerFile);
  }
  if (refreshed_) {
    fs::create_directories(folder / kReferenceFolder);
    learned_->save(folder / kReferenceFolder, reference_.get());
  }
}

void ModelTraining::load_weights(const fs::path &folder) {
  learned_->load(folder);
  if (critic_) critic_->load(folder / kCriticFolder);
  refreshed_ = fs::exists(folder / kReferenceFolder);
  if (refreshed_) reference_ = learned_->read(folder / kReferenceFolder);
}

void ModelTraining::load_optimizer(const fs::path &folder) {
  trainer_->load_state(folder / kOptimizerFile);
  if (critic_) trainer_->load_critic_state(folder / kCriticFolder / kOptimizerFile);
}

}  // namespace hone
