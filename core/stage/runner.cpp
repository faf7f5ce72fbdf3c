// runner.cpp -- see runner.h.
#include "core/stage/runner.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/model_files.h"
#include "core/run/report.h"
#include "core/script/toml_values.h"
#include "core/stage/script_host.h"
#include "core/stage/interrupt.h"
#include "core/stage/loop_stage.h"
#include "core/stage/objective_stage.h"
#include "core/stage/plan.h"
#include "core/text/chat_format.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Checksums of files by path: what a run read and what code made it, so that a resume can tell whether they are the same.
json file_checksums(const std::set<fs::path> &files) {
  json all = json::object();
  for (const fs::path &file : files) all[fs::absolute(file).string()] = file_checksum_hex(file);
  return all;
}

std::set<fs::path> data_files(const Pipeline &pipeline) {
  std::set<fs::path> files;
  for (const DataNode &node : pipeline.data)
    if (node.source == DataNode::file) files.insert(node.path);
  for (const ModelNode &node : pipeline.models) {
    if (node.source == ModelNode::fresh && !node.tokenizer.empty()) files.insert(node.tokenizer);
    if (node.source != ModelNode::directory) continue;
    for (const fs::path &file : model_files(node.path)) files.insert(file);
  }
  return files;
}

std::set<fs::path> code_files(const Pipeline &pipeline, const Registry &registry, const std::vector<StagePlan> &plans) {
  std::set<fs::path> files = {fs::read_symlink("/proc/self/exe"), kernel_library()};
  for (int index : pipeline.order) files.insert(registry.require("stage", pipeline.stages[index].component).library);
  for (const OptimizerNode &node : pipeline.optimizers) files.insert(registry.require("optimizer", node.component).library);
  for (const ModelNode &node : pipeline.models)
    if (node.source == ModelNode::fresh) files.insert(registry.require("model", node.component).library);
  for (const RewardNode &node : pipeline.rewards)
    if (node.function.empty()) files.insert(registry.require("reward", node.component).library);
  for (const StagePlan &plan : plans) files.insert(plan.objectives.begin(), plan.objectives.end());
  return files;
}

// Changed data would end the run elsewhere, so it is refused; changed code may be wanted, so it is only said.
void compare_files(const json &recorded, const std::string &what, bool refuse) {
  for (const auto &[file, sum] : recorded.items()) {
    const bool there = fs::exists(file);
    if (there && file_checksum_hex(file) == sum) continue;
    const std::string sentence = what + " file " + file + (there ? " has changed" : " is gone") + " since the run began";
    if (refuse) throw Failure(sentence + "; bring it back, or start a new run");
    log_warning(sentence + ": the run may not end with the bits it would have had");
  }
}

// A pipeline without what differs between a script and its saved copy: where things stand and where options came from.
json what_counts(const json &pipeline) {
  if (pipeline.is_array()) {
    json out = json::array();
    for (const json &element : pipeline) out.push_back(what_counts(element));
    return out;
  }
  if (!pipeline.is_object()) return pipeline;
  json out = json::object();
  for (const auto &[key, value] : pipeline.items())
    if (key != "place" && key != "from" && key != "sources" && key != "source_names" && key != "base_folder" && key != "name") out[key] = what_counts(value);
  return out;
}

// Where two JSON values first differ, as "stages/1/component: \"grpo\" was \"rloo\""; "" when they are equal.
std::string first_difference(const json &was, const json &is) {
  if (was == is) return "";
  const json patch = json::diff(was, is);
  std::string path = patch.at(0).at("path");
  path = path.empty() ? "the whole of it" : path.substr(1);
  const auto value = [&](const json &from) {
    const json::json_pointer pointer(patch.at(0).at("path").get<std::string>());
    const std::string text = from.contains(pointer) ? from.at(pointer).dump() : std::string("absent");
    return text.size() > 80 ? with_replaced_invalid_utf8(text.substr(0, 80)) + " ..." : text;
  };
  return path + " is " + value(is) + " and was " + value(was);
}

// What a resume needs beside the saved script: how it was called.
json saved_arguments(const RunRequest &request, const Pipeline &pipeline, const Registry &registry, const std::vector<StagePlan> &plans) {
  json options = json::object();
  for (const Option &option : pipeline.options) options[option.name] = option.value;
  const std::tm today = day_of("");
  char day[16];
  std::strftime(day, sizeof day, "%Y-%m-%d", &today);
  return {{"day", day}, {"trust", request.arguments.trust}, {"options", options}, {"dtype", request.dtype}, {"seed", pipeline.seed},
          {"command_line", request.command_line}, {"name", pipeline.name}, {"data", file_checksums(data_files(pipeline))},
          {"code", file_checksums(code_files(pipeline, registry, plans))}};
}


}  // namespace

fs::path create_run(const RunRequest &request) {
  kernels();  // without them nothing runs: no directory is made then
  const Registry registry = Registry::scan(plugin_folders(request.plugins));
  const std::unique_ptr<Script> script = Script::load(request.script, registry, script_host(), request.arguments);
  const Pipeline &pipeline = script->pipeline();
  Pool pool(request.threads);
  Host host(pool, pipeline.seed);
  const std::vector<StagePlan> plans = check_plan(pipeline, registry, host, *script, request.dtype, pool.threads());
  std::map<std::string, std::string> files;
  for (size_t i = 0; i < pipeline.sources.size(); ++i) files["script/" + pipeline.source_names[i]] = read_file(pipeline.sources[i]);
  files["script/where.json"] = json({{"script", pipeline.source_names.at(0)}, {"folder", fs::absolute(pipeline.base_folder).string()}}).dump(1) + "\n";
  files["script.lua"] = read_file(pipeline.sources.at(0));
  files["settings.toml"] = write_toml(pipeline.options);
  files["pipeline.json"] = to_json(pipeline).dump(1) + "\n";
  files["arguments.json"] = saved_arguments(request, pipeline, registry, plans).dump(1) + "\n";
  return RunDirectory::create(request.out, pipeline.name, files).path();
}

