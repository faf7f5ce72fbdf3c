// learned_model.cpp -- see learned_model.h.
#include "core/stage/learned_model.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/model/merge_lora.h"
#include "core/stage/models.h"

namespace hone {
namespace fs = std::filesystem;

Adaptation adaptation_of(const RunContext &context, int index, size_t k) {
  const StageNode &node = context.pipeline.stages.at(index);
  Adaptation out;
  const auto setting = node.settings.find("lora");
  if (setting == node.settings.end() || setting->is_null()) return out;
  out.where = node.place.text() + ": stage " + stage_label(context.pipeline, index);
  out.lora = lora_settings(*setting, out.where);
  out.base_folder =
      fs::absolute(context.directory_of(index).path() / (k == 0 ? "base" : "base-" + std::to_string(k + 1)))
          .lexically_normal();
  out.seed = context.pipeline.seed * 1000003 + context.number_of(index) * 1009 + k;
  return out;
}

LearnedModel::LearnedModel(const RunContext &context, int model, int optimizer, bool value_head, Adaptation adaptation)
    : context_(context), model_(model), optimizer_index_(optimizer), value_head_(value_head), adaptation_(std::move(adaptation)) {
  const OptimizerNode &chosen = context.pipeline.optimizers.at(optimizer);
  optimizer_ = std::make_unique<Instance>(context.registry.require("optimizer", chosen.component), context.host.abi(), chosen.settings);
  weights_ = beginning();
}

LearnedModel::~LearnedModel() = default;

hone_optimizer LearnedModel::optimizer() const { return known_methods<hone_optimizer>(optimizer_->component()); }
void *LearnedModel::optimizer_self() const { return optimizer_->self(); }
const nlohmann::json &LearnedModel::optimizer_host_settings() const { return context_.pipeline.optimizers.at(optimizer_index_).host_settings; }

// An adapter that the model came with is merged first: this stage trains what it finds, in full or by an adapter of its
// own.
std::unique_ptr<Weights> LearnedModel::beginning() {
  StageModel loaded;
  if (adaptation_.lora && fs::exists(adaptation_.base_folder)) {
    LoadedModel kept = load_model(adaptation_.base_folder, context_.registry, context_.host, context_.dtype);
    loaded = {std::move(kept.weights), std::move(kept.tokenizer)};
  } else {
    loaded = load_stage_model(context_, model_);
    if (loaded.weights->base()) {
      log_info("the adapter of " + model_name(context_.pipeline, model_) +
               " is merged into it, to train what that gives");
      loaded.weights = merge_lora(*loaded.weights);
    }
  }
  tokenizer_ = std::move(loaded.tokenizer);
  if (adaptation_.lora) {
    const std::vector<uint32_t> targets =
        lora_targets(loaded.weights->architecture(), *adaptation_.lora, adaptation_.where);
    const bool value_head = value_head_ || loaded.weights->has_value_head();
    const std::shared_ptr<const Weights> base = std::move(loaded.weights);
    base_ = {fs::absolute(find_base()).lexically_normal(), base->checksum()};
    return Weights::adapted(base, *adaptation_.lora, targets, adaptation_.seed, value_head);
  }
  if (value_head_ && !loaded.weights->has_value_head()) loaded.weights->add_value_head();
  return std::move(loaded.weights);
}

// A directory that holds the base already, or else one in the stage's own.
fs::path LearnedModel::find_base() const {
  if (fs::exists(adaptation_.base_folder)) return adaptation_.base_folder;
  if (context_.pipeline.models.at(model_).source == ModelNode::fresh) return adaptation_.base_folder;
  const fs::path directory = model_directory(context_, model_);
  return is_adapter_directory(directory) ? adaptation_.base_folder : directory;
}

void LearnedModel::keep_base() const {
  if (base_.path != adaptation_.base_folder || fs::exists(base_.path)) return;
  const fs::path beside = adaptation_.base_folder.string() + ".part";
  std::error_code ignored;
  fs::remove_all(beside, ignored);  // of a process that was killed
  fs::create_directories(beside);
  try {
    save_model(beside, *weights_->base(), *tokenizer_);
    sync_file(beside);
    fs::rename(beside, adaptation_.base_folder);
    sync_file(adaptation_.base_folder.parent_path());
  } catch (const std::exception &) {
    fs::remove_all(beside, ignored);
    throw;
  }
}

void LearnedModel::take(const Weights &from, const std::string &where) {
  if (from.total_size() != weights_->total_size())
    throw Failure(where + ": holds " + std::to_string(from.total_size()) + " numbers, but the model in training has " +
                  std::to_string(weights_->total_size()) + "; was it written by another objective?");
  std::copy(from.data(), from.data() + from.total_size(), weights_->data());
  weights_->changed();
}

std::shared_ptr<const Weights> LearnedModel::as_it_began() const {
  return weights_->base() ? weights_->base() : std::shared_ptr<const Weights>(weights_->clone());
}

void LearnedModel::begin_again() {
  if (weights_->base())
    initialise_lora(*weights_, adaptation_.seed);
  else
    take(*beginning(), "the model it began as");
}

void LearnedModel::save(const fs::path &folder, const Weights *other) const {
  const Weights &saved = other ? *other : *weights_;
  if (saved.base()) {
    keep_base();
    // Within the run it is told from the checkpoint, so that a run can be moved.
    const fs::path in_run = base_.path.lexically_relative(fs::absolute(context_.run.path()).lexically_normal());
    AdapterBase base = base_;
    if (!in_run.empty() && *in_run.begin() != "..")
      base.path = base.path.lexically_relative(fs::absolute(folder).lexically_normal());
    save_adapter(folder, saved, *tokenizer_, base);
  } else {
    save_model(folder, saved, *tokenizer_);
  }
}

std::shared_ptr<const Weights> LearnedModel::read(const fs::path &folder) const {
  if (!weights_->base()) return std::move(load_model(folder, context_.registry, context_.host, context_.dtype).weights);
  auto loaded = load_adapter(folder, weights_->base(), base_.checksum);
  if (loaded->lora_targets() != weights_->lora_targets())
    throw Failure(folder.string() + ": its adapter is of other matrices than this stage's");
  return loaded;
}

void LearnedModel::load(const fs::path &folder) { take(*read(folder), folder.string()); }

}  // namespace hone
