// model_training.h -- one model being trained: its weights, the objective and the optimizer that move them, the model that the objective
// compares with, the critic that judges beside it, and the files of all of them in a checkpoint.
#pragma once

#include "core/stage/learned_model.h"
#include "core/train/trainer.h"

namespace hone {

// The critic of an objective that reads values on policy. model and optimizer are indices of the pipeline.
struct CriticChoice {
  int model = -1, optimizer = -1;
  uint32_t pretraining_steps = 0;  // see Critic
};

// Of an objective stage's checked settings; nothing with share_critic.
std::optional<CriticChoice> critic_choice(const nlohmann::json &settings);

class ModelTraining {
 public:
  // Trains a copy of the pipeline's `model`, or an adapter over it. settings: the objective's own, checked. model and
  // optimizer are indices of the pipeline. critic: nothing, and values are those of a value head on the model itself.
  ModelTraining(const RunContext &, const ComponentInfo &objective, const nlohmann::json &settings, int model,
                int optimizer, Adaptation = {}, const std::optional<CriticChoice> &critic = {});
  ~ModelTraining();

  uint32_t source() const { return source_; }
  uint64_t needs() const { return needs_; }
  bool needs(uint64_t column) const { return (needs_ & column) != 0; }
  const Weights &weights() const { return learned_->weights(); }
  const Tokenizer &tokenizer() const { return learned_->tokenizer(); }
  uint32_t max_positions() const { return weights().architecture().info().max_positions; }

  // Once, before the first step. The schedule and clipping are the optimizer's, whatever the settings say of them.
  void begin(TrainerSettings);
  StepReport step(std::vector<TrainRow> &, uint64_t step, bool verify);  // see Trainer::step
  // The model as it is becomes the one that the objective compares with from here on (if it compares).
  void refresh_reference();
  void discard_values() {  // before its weights sample: see Trainer
    if (trainer_) trainer_->discard_values();
  }
  void restart();  // weights and optimizer as they were when this was made

  // A model directory with the optimizer's state beside it, and folders of the critic and of a reference that was refreshed.
  void save(const std::filesystem::path &folder) const;
  void load_weights(const std::filesystem::path &folder);
  void load_optimizer(const std::filesystem::path &folder);

 private:
  const RunContext &context_;
  std::unique_ptr<Instance> objective_;
  uint32_t source_ = 0;
  uint64_t needs_ = 0;
  std::unique_ptr<LearnedModel> learned_, critic_;
  uint32_t pretraining_steps_ = 0;
  std::shared_ptr<const Weights> reference_;
  bool refreshed_ = false;  // else the reference is what the model began as
  TrainerSettings settings_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace hone
