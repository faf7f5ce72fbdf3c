// objective_stage.h -- the loop that drives an objective: rows, pairs, a teacher's responses, or rollouts of the model itself.
#pragma once

#include <span>

#include "core/rollout/sampler.h"
#include "core/stage/collapse.h"
#include "core/stage/data.h"
#include "core/stage/model_training.h"
#include "core/stage/models.h"
#include "core/stage/reward_sets.h"
#include "core/stage/stage_files.h"

namespace hone {

// A prompt of one step with its place in the data.
struct StepPrompt {
  const DataRow *row = nullptr;
  std::vector<int32_t> ids;
};

class ObjectiveStage {
 public:
  // Loads the model and the data and creates the plugins; trains nothing.
  // replaying: nothing is written, and the journal must have every score.
  ObjectiveStage(RunContext &, int stage_index, bool replaying = false);
  ~ObjectiveStage();

  void run();  // from the newest checkpoint, or the start, to the end; throws Interrupted after saving

  // For replay: brings the weights to where they were before `step`, from the nearest earlier checkpoint (or the start),
  // training again from recorded rollouts. Nothing is written.
  void restore_before(uint32_t step);
  // The prompts with numbers [begin, end) of a step: row r of it answers number r / num_generations. Numbers from batch_size on are
  // those of dynamic sampling. Of the step that comes next.
  std::vector<StepPrompt> step_prompts(uint32_t step, uint32_t begin, uint32_t end);
  std::vector<SampleRequest> requests(const std::vector<StepPrompt> &, uint32_t begin) const;
  SampleSettings sampling(uint32_t step) const;
  Sampler &sampler() { return *sampler_; }
  const Weights &weights() const { return training_->weights(); }
  const Tokenizer &tokenizer() const { return training_->tokenizer(); }
  bool on_policy() const;
  uint32_t num_generations() const { return num_generations_; }

 private:
  void load_rows();
  void sample_teacher();
  static RowToScore row_to_score(const Tokenizer &, const DataRow &, const SampledRow &);
  bool scores_steps() const { return on_policy() && training_->needs(HONE_STEP_REWARD); }
  void cut_into_steps(std::vector<RowToScore> &) const;
  bool take_from_cache();
  void put_into_cache();
  std::string cache_key() const;
  std::map<std::string, double> train_step(uint32_t step);
  std::map<std::string, double> rows_step(uint32_t step);
  std::map<std::string, double> rollout_step(uint32_t step);
  struct Rollouts;
  void sample_round(uint32_t step, uint32_t round, Rollouts &);
  bool tells_apart(const Rollouts &, uint32_t prompt) const;
  std::vector<float> greedy_rewards(uint32_t step, Rollouts &);
  std::vector<TrainRow> rollout_rows(uint32_t step, const Rollouts &, const std::vector<float> &baseline);
  void record(uint32_t step, const Rollouts &, const StepReport &);
  bool dynamic() const { return setting<bool>("dynamic_sampling"); }
  std::vector<TrainRow> step_rows(uint32_t step);
  void checkpoint(uint32_t step);
  void finish();
  uint32_t place_in_pass(uint32_t n, uint64_t position, uint32_t salt);
  template <class T> T setting(const char *name) const { return settings_.at(name).get<T>(); }

  RunContext &context_;
  int index_;
  const StageNode &node_;
  const nlohmann::json &settings_;
  uint32_t number_;
  std::string folder_name_, where_;
  StageDirectory directory_;

  std::unique_ptr<ModelTraining> training_;
  uint32_t source_ = 0;
  std::unique_ptr<Weights> teacher_;
  std::shared_ptr<const Tokenizer> teacher_tokenizer_;
  std::vector<Domain> domains_;                     // prompts
  std::vector<TrainRow> rows_;                      // rows, a teacher's responses, or pairs two by two
  std::unique_ptr<RewardSets> rewards_;
  std::unique_ptr<ScoreJournal> journal_;
  std::unique_ptr<Sampler> sampler_;
  uint32_t batch_size_, num_generations_, steps_ = 0;
  RunPlace place_;
  CollapseWatch watch_;
  bool replaying_, taught_ = false;  // the last step
  std::map<std::pair<uint32_t, uint32_t>, std::vector<uint32_t>> orders_;  // (salt, pass) -> permutation; the last pass of each
};

}  // namespace hone
