// trainers.h -- the models that a loop stage trains: what it asked for, their steps, and their part of a checkpoint.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/stage/model_training.h"
#include "core/stage/table.h"

namespace hone {

// What a stage asked trainer() for, checked.
struct TrainerRequest {
  int model = -1, optimizer = -1;  // of the pipeline
  const ComponentInfo *objective = nullptr;
  nlohmann::json settings;  // the objective's own, with defaults
  TrainerSettings how;

  // What must be the same after a resume.
  nlohmann::json identity() const;
};

// first: whether it is the stage's first trainer, whose model is the script's stage.model. UsageError that begins with `where`.
TrainerRequest trainer_request(const Registry &, const Pipeline &, const StageNode &, const std::string &where, bool first, int64_t model,
                               hone_str objective, hone_str settings, int64_t optimizer, const hone_training *how);

class Trainers {
 public:
  Trainers(const RunContext &, int stage_index, const std::string &where);
  // The models that are added go on from this checkpoint. saved: state() as it was then.
  void resume(const std::filesystem::path &checkpoint, const nlohmann::json &saved);

  int64_t add(const TrainerRequest &);  // its handle
  bool has(int64_t handle) const;
  size_t count() const { return trained_.size(); }
  // Failure unless all models of the checkpoint were added again.
  void check_complete() const;

  const ModelTraining &at(int64_t handle) const { return *find(handle).training; }
  // Of its weights as they are: no other model here, and not this one before or after, has the same. From 1.
  uint64_t version(int64_t handle) const { return find(handle).version; }
  OwnedTable step(int64_t handle, const hone_table &rows, uint64_t &tokens);
  void restart(int64_t handle);
  void discard_values() {
    for (const Trained &trained : trained_) trained.training->discard_values();
  }

  // The first model at the folder's top, so that it loads as a model; others in trainer-2/, ...
  void save(const std::filesystem::path &folder) const;
  nlohmann::json state() const;
  nlohmann::json checksum() const;  // of the first model's weights; null when there is none

 private:
  struct Trained {
    std::unique_ptr<ModelTraining> training;
    nlohmann::json identity;
    uint64_t steps = 0, version = 0;  // steps since it began, or began again
  };
  const Trained &find(int64_t handle) const;
  Trained &find(int64_t handle) { return const_cast<Trained &>(std::as_const(*this).find(handle)); }

  const RunContext &context_;
  int index_;
  const StageNode &node_;
  std::string where_;
  std::filesystem::path checkpoint_;
  nlohmann::json saved_ = nlohmann::json::array();
  std::vector<Trained> trained_;
  uint64_t versions_ = 0;  // given so far
};

}  // namespace hone
