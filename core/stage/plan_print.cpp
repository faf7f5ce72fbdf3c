// plan_print.cpp -- a plan for people: what each stage does, what it takes, and what its settings stand for.
#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>

#include "core/base/text.h"
#include "core/stage/context.h"
#include "core/stage/models.h"
#include "core/stage/plan.h"

namespace hone {
using nlohmann::json;

namespace {

std::string count_text(double n) {
  std::ostringstream out;
  out << std::setprecision(3);
  if (n >= 1e9) out << n / 1e9 << " B";
  else if (n >= 1e6) out << n / 1e6 << " M";
  else if (n >= 1e3) out << n / 1e3 << " k";
  else out << n;
  return out.str();
}

// Settings with what their handles stand for, as a script would write it.
class Describer {
 public:
  explicit Describer(const Pipeline &pipeline) : pipeline_(pipeline) {}

  std::string value(const json &value) const {
    if (const int i = handle_index(value, "$model"); i >= 0) return model(i);
    if (const int i = handle_index(value, "$optimizer"); i >= 0) return optimizer(pipeline_.optimizers.at(i));
    if (const int i = handle_index(value, "$reward"); i >= 0) return reward(pipeline_.rewards.at(i));
    if (const int i = handle_index(value, "$data"); i >= 0) return data(pipeline_.data.at(i));
    if (value.is_object() && value.contains("$function")) return "a function of the script";
    if (value.is_object()) return table(value);
    if (!value.is_array()) return value.dump(-1, ' ', false, json::error_handler_t::replace);
    std::vector<std::string> parts;
    for (const json &element : value) parts.push_back(this->value(element));
    return parts.empty() ? "{}" : "{ " + join(parts, ", ") + " }";
  }

 private:
  std::string table(const json &settings) const {
    std::vector<std::string> parts;
    for (const auto &[name, element] : settings.items())
      if (!element.is_null()) parts.push_back(name + " = " + value(element));
    return parts.empty() ? "{}" : "{ " + join(parts, ", ") + " }";
  }
  std::string model(int index) const {
    const ModelNode &node = pipeline_.models.at(index);
    switch (node.source) {
      case ModelNode::stage_output: return "the model of stage " + stage_folder_name(pipeline_, node.stage);
      case ModelNode::directory: return node.path;
      case ModelNode::fresh: break;
    }
    return "a new " + node.component + (node.name == node.component ? "" : " \"" + node.name + "\"") + " (" + node.place.text() + ")";
  }
  std::string optimizer(const OptimizerNode &node) const {
    json all = node.settings;
    all.update(node.host_settings);
    return node.component + " " + table(all);
  }
  std::string reward(const RewardNode &node) const {
    std::string text = node.function.empty() ? node.component + " " + table(node.settings) : "a function (" + node.place.text() + ")";
    if (node.label != node.component) text = "\"" + node.label + "\": " + text;
    return node.weight == 1 ? text : text + " times " + number_text(node.weight);
  }
  std::string data(const DataNode &node) const {
    switch (node.source) {
      case DataNode::file: return node.path;
      case DataNode::stage_output: return "the data of stage " + stage_folder_name(pipeline_, node.stage);
      case DataNode::generated: return std::to_string(node.count) + " rows" + (node.label.empty() ? "" : " of " + node.label) + " (" + node.place.text() + ")";
      case DataNode::list:
      case DataNode::mapped: break;
    }
    std::vector<std::string> parts;
    for (int part : node.parts) parts.push_back(data(pipeline_.data.at(part)));
    return node.source == DataNode::list ? "{ " + join(parts, ", ") + " }" : join(parts, ", ") + ", mapped (" + node.place.text() + ")";
  }
  const Pipeline &pipeline_;
};

void print_settings(const Pipeline &pipeline, const StagePlan &plan, int index, std::ostream &out) {
  const StageNode &stage = pipeline.stages[index];
  const Describer describe(pipeline);
  size_t width = 0;
  const auto shown = [&](const std::string &name, const json &value) {
    return !value.is_null() && std::find(plan.unused.begin(), plan.unused.end(), name) == plan.unused.end();
  };
  for (const auto &[name, value] : stage.settings.items())
    if (shown(name, value)) width = std::max(width, name.size());
  out << "  " << plan.name << "  (" << stage.place.text() << ")\n";
  for (const auto &[name, value] : stage.settings.items()) {
    if (!shown(name, value)) continue;
    out << "      " << name << std::string(width - name.size(), ' ') << " = ";
    // Lists of things and tables by domain: a line each.
    const bool handle = value.is_object() && value.size() == 1 && value.begin().key().starts_with("$");
    if (!value.is_structured() || value.size() < 2 || handle) {
      out << describe.value(value) << "\n";
      continue;
    }
    bool first = true;
    for (const auto &[key, element] : value.items()) {
      out << (first ? "" : std::string(width + 9, ' ')) << (value.is_object() ? key + ": " : "") << describe.value(element) << "\n";
      first = false;
    }
  }
}

}  // namespace

void print_plan(const Pipeline &pipeline, const std::vector<StagePlan> &plans, std::ostream &out) {
  out << pipeline.name << ": " << plans.size() << (plans.size() == 1 ? " stage" : " stages") << ", seed " << pipeline.seed << "\n";
  if (!pipeline.options.empty()) out << "\noptions\n";
  for (const Option &option : pipeline.options) out << "  " << option.name << " = " << option.value.dump() << "   # " << option.help << " (from " << option.from << ")\n";
  double flops = 0;
  std::vector<std::string> unknown;
  out << "\nstages\n";
  for (const StagePlan &plan : plans) {
    out << "  " << plan.name << " (" << plan.component << ", " << plan.source << ")\n";
    out << "      model     " << count_text(static_cast<double>(plan.parameters)) << " parameters, " << count_text(static_cast<double>(plan.active_parameters)) << " active\n";
    if (plan.adapter_parameters)
      out << "      lora      trains " << count_text(static_cast<double>(plan.adapter_parameters))
          << " parameters of an adapter; the model stays as it is\n";
    if (!plan.trains.empty()) out << "      trains    " << plan.trains << "\n";
    if (!plan.data.empty()) out << "      data      " << plan.data << "\n";
    if (plan.source != "loop") out << "      steps     " << (plan.steps ? std::to_string(plan.steps) : "as many as the data of an earlier stage needs") << "\n";
    if (plan.memory_bytes > 0) out << "      memory    " << human_bytes(static_cast<uint64_t>(plan.memory_bytes)) << " at most, the whole program\n";
    if (plan.flops > 0) out << "      work      about " << count_text(plan.flops / 1e9) << " GFLOP\n";
    else unknown.push_back(plan.name);
    for (const std::string &note : plan.notes) out << "      note      " << note << "\n";
    flops += plan.flops;
  }
  out << "\nsettings\n";
  for (size_t i = 0; i < plans.size(); ++i) print_settings(pipeline, plans[i], pipeline.order[i], out);
  out << "\nwork in all: about " << count_text(flops / 1e9) << " GFLOP"
      << (unknown.empty() ? "" : ", without " + join(unknown, ", ")) << "\n"
      << "(2 flops for each active parameter and token sampled, 6 when it is trained on, 4 by an adapter; responses "
         "half as long as they may be;\n"
      << "attention and rewards are not counted, so this is no measure of time)\n";
}

}  // namespace hone
