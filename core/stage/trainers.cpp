// trainers.cpp -- see trainers.h.
#include "core/stage/trainers.h"

#include <algorithm>
#include <cstring>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/plugin/settings.h"
#include "core/stage/models.h"
#include "core/stage/train_rows.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json objective_settings(const ComponentInfo &objective, hone_str text, const std::string &where) {
  const std::string given(text.data, text.size);
  const json settings = given.empty() ? json::object() : json::parse(given, nullptr, false);
  if (settings.is_discarded()) throw UsageError(where + ": settings are a JSON table, got " + with_replaced_invalid_utf8(given.substr(0, 80)));
  return check_settings(objective.settings, settings, where);
}

void check_handle(int64_t handle, size_t n, const char *what, const std::string &where) {
  if (handle < 0) throw UsageError(where + ": asks for a trainer, but the script gave it no " + what);
  if (handle >= static_cast<int64_t>(n))
    throw UsageError(where + ": asks for a trainer with the " + what + " " + std::to_string(handle) + ", which the script does not have");
}

// k from 0.
fs::path folder_of(const fs::path &checkpoint, size_t k) { return k == 0 ? checkpoint : checkpoint / ("trainer-" + std::to_string(k + 1)); }

}  // namespace

json TrainerRequest::identity() const {
  return {{"model", model}, {"optimizer", optimizer}, {"objective", objective->name}, {"settings", settings},
          {"temperature", how.temperature}, {"num_iterations", how.inner_epochs}, {"steps", how.total_steps}};
}

TrainerRequest trainer_request(const Registry &registry, const Pipeline &pipeline, const StageNode &node, const std::string &where, bool first,
                               int64_t model, hone_str objective, hone_str settings, int64_t optimizer, const hone_training *given) {
  const ComponentInfo &stage = registry.require("stage", node.component);
  if (!trains(stage)) throw UsageError(where + ": asks for a trainer, but has no setting of type HONE_OPTIMIZER_HANDLE");
  check_handle(model, pipeline.models.size(), "model", where);
  check_handle(optimizer, pipeline.optimizers.size(), "optimizer", where);
  if (first && model != handle_index(node.settings.value("model", json()), "$model"))
    throw UsageError(where + ": its first trainer must train its setting \"model\", since a script takes the shape of stage.model from there");

  TrainerRequest request;
  request.model = static_cast<int>(model);
  request.optimizer = static_cast<int>(optimizer);
  try {
    request.objective = &registry.require("stage", std::string(objective.data, objective.size));
  } catch (const UsageError &unknown) {
    throw UsageError(where + ": " + unknown.what());
  }
  const std::string name = request.objective->name;
  if (request.objective->kind != HONE_OBJECTIVE)
    throw UsageError(where + ": asks for a trainer of \"" + name + "\", which is no objective but a stage that drives a loop of its own");
  request.settings = objective_settings(*request.objective, settings, where + ": objective \"" + name + "\"");

  hone_training how{};
  if (given) std::memcpy(&how, given, std::min<size_t>(sizeof how, given->struct_size));
  if (!(how.temperature >= 0 && how.temperature <= 100))
    throw UsageError(where + ": a trainer's temperature is " + number_text(how.temperature) + "; it must be above 0 and at most 100");
  request.how.temperature = how.temperature > 0 ? how.temperature : 1;
  request.how.inner_epochs = std::max(1u, how.num_iterations);
  if (how.steps > UINT32_MAX) throw UsageError(where + ": a trainer is to make " + std::to_string(how.steps) + " steps; at most 4294967295 are counted");
  request.how.total_steps = static_cast<uint32_t>(how.steps);
  request.how.unit_tokens = node.settings.at("unit_tokens");
  request.how.checkpointing = node.settings.at("gradient_checkpointing");
  request.how.mtp_loss_weight = node.settings.at("mtp_loss_weight");
  const OptimizerNode &chosen = pipeline.optimizers[request.optimizer];
  const std::string schedule = chosen.host_settings.value("schedule", "constant");
  if (schedule != "constant" && how.steps == 0)
    throw UsageError(chosen.place.text() + ": the schedule \"" + schedule + "\" goes by the number of all steps, which stage " + node.component +
                     " (" + node.place.text() + ") does not know beforehand; use schedule = \"constant\"");
  return request;
}

Trainers::Trainers(const RunContext &context, int index, const std::string &where)
    : context_(context), index_(index), node_(context.pipeline.stages.at(index)), where_(where) {}

