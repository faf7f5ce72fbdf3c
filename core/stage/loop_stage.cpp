// loop_stage.cpp -- see loop_stage.h.
#include "core/stage/loop_stage.h"

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/stage/loop_handles.h"
#include "core/stage/loop_services.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

LoopStage::LoopStage(RunContext &context, int index)
    : context_(context),
      index_(index),
      node_(context.pipeline.stages.at(index)),
      number_(context.number_of(index)),
      folder_name_(stage_folder_name(context.pipeline, index)),
      where_(node_.place.text() + ": stage " + stage_label(context.pipeline, index)),
      directory_(context.directory_of(index)),
      signal_(context.signal),
      trainers_(context, index, where_) {
  if (directory_.newest_checkpoint(from_step_, from_)) {
    trainers_.resume(from_, read_state(from_).value("trainers", json::array()));
  }
  services_ = loop_services(*this);
  host_ = std::make_unique<Host>(context.pool, context.pipeline.seed,
                                 [this](const std::string &name, double value) { metrics_[name] = value; });
  host_->offer(HONE_HOST_STAGE, &services_);
  const ComponentInfo &component = context.registry.require("stage", node_.component);
  const json own = with_numbered_handles(component, node_.settings, handle_values_);
  stage_ = std::make_unique<Instance>(component, host_->abi(), own);
  methods_ = known_methods<hone_stage>(stage_->component());
  sampler_ = std::make_unique<Sampler>(context.kernels, context.pool);
  valuer_ = std::make_unique<Sampler>(context.kernels, context.pool);
  journal_ = std::make_unique<ScoreJournal>(directory_.journal());
  data_ = GrowingFile(directory_.path() / "data.jsonl");
}

LoopStage::~LoopStage() {
  stage_.reset();  // before the host whose services it holds
  context_.signal = signal_;
}

LoopStage::ModelInUse LoopStage::model(int64_t handle, Use use) {
  if (trainers_.has(handle)) return {&trainers_.at(handle).weights(), &trainers_.at(handle).tokenizer()};
  if (handle < 0 || handle >= static_cast<int64_t>(context_.pipeline.models.size()))
    throw Failure(where_ + ": asked for the model with handle " + std::to_string(handle) + ", which the script did not give");
  // One at a time for each use: a stage goes through its models in turn.
  in_use_[use] = handle;
  std::erase_if(models_, [this](const auto &model) { return model.first != in_use_[sampled] && model.first != in_use_[valued]; });
  auto found = models_.find(handle);
  if (found == models_.end()) {
    found = models_.emplace(handle, load_stage_model(context_, static_cast<int>(handle))).first;
    found->second.weights->settle(context_.pool);
  }
  return {found->second.weights.get(), found->second.tokenizer.get()};
}

void LoopStage::forget_prefixes() {
  sampler_->forget_prefixes();
  valuer_->forget_prefixes();
}

// A step that has trained cannot be dropped: its weights would be those of no step. A signal waits until it is over.
void LoopStage::finish_this_step() { context_.signal = nullptr; }

// After the first step of a process, by when all trainers must be there.
void LoopStage::check_trainers() const {
  trainers_.check_complete();
  if (trainers_.count() > 0) return;
  for (const ModelNode &model : context_.pipeline.models)
    if (model.source == ModelNode::stage_output && model.stage == index_)
      throw Failure(where_ + ": " + model.place.text() + " uses the model that it trains, but it has asked for no trainer");
}

RewardSets &LoopStage::rewards(int64_t handle) {
  auto &set = rewards_[handle];
  if (!set) set = std::make_unique<RewardSets>(context_, handle_values_.at(static_cast<size_t>(handle)), node_.settings, where_);
  return *set;
}

std::string LoopStage::saved_state() {
  std::string text;
  hone_error err{};
  const int32_t code = methods_.save(
      stage_->self(), [](void *arg, hone_str part) { static_cast<std::string *>(arg)->append(part.data, part.size); }, &text, &err);
  check_call(code, err, "stage " + node_.component);
  return text;
}

