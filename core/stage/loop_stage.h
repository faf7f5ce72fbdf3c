// loop_stage.h -- hosts a stage that drives its own loop (hone.stage/1): its services, and its state on disk.
#pragma once

#include "core/rollout/sampler.h"
#include "core/run/progress.h"
#include "core/stage/data.h"
#include "core/stage/models.h"
#include "core/stage/reward_sets.h"
#include "core/stage/stage_files.h"
#include "core/stage/table.h"
#include "core/stage/trainers.h"

namespace hone {

class LoopStage {
 public:
  LoopStage(RunContext &, int stage_index);
  ~LoopStage();
  void run();  // from the newest checkpoint, or the start, to the end; throws Interrupted after saving

 private:
  friend struct LoopServices;
  struct ModelInUse {
    const Weights *weights;
    const Tokenizer *tokenizer;
  };
  enum Use { sampled, valued };
  // The script's, or one that trainer() gave; until another is asked for, for the same use.
  ModelInUse model(int64_t handle, Use = sampled);
  void forget_prefixes();
  RewardSets &rewards(int64_t handle);
  void finish_this_step();
  void check_trainers() const;
  void remember(uint32_t step, bool done);
  void checkpoint();
  void finish();
  std::string saved_state();

  RunContext &context_;
  int index_;
  const StageNode &node_;
  uint32_t number_;
  std::string folder_name_, where_;
  StageDirectory directory_;
  std::atomic<int> *signal_;     // the context's, which does not have it while a step that has trained is finished
  Trainers trainers_;
  uint32_t from_step_ = 0;       // of the checkpoint that this process goes on from; 0: none
  std::filesystem::path from_;
  nlohmann::json weights_checksum_;  // of the script's stage.model when all is done; null: not yet, or there is none
  hone_stage_host services_{};
  std::unique_ptr<Host> host_;
  std::unique_ptr<Instance> stage_;
  hone_stage methods_{};

  std::map<int64_t, StageModel> models_;
  int64_t in_use_[2] = {-1, -1};                // models by Use
  std::map<int64_t, std::unique_ptr<RewardSets>> rewards_;
  std::vector<nlohmann::json> handle_values_;   // what an index that crosses the ABI stands for
  std::unique_ptr<Sampler> sampler_, valuer_;   // each with the prefixes of one model
  std::unique_ptr<ScoreJournal> journal_;
  GrowingFile data_;
  nlohmann::json results_ = nlohmann::json::array();
  std::map<std::string, double> metrics_;
  RunPlace place_;
  nlohmann::json remembered_;    // state.json after the last whole step, and the plugin's own state
  std::string remembered_text_;
  std::unique_ptr<Progress> progress_;
  std::map<std::string, OwnedTable> given_;     // the last table of each service
  std::string name_;
  uint64_t progress_total_ = 0;
  uint32_t score_calls_ = 0;  // within one step
  int interruption_ = 0;         // a signal has dropped the step under way
  std::string fatal_;            // why the weights cannot be trusted any more
  bool past_first_step_ = false;
};

}  // namespace hone