void Trainers::resume(const fs::path &checkpoint, const json &saved) {
  checkpoint_ = checkpoint;
  saved_ = saved;
  for (const json &one : saved) versions_ = std::max(versions_, one.at("version").get<uint64_t>());
}

int64_t Trainers::add(const TrainerRequest &request) {
  Trained trained;
  trained.training =
      std::make_unique<ModelTraining>(context_, *request.objective, request.settings, request.model, request.optimizer,
                                      adaptation_of(context_, index_, trained_.size()));
  trained.training->begin(request.how);
  trained.identity = request.identity();
  const size_t k = trained_.size();
  if (checkpoint_.empty()) {
    trained.version = ++versions_;
  } else {
    if (k == saved_.size())
      throw Failure(where_ + ": asks for trainer " + std::to_string(k + 1) + ", but " + checkpoint_.string() + " was written with " + std::to_string(k) +
                    "; a stage must ask for its trainers in the same way in every process");
    const json &saved = saved_[k];
    if (saved.at("identity") != trained.identity)
      throw Failure(where_ + ": asks for trainer " + std::to_string(k + 1) + " as " + trained.identity.dump() + ", but " + checkpoint_.string() +
                    " was written with " + saved.at("identity").dump() + "; a stage must ask for its trainers in the same way in every process");
    trained.training->load_weights(folder_of(checkpoint_, k));
    trained.training->load_optimizer(folder_of(checkpoint_, k));
    trained.steps = saved.at("steps");
    trained.version = saved.at("version");
  }
  trained_.push_back(std::move(trained));
  return static_cast<int64_t>(context_.pipeline.models.size() + k);
}

void Trainers::check_complete() const {
  if (trained_.size() < saved_.size())
    throw Failure(where_ + ": " + checkpoint_.string() + " holds " + std::to_string(saved_.size()) + " trained models, but the stage has asked for " +
                  std::to_string(trained_.size()) + "; it must ask for all of them in start() or in the first step() of each process");
}

bool Trainers::has(int64_t handle) const {
  const auto first = static_cast<int64_t>(context_.pipeline.models.size());
  return handle >= first && handle - first < static_cast<int64_t>(trained_.size());
}

const Trainers::Trained &Trainers::find(int64_t handle) const {
  if (!has(handle)) throw Failure(where_ + ": asked for the trained model with handle " + std::to_string(handle) + ", which trainer() did not give");
  return trained_[static_cast<size_t>(handle) - context_.pipeline.models.size()];
}

OwnedTable Trainers::step(int64_t handle, const hone_table &table, uint64_t &tokens) {
  Trained &trained = find(handle);
  const std::string where = where_ + ": train_step";
  const TableReader reader(table, where);
  std::vector<TrainRow> rows = train_rows(reader, *trained.training, trained.version, where);
  StepReport report;
  try {
    report = trained.training->step(rows, trained.steps + 1, context_.verify_all || node_.settings.at("verify").get<bool>());
  } catch (const LogpMismatch &mismatch) {
    throw Failure(where + ": " + mismatch.what() +
                  (reader.has("policy_version") ? "" : " Rows that other weights sampled need the column \"policy_version\", as rollout() gave it."));
  } catch (const Failure &failure) {
    throw Failure(where + ": " + failure.what());
  }
  if (report.rows > 0) ++trained.steps, trained.version = ++versions_;
  tokens = report.tokens;
  OwnedTable out(1);
  out.floats("loss", {report.loss});
  out.floats("grad_norm", {report.grad_norm});
  out.floats("learning_rate_factor", {report.learning_rate_factor});
  out.floats("tokens", {static_cast<double>(report.tokens)});
  out.floats("rows", {static_cast<double>(report.rows)});
  if (report.compared > 0) out.floats("sampling/sampling_logp_difference/max", {report.logp_difference_max});
  for (const auto &[name, value] : report.metrics) out.floats(name, {value});
  return out;
}

void Trainers::restart(int64_t handle) {
  Trained &trained = find(handle);
  trained.training->restart();
  trained.steps = 0;
  trained.version = ++versions_;
}

void Trainers::save(const fs::path &folder) const {
  for (size_t k = 0; k < trained_.size(); ++k) {
    const fs::path to = folder_of(folder, k);
    fs::create_directories(to);
    trained_[k].training->save(to);
  }
}

json Trainers::state() const {
  json all = json::array();
  for (const Trained &trained : trained_)
    all.push_back({{"identity", trained.identity}, {"steps", trained.steps}, {"version", trained.version}});
  return all;
}

json Trainers::checksum() const { return trained_.empty() ? json() : json(trained_[0].training->weights().checksum()); }

}  // namespace hone
