// learned_model.h -- a model that a stage trains: its weights (in full, or an adapter over a base), its optimizer, and their files in a
// checkpoint.
#pragma once

#include <memory>
#include <optional>

#include "core/model/adapter_files.h"
#include "core/stage/context.h"
#include "hone/ext/optimizer.h"

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

class LearnedModel {
 public:
  // A copy of the pipeline's `model`, or an adapter over it. model and optimizer are indices of the pipeline.
  LearnedModel(const RunContext &, int model, int optimizer, bool value_head, Adaptation);
  ~LearnedModel();

  Weights &weights() { return *weights_; }
  const Weights &weights() const { return *weights_; }
  const Tokenizer &tokenizer() const { return *tokenizer_; }
  hone_optimizer optimizer() const;
  void *optimizer_self() const;
  const nlohmann::json &optimizer_host_settings() const;  // its schedule and clipping

  std::shared_ptr<const Weights> as_it_began() const;  // before the first step: a copy that stays; of an adapter its base
  void begin_again();                                  // the weights as they were when this was made

  // A model directory; of an adapter, what adapter_files.h says. The first save of one writes its base too, when that is in no
  // directory. `other` are weights of the same kind, null: its own.
  void save(const std::filesystem::path &folder, const Weights *other = nullptr) const;
  void load(const std::filesystem::path &folder);
  std::shared_ptr<const Weights> read(const std::filesystem::path &folder) const;  // what save wrote

 private:
  void take(const Weights &, const std::string &from);
  std::unique_ptr<Weights> beginning();  // the model that training begins with
  std::filesystem::path find_base() const;
  void keep_base() const;

  const RunContext &context_;
  int model_, optimizer_index_;
  bool value_head_;
  std::unique_ptr<Instance> optimizer_;
  Adaptation adaptation_;
  AdapterBase base_;  // its path is absolute, and may come to be only with the first save
  std::unique_ptr<Weights> weights_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace hone
