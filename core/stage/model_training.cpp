// model_training.cpp -- see model_training.h.
#include "core/stage/model_training.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/stage/models.h"

namespace hone {
namespace fs = std::filesystem;

static const char *const kOptimizerFile = "optimizer.safetensors";

ModelTraining::ModelTraining(const RunContext &context, const ComponentInfo &objective, const nlohmann::json &settings, int model, int optimizer)
    : context_(context), model_(model), optimizer_index_(optimizer) {
  objective_ = std::make_unique<Instance>(objective, context.host.abi(), settings);
  const hone_objective methods = known_methods<hone_objective>(objective_->component());
  source_ = methods.source(objective_->self());
  needs_ = methods.needs(objective_->self());
  const OptimizerNode &chosen = context.pipeline.optimizers.at(optimizer);
  optimizer_ = std::make_unique<Instance>(context.registry.require("optimizer", chosen.component), context.host.abi(), chosen.settings);
  StageModel loaded = load_stage_model(context, model);
  weights_ = std::move(loaded.weights);
  tokenizer_ = std::move(loaded.tokenizer);
  if (needs(HONE_VALUE) && !weights_->has_value_head()) weights_->add_value_head();
  if (needs(HONE_LOGP_REF | HONE_KL)) reference_ = weights_->clone();
}

ModelTraining::~ModelTraining() = default;

void ModelTraining::begin(TrainerSettings settings) {
  const nlohmann::json &chosen = context_.pipeline.optimizers.at(optimizer_index_).host_settings;
  settings.max_grad_norm = chosen.value("max_grad_norm", 1.0);
  settings.schedule = chosen.value("schedule", "constant");
  settings.warmup_steps = chosen.value("warmup_steps", 0u);
  settings.min_learning_rate_factor = chosen.value("min_learning_rate_factor", 0.0);
  settings_ = std::move(settings);
  trainer_ = std::make_unique<Trainer>(context_.kernels, context_.pool, *weights_, known_methods<hone_objective>(objective_->component()),
                                       objective_->self(), known_methods<hone_optimizer>(optimizer_->component()), optimizer_->self(), settings_);
}

StepReport ModelTraining::step(std::vector<TrainRow> &rows, uint64_t step, bool verify) {
  return trainer_->step(rows, step, reference_.get(), verify);
}

void ModelTraining::take(const Weights &from, const std::string &where) {
  if (from.total_size() != weights_->total_size())
    throw Failure(where + ": holds " + std::to_string(from.total_size()) + " numbers, but the model in training has " +
                  std::to_string(weights_->total_size()) + "; was it written by another objective?");
  std::copy(from.data(), from.data() + from.total_size(), weights_->data());
  weights_->changed();
}

void ModelTraining::restart() {
  StageModel again = load_stage_model(context_, model_);
  if (weights_->has_value_head() && !again.weights->has_value_head()) again.weights->add_value_head();
  take(*again.weights, "the model it began as");
  begin(settings_);
}

void ModelTraining::save(const fs::path &folder) const {
  save_model(folder, *weights_, *tokenizer_);
  trainer_->save_state(folder / kOptimizerFile);
}

void ModelTraining::load_weights(const fs::path &folder) {
  take(*load_model(folder, context_.registry, context_.host, context_.dtype).weights, folder.string());
}

void ModelTraining::load_optimizer(const fs::path &folder) { trainer_->load_state(folder / kOptimizerFile); }

}  // namespace hone
