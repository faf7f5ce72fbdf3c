// model_training.h -- one model being trained: its weights, the objective and the optimizer that move them, the model it began
// as where the objective compares with it, and its files in a checkpoint.
#pragma once

#include <optional>

#include "core/model/adapter_files.h"
#include "core/stage/context.h"
#include "core/train/trainer.h"

namespace hone {

// How a stage's model is to be adapted instead of trained in full (LoRA).
struct Adaptation {
  std::optional<LoraSettings> lora;   // nothing: train in full
  std::filesystem::path base_folder;  // where the base is kept when it is in no model directory of its own
  uint64_t seed = 0;                  // of A
  std::string where;                  // of the setting, for what is wrong with it
};
// k: of a stage's trained models, from 0.
Adaptation adaptation_of(const RunContext &, int stage_index, size_t k);

class ModelTraining {
 public:
  // A copy of the pipeline's `model`, or an adapter over it. settings: the objective's own, checked. model and
  // optimizer are indices of the pipeline.
  ModelTraining(const RunContext &, const ComponentInfo &objective, const nlohmann::json &settings, int model,
                int optimizer, Adaptation = {});
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
  void discard_values() {  // before its weights sample: see Trainer
    if (trainer_) trainer_->discard_values();
  }
  void restart();  // weights and optimizer as they were when this was made

  // A model directory with the optimizer's state beside it; of an adapter, what adapter_files.h says. The first save of
  // one writes its base too, when that is in no directory.
  void save(const std::filesystem::path &folder) const;
  void load_weights(const std::filesystem::path &folder);
  void load_optimizer(const std::filesystem::path &folder);

 private:
  void take(const Weights &, const std::string &from);
  std::unique_ptr<Weights> beginning();  // the model that training begins with
  std::filesystem::path find_base() const;
  void keep_base() const;

  const RunContext &context_;
  int model_, optimizer_index_;
  std::unique_ptr<Instance> objective_, optimizer_;
  uint32_t source_ = 0;
  uint64_t needs_ = 0;
  Adaptation adaptation_;
  AdapterBase base_;  // its path is absolute, and may come to be only with the first save
  std::unique_ptr<Weights> weights_;
  std::shared_ptr<const Weights> reference_;  // of an adapter: its base
  std::shared_ptr<const Tokenizer> tokenizer_;
  TrainerSettings settings_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace hone