// What the stage has come to after a whole step: an interruption in the next one falls back to it.
void LoopStage::remember(uint32_t step, bool done) {
  place_.step = step;
  place_.metrics_length = context_.run.metrics().length();
  place_.data_length = data_.length();
  remembered_ = to_json(place_);
  remembered_["results"] = results_;
  remembered_["done"] = done;
  remembered_text_ = saved_state();
}

void LoopStage::checkpoint() {
  context_.run.metrics().sync();
  data_.sync();
  json state = remembered_;
  state["trainers"] = trainers_.state();  // the weights are those of the step that is remembered
  if (state.at("done").get<bool>()) state["weights_checksum"] = weights_checksum_ = trainers_.checksum();
  write_checkpoint(directory_, remembered_.at("step"), node_.settings.value("keep_checkpoints", 2u), state, [&](const fs::path &folder) {
    trainers_.save(folder);
    write_file_atomically(folder / "stage.txt", remembered_text_);
  });
}

void LoopStage::finish() {
  progress_.reset();
  json summary = {{"steps", place_.step}, {"tokens", place_.tokens}, {"seconds", place_.seconds}, {"results", results_},
                  {"rows_checksum", checksum_hex(read_file(directory_.path() / "data.jsonl"))},
                  {"metrics_length", place_.metrics_length}};
  if (!weights_checksum_.is_null()) summary["weights_checksum"] = weights_checksum_;
  directory_.mark_done(summary);
}

void LoopStage::run() {
  uint32_t step = from_step_;
  bool done = false;
  if (!from_.empty()) {
    const json state = read_state(from_);
    place_ = run_place(state);
    results_ = state.at("results");
    done = state.at("done");
    weights_checksum_ = state.value("weights_checksum", json());
    const std::string saved = read_file(from_ / "stage.txt");
    hone_error err{};
    check_call(methods_.load(stage_->self(), {saved.data(), saved.size()}, &err), err, "stage " + node_.component);
    log_info(folder_name_ + ": going on after step " + std::to_string(step));
  } else {
    place_.metrics_begin = context_.run.metrics().length();
  }
  data_.truncate(place_.data_length);
  if (done) {  // killed between the last checkpoint and the mark
    data_.sync();
    return finish();
  }
  const double began = seconds_now() - place_.seconds;
  const auto save_every = node_.settings.at("save_every").get<uint32_t>();
  uint32_t saved = step;
  while (!done) {
    const double step_began = seconds_now();
    metrics_.clear();
    score_calls_ = 0;
    interruption_ = context_.interrupted() ? context_.signal->load() : 0;
    hone_error err{};
    int32_t again = HONE_AGAIN;
    const int32_t code = interruption_ ? HONE_FAILED : methods_.step(stage_->self(), &again, &err);
    forget_prefixes();  // so that what a step computes is the same after a resume
    context_.signal = signal_;
    if (!fatal_.empty()) throw Failure(fatal_);
    if (interruption_) {  // the step is dropped: what it emitted is forgotten
      if (step > saved) {
        data_.truncate(remembered_.at("data_length"));
        checkpoint();
      }
      throw Interrupted{interruption_};
    }
    check_call(code, err, "stage " + node_.component);
    if (!past_first_step_) check_trainers();
    past_first_step_ = true;
    ++step;
    done = again != HONE_AGAIN;
    place_.seconds = seconds_now() - began;
    metrics_["step_time"] = seconds_now() - step_began;
    append_metrics(context_, folder_name_, step, metrics_);
    remember(step, done);
    if (done || step - saved >= save_every) {
      checkpoint();
      saved = step;
    }
    if (!results_.empty()) write_results(context_, index_, results_);
  }
  finish();
}

}  // namespace hone
