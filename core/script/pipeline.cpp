// pipeline.cpp -- a pipeline as JSON, and the check that stages run in an order in which all they use exists.
#include "core/script/pipeline.h"

#include <map>
#include <set>

#include "core/base/failure.h"

namespace hone {
using nlohmann::json;
namespace {

// One stage that another one uses, and as what.
struct Use {
  int stage;
  const char *what;
};

class Uses {
 public:
  explicit Uses(const Pipeline &pipeline) : pipeline_(pipeline) {}
  std::vector<Use> of(const StageNode &stage) {
    walk(stage.settings);
    return std::move(found_);
  }

 private:
  void walk(const json &value) {
    if (value.is_object() && value.size() == 1 && value.begin()->is_number_integer()) {
      const std::string &key = value.begin().key();
      const int index = value.begin()->get<int>();
      if (key == "$model") return model(index);
      if (key == "$data") return data(index);
      if (key == "$reward") return walk(pipeline_.rewards.at(index).settings);
      if (key == "$optimizer") return walk(pipeline_.optimizers.at(index).settings);
    }
    if (value.is_structured())
      for (const json &item : value) walk(item);
  }
  void model(int index) {
    const ModelNode &node = pipeline_.models.at(index);
    if (node.source == ModelNode::stage_output) found_.push_back({node.stage, "model"});
  }
  void data(int index) {
    const DataNode &node = pipeline_.data.at(index);
    if (node.source == DataNode::stage_output) found_.push_back({node.stage, "data"});
    for (int part : node.parts) data(part);
  }

  const Pipeline &pipeline_;
  std::vector<Use> found_;
};

std::string named(const StageNode &stage) { return "stage \"" + (stage.label.empty() ? stage.component : stage.label) + "\""; }

template <class Enum>
const char *source_name(Enum source, const char *const *names) {
  return names[static_cast<int>(source)];
}

json place_json(const Place &place) { return place.text(); }

}  // namespace

void check_order(const Pipeline &pipeline) {
  std::map<int, size_t> position;
  for (size_t i = 0; i < pipeline.order.size(); ++i) {
    const StageNode &stage = pipeline.stages.at(pipeline.order[i]);
    if (!position.emplace(pipeline.order[i], i).second)
      throw UsageError(stage.place.text() + ": " + named(stage) + " is in hone.pipeline twice; make a second stage for a second run");
  }
  for (size_t i = 0; i < pipeline.order.size(); ++i) {
    const StageNode &stage = pipeline.stages[pipeline.order[i]];
    for (const Use &use : Uses(pipeline).of(stage)) {
      const StageNode &source = pipeline.stages.at(use.stage);
      const auto at = position.find(use.stage);
      if (at != position.end() && at->second < i) continue;
      throw UsageError(stage.place.text() + ": " + named(stage) + " uses the " + use.what + " of " + named(source) + " (" +
                       source.place.text() + "), which " +
                       (at == position.end() ? "is not in hone.pipeline; add it before this stage"
                                             : "comes later in hone.pipeline; move it before this stage"));
    }
  }
}

json to_json(const Pipeline &pipeline) {
  static const char *const model_sources[] = {"fresh", "directory", "stage"};
  static const char *const data_sources[] = {"file", "generated", "stage", "list", "mapped"};
  json out = {{"name", pipeline.name},   {"seed", pipeline.seed},       {"order", pipeline.order},
              {"report", pipeline.report}, {"sources", pipeline.sources}, {"source_names", pipeline.source_names},
              {"base_folder", pipeline.base_folder}};
  for (const char *list : {"options", "models", "optimizers", "rewards", "data", "stages"}) out[list] = json::array();
  for (const Option &option : pipeline.options)
    out["options"].push_back(
        {{"name", option.name}, {"value", option.value}, {"default", option.fallback}, {"help", option.help}, {"from", option.from}});
  for (const ModelNode &node : pipeline.models) {
    json one = {{"source", source_name(node.source, model_sources)}, {"name", node.name}, {"place", place_json(node.place)}};
    if (node.source == ModelNode::fresh) {
      one["component"] = node.component;
      one["config"] = node.config;
      one["seed"] = node.seed;
      if (!node.tokenizer.empty()) one["tokenizer"] = node.tokenizer;
      if (!node.words.empty()) one["words"] = node.words;
    } else if (node.source == ModelNode::directory) {
      one["path"] = node.path;
    } else {
      one["stage"] = node.stage;
    }
    out["models"].push_back(std::move(one));
  }
  for (const OptimizerNode &node : pipeline.optimizers)
    out["optimizers"].push_back({{"component", node.component},
                                 {"settings", node.settings},
                                 {"host_settings", node.host_settings},
                                 {"place", place_json(node.place)}});
  for (const RewardNode &node : pipeline.rewards) {
    json one = {{"component", node.component}, {"label", node.label},   {"settings", node.settings},
                {"weight", node.weight},       {"place", place_json(node.place)}};
    if (!node.function.empty()) one["function"] = node.function;
    out["rewards"].push_back(std::move(one));
  }
  for (const DataNode &node : pipeline.data) {
    json one = {{"source", source_name(node.source, data_sources)}, {"label", node.label}, {"place", place_json(node.place)}};
    switch (node.source) {
      case DataNode::file: one["path"] = node.path; break;
      case DataNode::generated:
        one["function"] = node.function;
        one["count"] = node.count;
        one["seed"] = node.seed;
        break;
      case DataNode::stage_output: one["stage"] = node.stage; break;
      case DataNode::list: one["parts"] = node.parts; break;
      case DataNode::mapped:
        one["from"] = node.parts.at(0);
        one["function"] = node.function;
        one["seed"] = node.seed;
        one["skip"] = node.skip;
        one["take"] = node.take;
        break;
    }
    out["data"].push_back(std::move(one));
  }
  for (const StageNode &node : pipeline.stages)
    out["stages"].push_back(
        {{"component", node.component}, {"label", node.label}, {"settings", node.settings}, {"place", place_json(node.place)}});
  return out;
}

}  // namespace hone
