// planning_services.h -- hone.host.stage/1 while a stage is created for a plan: every call is refused but trainer(), which is
// checked and written down, and labels().
#pragma once

#include <exception>
#include <functional>

#include "core/plugin/host.h"
#include "core/stage/table.h"
#include "core/stage/trainers.h"

namespace hone {

class PlanningServices {
 public:
  PlanningServices(const Registry &, const Pipeline &, Host &);  // offers itself; must outlive what is created with the host
  PlanningServices(const PlanningServices &) = delete;

  // Runs create(), which creates the stage, and returns the trainers that it asked for meanwhile. handles: what its handles of
  // data, rewards and functions stand for. UsageError with the script's place for what is wrong with a trainer, whatever the
  // stage makes of it.
  std::vector<TrainerRequest> trainers_of(const StageNode &, const std::string &where, const std::vector<nlohmann::json> &handles,
                                          const std::function<void()> &create);

 private:
  static int32_t trainer(void *ctx, int64_t model, hone_str objective, hone_str settings, int64_t optimizer, const hone_training *how,
                         int64_t *trained, hone_error *err);
  static int32_t labels(void *ctx, int64_t rewards, hone_table *out, hone_error *err);

  const Registry &registry_;
  const Pipeline &pipeline_;
  hone_stage_host services_{};
  const StageNode *node_ = nullptr;
  std::string where_;
  const std::vector<nlohmann::json> *handles_ = nullptr;
  OwnedTable labels_;
  std::vector<TrainerRequest> asked_;
  std::exception_ptr wrong_;
};

}  // namespace hone