OpenRun::OpenRun(const fs::path &run, const std::vector<fs::path> &plugins, uint32_t threads, std::atomic<int> *signal, bool to_write)
    : directory_(RunDirectory::open(run)), registry_(Registry::scan(plugin_folders(plugins))) {
  if (to_write) directory_.lock();  // before anything about its state is read
  const fs::path path = directory_.path();
  json saved, where;
  try {
    saved = json::parse(read_file(path / "arguments.json"));
    where = json::parse(read_file(path / "script" / "where.json"));
    for (const char *key : {"trust", "dtype", "data", "code"}) saved.at(key);
    where.at("script"), where.at("folder");
  } catch (const json::exception &error) {
    throw Failure(path.string() + ": arguments.json or script/where.json is damaged: " + json_reason(error.what()));
  }
  if (saved.contains("day") && saved["day"].is_string()) set_default_day(saved["day"]);
  ScriptArguments arguments;
  arguments.trust = saved.at("trust");
  arguments.config = path / "settings.toml";
  arguments.base_folder = where.at("folder").get<std::string>();
  const fs::path script = path / "script" / where.at("script").get<std::string>();
  script_ = Script::load(script, registry_, script_host(), arguments);
  json written;
  try {
    written = json::parse(read_file(path / "pipeline.json"));
  } catch (const json::exception &error) {
    throw Failure((path / "pipeline.json").string() + ": is damaged: " + json_reason(error.what()));
  }
  if (const std::string change = first_difference(what_counts(written), what_counts(to_json(script_->pipeline()))); !change.empty())
    throw Failure(path.string() + ": its script or settings.toml were edited since it began (" + change +
                  "); undo that, or start a new run");
  compare_files(saved.at("data"), "data", true);
  compare_files(saved.at("code"), "code", false);
  pool_ = std::make_unique<Pool>(threads);
  host_ = std::make_unique<Host>(*pool_, script_->pipeline().seed);
  context_ = std::make_unique<RunContext>(RunContext{registry_, kernels(), *pool_, *host_, *script_, script_->pipeline(), directory_,
                                                     registry_.folders_,
                                                     {{"config", arguments.config.string()}, {"trust", arguments.trust}, {"base_folder", arguments.base_folder.string()}},
                                                     script, saved.at("dtype").get<uint32_t>(), signal});
}

OpenRun::~OpenRun() = default;

namespace {

// metrics.jsonl may hold lines of steps after the last checkpoint; they are written again, so they are cut off first.
void truncate_metrics(RunContext &context) {
  uint64_t length = 0;
  for (int index : context.pipeline.order) {
    const StageDirectory directory = context.directory_of(index);
    if (directory.done()) {
      length = directory.summary().at("metrics_length");
      continue;
    }
    uint32_t step;
    fs::path folder;
    if (directory.newest_checkpoint(step, folder)) length = run_place(read_state(folder)).metrics_length;
    break;
  }
  context.run.metrics().truncate(length);
}

void run_stage(RunContext &context, int index) {
  const StageNode &node = context.pipeline.stages.at(index);
  const ComponentInfo &component = context.registry.require("stage", node.component);
  if (component.kind == HONE_OBJECTIVE) ObjectiveStage(context, index).run();
  else LoopStage(context, index).run();
}

}  // namespace

int continue_run(const fs::path &path, const std::vector<fs::path> &plugins, uint32_t threads, Continuing how) {
  const bool passing = how.passing;
  std::atomic<int> &flag = interrupt_flag();
  OpenRun open(path, plugins, threads, &flag, true);
  log_also_to(path / "log.txt");
  RunContext &context = open.context();
  context.verify_all = how.verify_all;
  truncate_metrics(context);
  const auto began = std::chrono::steady_clock::now();
  const size_t total = context.pipeline.order.size();
  try {
    for (int index : context.pipeline.order) {
      StageDirectory directory = context.directory_of(index);
      if (directory.done()) continue;
      log_info("stage " + std::to_string(context.number_of(index)) + " of " + std::to_string(total) + ": " + stage_label(context.pipeline, index) +
               " (" + context.pipeline.stages[index].component + ")");
      run_stage(context, index);
      const json summary = directory.summary();
      log_info("stage " + stage_label(context.pipeline, index) + " done: " + std::to_string(summary.value("steps", 0u)) + " steps, " +
               std::to_string(summary.value("tokens", uint64_t(0))) + " tokens, " + human_seconds(summary.value("seconds", 0.0)));
      uint32_t step;
      fs::path trained;
      if (summary.contains("weights_checksum") && directory.newest_checkpoint(step, trained)) log_info("its model: " + trained.string());
      write_results(context, -1, json::array());
    }
  } catch (const Interrupted &interruption) {
    log_warning(passing ? std::string("interrupted") : "interrupted; go on with: hone resume " + path.string());
    return 128 + interruption.signal;
  } catch (const std::exception &) {  // main says what it was
    if (!passing)
      log_warning("the run stopped. If what follows can be mended outside of the script and its data (a full disk, a plugin), go on with: hone resume " +
                  path.string() + "; otherwise begin a new run");
    throw;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  log_info("done in " + human_seconds(seconds) + (passing ? "" : "; report: " + write_report(path).string()));
  return 0;
}

}  // namespace hone
