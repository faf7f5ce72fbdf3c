// objective_cache.cpp -- a model that a script trains from data alone is kept under a key of everything that makes it, so that
// scripts that share a base train it once. $XDG_CACHE_HOME/hone/models/<key>/ (or ~/.cache/hone/models).
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/stage/objective_stage.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

static fs::path cache_folder() {
  if (const char *folder = std::getenv("XDG_CACHE_HOME"); folder && *folder) return fs::path(folder) / "hone" / "models";
  if (const char *home = std::getenv("HOME"); home && *home) return fs::path(home) / ".cache" / "hone" / "models";
  return fs::temp_directory_path() / "hone-cache" / "models";
}

std::string ObjectiveStage::cache_key() const {
  const ModelNode &model = context_.pipeline.models.at(handle_index(settings_.at("model"), "$model"));
  const OptimizerNode &optimizer = context_.pipeline.optimizers.at(handle_index(settings_.at("optimizer"), "$optimizer"));
  json made_of;
  made_of["settings"] = settings_;
  for (const char *no_effect : {"label", "save_every", "keep_checkpoints", "model", "data", "optimizer", "cache", "rewards", "prompts", "teacher"})
    made_of["settings"].erase(no_effect);
  made_of["component"] = node_.component;
  made_of["model"] = {model.component, model.config, model.seed, tokenizer().files(), tokenizer().chat().texts()};
  made_of["optimizer"] = {optimizer.component, optimizer.settings, optimizer.host_settings};
  made_of["seed"] = context_.pipeline.seed;
  made_of["dtype"] = context_.dtype;
  std::string data;  // the sequences themselves: whatever function or file made them
  for (const TrainRow &row : rows_) {
    data.append(reinterpret_cast<const char *>(row.ids.data()), row.ids.size() * sizeof row.ids[0]);
    data.append(reinterpret_cast<const char *>(&row.begin), sizeof row.begin);
  }
  made_of["data"] = checksum_hex(data);
  // The code: this program, its kernels and the plugins that took part.
  for (const fs::path &file : {fs::read_symlink("/proc/self/exe"), context_.registry.require("model", model.component).library,
                               context_.registry.require("stage", node_.component).library,
                               context_.registry.require("optimizer", optimizer.component).library, kernel_library()})
    made_of["code"].push_back(checksum_hex(read_file(file)));
  return checksum_hex(made_of.dump());
}

bool ObjectiveStage::take_from_cache() {
  const ModelNode &model = context_.pipeline.models.at(handle_index(settings_.at("model"), "$model"));
  if (model.source != ModelNode::fresh || source_ != HONE_ROWS)
    throw UsageError(where_ + ": cache = true is for a new model trained on rows; leave it out here");
  const fs::path folder = cache_folder() / cache_key();
  if (!fs::exists(folder / "summary.json")) return false;
  json summary;
  std::string metrics;
  try {
    summary = json::parse(read_file(folder / "summary.json"));
    if (file_checksum_hex(folder / "model" / "model.safetensors") != summary.at("file_checksum"))
      throw Failure(folder.string() + ": model.safetensors is damaged");
    const std::string kept = read_file(folder / "metrics.jsonl");
    for (size_t at = 0, end; at < kept.size(); at = end + 1) {
      end = std::min(kept.find('\n', at), kept.size());
      nlohmann::ordered_json line = nlohmann::ordered_json::parse(kept.substr(at, end - at));
      line["stage"] = folder_name_;  // another script may have called it otherwise
      metrics += line.dump() + "\n";
    }
    place_.tokens = summary.at("tokens");
  } catch (const std::exception &error) {
    log_warning(folder_name_ + ": the kept model cannot be used and is trained anew: " + error.what());
    std::error_code ignored;
    fs::remove_all(folder, ignored);  // so that the new one takes its place
    return false;
  }
  place_.metrics_begin = context_.run.metrics().length();
  context_.run.metrics().append(metrics);
  context_.run.metrics().sync();
  place_.step = steps_;
  place_.metrics_length = context_.run.metrics().length();
  place_.seconds = summary.value("seconds", 0.0);
  place_.cached = folder.filename().string();
  write_checkpoint(directory_, steps_, 1, to_json(place_), [&](const fs::path &to) {
    fs::copy(folder / "model", to, fs::copy_options::recursive);
  });
  training_->load_weights(folder / "model");
  finish();
  log_info(folder_name_ + ": taken from " + folder.string() + " (the same data, settings and code made it)");
  return true;
}

void ObjectiveStage::put_into_cache() {
  const fs::path folder = cache_folder() / cache_key(), beside = folder.string() + ".new-" + std::to_string(getpid());
  if (fs::exists(folder)) return;
  try {
    fs::create_directories(beside / "model");
    save_model(beside / "model", training_->weights(), tokenizer());
    json summary = directory_.summary();
    const std::string all = read_file(context_.run.path() / "metrics.jsonl");
    const uint64_t begin = summary.at("metrics_begin");
    write_file_atomically(beside / "metrics.jsonl", std::string_view(all).substr(begin, uint64_t(summary.at("metrics_length")) - begin));
    summary["file_checksum"] = file_checksum_hex(beside / "model" / "model.safetensors");
    write_file_atomically(beside / "summary.json", summary.dump(1) + "\n");
    for (const fs::directory_entry &file : fs::recursive_directory_iterator(beside / "model")) sync_file(file.path());
    sync_file(beside / "model");
    fs::rename(beside, folder);
  } catch (const std::exception &error) {  // the run itself is whole: only the next one will train again
    log_warning(folder_name_ + ": the model could not be kept for other scripts: " + error.what());
    std::error_code ignored;
    fs::remove_all(beside, ignored);
  }
}

}  // namespace hone
