// model_training.h -- one model being trained: its weights, the objective and the optimizer that move them, the model it began
// as where the objective compares with it, and its files in a checkpoint.
#pragma once

#include "core/stage/context.h"
#include "core/train/trainer.h"

namespace hone {

class ModelTraining {
 public:
  // A copy of the pipeline's `model`. settings: the objective's own, checked. model and optimizer are indices of the pipeline.
  ModelTraining(const RunContext &, const ComponentInfo &objective, const nlohmann::json &settings, int model, int optimizer);
  ~ModelTraining();

  uint32_t source() const { return source_; }
  uint64_t needs() const { return needs_; }
  bool needs(uint64_t column) const { return (needs_ & column) != 0; }
  const Weights &weights() const { return *weights_; }
  const Tokenizer &tokenizer() const { return *tokenizer_; }
  uint32_t max_positions() const { return weights_->architecture().info().max_positions; }

  // Once, before the first step. The schedule and clipping are the optimizer's, whatever the settings say of them.
  void begin(TrainerSettings);
  StepReport step(std::vector<TrainRow> &, uint64_t step, bool verify);  // see Trainer::step
  void restart();  // weights and optimizer as they were when this was made

  // A model directory with the optimizer's state beside it.
  void save(const std::filesystem::path &folder) const;
  void load_weights(const std::filesystem::path &folder);
  void load_optimizer(const std::filesystem::path &folder);

 private:
  void take(const Weights &, const std::string &from);

  const RunContext &context_;
  int model_, optimizer_index_;
  std::unique_ptr<Instance> objective_, optimizer_;
  uint32_t source_ = 0;
  uint64_t needs_ = 0;
  std::unique_ptr<Weights> weights_, reference_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  TrainerSettings settings_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace hone
