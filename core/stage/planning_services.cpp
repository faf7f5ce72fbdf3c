// planning_services.cpp -- see planning_services.h.
#include "core/stage/planning_services.h"

#include <cstdio>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/stage/loop_handles.h"
#include "hone/draft/stage.h"

namespace hone {

static int32_t refused(hone_error *err) {
  err->code = HONE_UNSUPPORTED;
  std::snprintf(err->text, sizeof err->text, "a stage's services work in step() only, not while it is made");
  return HONE_UNSUPPORTED;
}

PlanningServices::PlanningServices(const Registry &registry, const Pipeline &pipeline, Host &host) : registry_(registry), pipeline_(pipeline) {
  hone_stage_host &s = services_;
  s.struct_size = sizeof s;
  s.ctx = this;
  s.data = [](void *, int64_t, hone_table *, hone_error *err) { return refused(err); };
  s.rollout = [](void *, int64_t, const hone_table *, const hone_sampling *, hone_table *, hone_error *err) { return refused(err); };
  s.score = [](void *, int64_t, const hone_table *, uint32_t, hone_table *, hone_error *err) { return refused(err); };
  s.call = [](void *, int64_t, const hone_table *, uint8_t *, hone_error *err) { return refused(err); };
  s.emit = [](void *, const hone_table *, hone_error *err) { return refused(err); };
  s.result = [](void *, hone_str, const hone_table *, hone_error *err) { return refused(err); };
  s.model_name = [](void *, int64_t) { return hone_str{"model", 5}; };
  s.progress = [](void *, uint64_t, uint64_t) {};
  s.logprobs = [](void *, int64_t, const hone_table *, float, hone_table *, hone_error *err) { return refused(err); };
  s.trainer = trainer;
  s.train_step = [](void *, int64_t, const hone_table *, hone_table *, hone_error *err) { return refused(err); };
  s.restart = [](void *, int64_t, hone_error *err) { return refused(err); };
  s.labels = labels;
  s.values = [](void *, int64_t, const hone_table *, hone_table *, hone_error *err) { return refused(err); };
  host.offer(HONE_HOST_STAGE, &services_);
}

int32_t PlanningServices::labels(void *ctx, int64_t rewards, hone_table *out, hone_error *err) {
  auto &self = *static_cast<PlanningServices *>(ctx);
  if (!self.node_) return refused(err);
  try {
    self.labels_ = reward_labels(self.pipeline_, self.handles_->at(static_cast<size_t>(rewards)));
    *out = self.labels_.abi();
    return HONE_OK;
  } catch (const std::exception &error) {
    err->code = HONE_INVALID;
    std::snprintf(err->text, sizeof err->text, "%s", error.what());
    return HONE_INVALID;
  }
}

int32_t PlanningServices::trainer(void *ctx, int64_t model, hone_str objective, hone_str settings, int64_t optimizer, const hone_training *how,
                                  int64_t *trained, hone_error *err) {
  auto &self = *static_cast<PlanningServices *>(ctx);
  if (!self.node_) return refused(err);  // it is no stage that asks
  try {
    self.asked_.push_back(trainer_request(self.registry_, self.pipeline_, *self.node_, self.where_, self.asked_.empty(), model, objective, settings,
                                          optimizer, how));
    *trained = static_cast<int64_t>(self.pipeline_.models.size() + self.asked_.size()) - 1;
    return HONE_OK;
  } catch (const std::exception &error) {
    if (!self.wrong_) self.wrong_ = std::current_exception();
    err->code = HONE_INVALID;
    std::snprintf(err->text, sizeof err->text, "%s", error.what());
    return HONE_INVALID;
  }
}

std::vector<TrainerRequest> PlanningServices::trainers_of(const StageNode &node, const std::string &where,
                                                          const std::vector<nlohmann::json> &handles, const std::function<void()> &create) {
  node_ = &node;
  handles_ = &handles;
  where_ = where;
  asked_.clear();
  wrong_ = nullptr;
  try {
    create();
  } catch (const UsageError &) {
    if (!wrong_) throw;
  } catch (const Failure &failure) {
    if (!wrong_) throw UsageError(after_place(where, failure.what()));
  }
  node_ = nullptr;
  if (wrong_) std::rethrow_exception(wrong_);
  return asked_;
}

}  // namespace hone
