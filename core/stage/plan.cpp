// plan.cpp -- see plan.h.
#include "core/stage/plan.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <ostream>
#include <set>
#include <sstream>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/plugin/settings.h"
#include "core/reward/scorer.h"
#include "core/stage/context.h"
#include "core/stage/data.h"
#include "core/stage/models.h"
#include "core/stage/planning_services.h"
#include "core/text/rows.h"
#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"
#include "hone/ext/reward.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct ModelSize {
  hone_model_info info{};
  uint64_t parameters = 0;
};

class Planner {
 public:
  Planner(const Pipeline &pipeline, const Registry &registry, Host &host, Script &script)
      : pipeline_(pipeline), registry_(registry), host_(host), script_(script), services_(registry, pipeline, host) {}

  std::vector<StagePlan> check() {
    for (size_t i = 0; i < pipeline_.order.size(); ++i) {
      const int index = pipeline_.order[i];
      for (size_t j = 0; j < i; ++j)
        if (pipeline_.order[j] == index) throw UsageError(pipeline_.stages[index].place.text() + ": the stage is in the pipeline twice");
      plans_.push_back(check_stage(index));
      finished_.push_back(index);
    }
    open_rewards();
    return plans_;
  }

 private:
  std::string where(int stage) const { return pipeline_.stages[stage].place.text() + ": stage " + stage_label(pipeline_, stage); }

  void must_be_earlier(int stage, const std::string &what, const Place &place) const {
    if (std::find(finished_.begin(), finished_.end(), stage) == finished_.end())
      throw UsageError(place.text() + ": " + what + " of stage \"" + stage_label(pipeline_, stage) +
                       "\" is used before that stage runs; put the stage earlier in hone.pipeline");
  }

  const ModelSize &model(int index) {
    if (const auto found = sizes_.find(index); found != sizes_.end()) return found->second;
    const ModelNode &node = pipeline_.models.at(index);
    ModelSize size;
    if (node.source == ModelNode::stage_output) {
      must_be_earlier(node.stage, "the model", node.place);
      size = model(handle_index(pipeline_.stages[node.stage].settings.at("model"), "$model"));
    } else {
      json config = node.config;
      uint32_t words = 0;
      std::string component = node.component;
      if (node.source == ModelNode::directory) {
        const fs::path file = fs::path(node.path) / "config.json";
        if (!fs::exists(file)) throw UsageError(node.place.text() + ": model \"" + node.path + "\": there is no " + file.string());
        try {
          config = json::parse(read_file(file));
        } catch (const json::exception &error) {
          throw UsageError(node.place.text() + ": " + file.string() + ": not JSON: " + error.what());
        }
        const std::string type = config.value("model_type", "");
        const ComponentInfo *info = registry_.model_for_type(type);
        if (!info) throw UsageError(node.place.text() + ": " + file.string() + ": no model plugin serves model_type \"" + type + "\"");
        component = info->name;
        json known = json::object();
        for (const Setting &setting : info->settings)
          if (config.contains(setting.name)) known[setting.name] = config[setting.name];
        config = check_settings(info->settings, known, file.string());
      } else {
        words = tokenizer_of(pipeline_, index)->size();
      }
      try {
        const Architecture architecture(registry_.require("model", component), host_, config);
        size.info = architecture.info();
        size.parameters = architecture.trained_size();
        if (words > size.info.vocab_size)
          throw UsageError(node.place.text() + ": the vocabulary has " + std::to_string(words) + " words but vocab_size is " + std::to_string(size.info.vocab_size));
      } catch (const UsageError &) {
        throw;
      } catch (const Failure &failure) {
        throw UsageError(node.place.text() + ": " + failure.what());
      }
    }
    return sizes_[index] = size;
  }

  // Number of rows, 0 when only a run tells; adds what the rows are to text. columns: what every row must have.
  uint64_t data(int index, const std::vector<std::string> &columns, std::string &text) {
    const DataNode &node = pipeline_.data.at(index);
    const auto say = [&](const std::string &part) { text += (text.empty() ? "" : " + ") + part; };
    switch (node.source) {
      case DataNode::stage_output:
        must_be_earlier(node.stage, "the data", node.place);
        say("from stage " + stage_label(pipeline_, node.stage));
        return 0;
      case DataNode::list: {
        uint64_t all = 0;
        bool known = true;
        for (int part : node.parts) {
          const uint64_t n = data(part, columns, text);
          known = known && n > 0;
          all += n;
        }
        return known ? all : 0;
      }
      case DataNode::file: {
        std::vector<std::pair<size_t, json>> rows;
        try {
          rows = read_numbered_rows(node.path);
        } catch (const Failure &failure) {
          throw UsageError(node.place.text() + ": " + failure.what());
        }
        for (const auto &[line, row] : rows) {
          const std::string where = node.path + ":" + std::to_string(line);
          check_row(row, columns, where);
          if (tokenizer_) check_encodes(row, columns, where);
        }
        say(node.path + " (" + std::to_string(rows.size()) + " rows)");
        return rows.size();
      }
      case DataNode::mapped: return mapped(node, columns, text);
      case DataNode::generated: break;
    }
    if (node.count > 0)  // the first row tells whether the function works at all
      check_row(script_.call(node.function, json(1), {pipeline_.seed * 1000003 + node.seed, 1}), columns, node.place.text() + " row 1");
    say(std::to_string(node.count) + " generated rows" + (node.label.empty() ? "" : " of " + node.label));
    return node.count;
  }

  // The first row that the function keeps tells whether it works. Of a file only the first thousand rows are asked.
  uint64_t mapped(const DataNode &node, const std::vector<std::string> &columns, std::string &text) {
    const std::shared_ptr<const Tokenizer> tokenizer = std::move(tokenizer_);  // what it is for are the mapped rows
    const uint64_t all = data(node.parts.at(0), {}, text), rest = all > node.skip ? all - node.skip : 0;
    tokenizer_ = tokenizer;
    const DataNode &source = pipeline_.data.at(node.parts.at(0));
    if (all > 0 && rest == 0)
      throw UsageError(node.place.text() + ": skip leaves out all " + std::to_string(all) + " rows of " + text);
    if (source.source == DataNode::file) {
      const auto rows = read_numbered_rows(source.path);
      for (uint64_t i = node.skip; i < std::min<uint64_t>(rows.size(), node.skip + 1000); ++i) {
        const std::string where = node.place.text() + " row " + std::to_string(i + 1) + " (" + source.path + ":" + std::to_string(rows[i].first) + ")";
        const json row = script_.call(node.function, rows[i].second, {pipeline_.seed * 1000003 + node.seed, i + 1});
        if (row.is_null()) continue;
        check_row(row, columns, where);
        if (tokenizer_) check_encodes(row, columns, where);
        break;
      }
    }
    text += ", mapped" + (node.label.empty() || node.label == "rows" ? "" : " to " + node.label);
    return 0;  // how many the function keeps, only a run tells
  }

  static void check_row(const json &row, const std::vector<std::string> &columns, const std::string &where) {
    if (!row.is_object()) throw UsageError(where + ": is not a table with named columns");
    if (row.contains("text") && columns == std::vector<std::string>{"prompt", "response"}) return;
    try {
      for (const std::string &column : columns) column_text(row, column, where);
    } catch (const Failure &failure) {
      throw UsageError(failure.what());
    }
  }

  void check_encodes(const json &row, const std::vector<std::string> &columns, const std::string &where) const {
    try {
      const DataRow data{row, "", where};
      const uint32_t no_limit = UINT32_MAX;
      if (columns.size() == 3) pair_to_train(*tokenizer_, data, 0, no_limit);
      else if (columns.size() == 2) row_to_train(*tokenizer_, data, 0, no_limit);
      else prompt_ids(*tokenizer_, data);
    } catch (const Failure &failure) {
      throw UsageError(failure.what());
    }
  }

  uint64_t domains(const json &setting, const std::vector<std::string> &columns, std::string &text, std::vector<std::string> &names) {
    if (const int one = handle_index(setting, "$data"); one >= 0) return data(one, columns, text);
    uint64_t all = 0;
    bool known = true;
    for (const auto &[name, part] : setting.items()) {
      const uint64_t n = domains(part, columns, text, names);
      if (setting.is_object()) names.push_back(name);
      known = known && n > 0;
      all += n;
    }
    return known ? all : 0;
  }

  void rewards(const json &setting, int stage, const std::vector<std::string> &domain_names) {
    if (setting.is_null()) return;
    if (handle_index(setting, "$reward") >= 0) {
      reward(handle_index(setting, "$reward"));
    } else if (setting.is_array()) {
      for (const json &one : setting) reward(handle_index(one, "$reward"));
    } else {
      for (const std::string &name : domain_names)
        if (!setting.contains(name)) throw UsageError(where(stage) + ": prompts have the domain \"" + name + "\" but rewards do not");
      if (domain_names.empty()) throw UsageError(where(stage) + ": rewards are given per domain but prompts are not");
      for (const auto &[name, list] : setting.items()) {
        if (std::find(domain_names.begin(), domain_names.end(), name) == domain_names.end())
          throw UsageError(where(stage) + ": rewards have the domain \"" + name + "\" but prompts do not (they have " + join(domain_names, ", ") + ")");
        rewards(list, stage, {});
      }
    }
  }

  // Rewards are opened once in a worker, all together, when the stages have been looked at: a plugin may refuse its settings.
  void open_rewards() const {
    std::vector<RewardPart> parts;
    for (int index : rewards_) {
      const RewardNode &node = pipeline_.rewards[index];
      bool ready = node.function.empty();  // a Lua function was checked with the script
      for (const auto &[name, value] : node.settings.items()) ready = ready && handle_index(value, "$model") < 0;
      if (!ready) continue;
      RewardPart part;
      part.label = node.place.text() + ": " + node.label;
      for (const RewardPart &other : parts)
        if (other.label == part.label) part.label += " (" + std::to_string(index) + ")";
      part.component = registry_.require("reward", node.component);
      part.settings = node.settings;
      parts.push_back(std::move(part));
    }
    if (parts.empty()) return;
    ScorerSettings settings;
    settings.workers = 1;
    settings.plugin_folders = registry_.folders_;
    try {
      const Scorer scorer(std::move(parts), settings);
    } catch (const UsageError &) {
      throw;
    } catch (const Failure &failure) {
      throw UsageError(failure.what());
    }
  }

  void reward(int index) {
    rewards_.insert(index);
    const RewardNode &node = pipeline_.rewards.at(index);
    for (const auto &[name, value] : node.settings.items())
      if (const int used = handle_index(value, "$model"); used >= 0) {
        if (pipeline_.models.at(used).source == ModelNode::fresh)
          throw UsageError(node.place.text() + ": reward " + node.label + ": `" + name + "` is an untrained model");
        model(used);
      }
  }

  StagePlan check_stage(int index) {
    const StageNode &node = pipeline_.stages.at(index);
    const ComponentInfo &component = registry_.require("stage", node.component);
    StagePlan plan;
    plan.name = stage_folder_name(pipeline_, index);
    plan.component = node.component;
    if (component.kind == HONE_OBJECTIVE) objective(index, node, component, plan);
    else loop(index, node, component, plan);
    return plan;
  }

  static bool given(const json &settings, const char *name) { return settings.contains(name) && !settings[name].is_null(); }

  // What an objective asks of the host, and how many numbers of state its optimizer keeps for each parameter.
  struct TrainingNeeds {
    uint32_t source = 0, n_states = 0;
    uint64_t columns = 0;
  };
  TrainingNeeds training_needs(int stage, const ComponentInfo &objective, const json &own, int optimizer) const {
    try {
      const Instance instance(objective, host_.abi(), own);
      const hone_objective methods = known_methods<hone_objective>(instance.component());
      const OptimizerNode &node = pipeline_.optimizers.at(optimizer);
      const Instance updates(registry_.require("optimizer", node.component), host_.abi(), node.settings);
      return {methods.source(instance.self()), known_methods<hone_optimizer>(updates.component()).n_states(updates.self()),
              methods.needs(instance.self())};
    } catch (const UsageError &) {
      throw;
    } catch (const Failure &failure) {
      throw UsageError(where(stage) + ": " + failure.what());
    }
  }

  // Numbers and their packing, gradient slots, the gradient, the optimizer's state, and a reference model.
  static double training_bytes(const ModelSize &size, const TrainingNeeds &training) {
    const uint32_t slots = 4;
    const double weights = 4.0 * static_cast<double>(size.parameters);
    return weights * (2 + slots + 1 + training.n_states + ((training.columns & (HONE_LOGP_REF | HONE_KL)) ? 2 : 0));
  }

  void objective(int index, const StageNode &node, const ComponentInfo &component, StagePlan &plan) {
    const int optimizer = handle_index(node.settings.at("optimizer"), "$optimizer");
    if (optimizer < 0) throw UsageError(where(index) + ": needs an `optimizer`, e.g. hone.optimizer \"adamw\" { learning_rate = 1e-6 }");
    const TrainingNeeds training = training_needs(index, component, own_settings(component, node.settings), optimizer);
    const uint32_t source = training.source;

    const ModelSize size = model(handle_index(node.settings.at("model"), "$model"));
    plan.parameters = size.parameters;
    plan.active_parameters = size.info.active_parameters;
    const bool samples = source == HONE_ON_POLICY || source == HONE_TEACHER;
    const char *wanted = samples ? "prompts" : "data", *other = samples ? "data" : "prompts";
    if (!given(node.settings, wanted)) throw UsageError(where(index) + ": needs `" + wanted + "`");
    if (given(node.settings, other)) throw UsageError(where(index) + ": takes `" + wanted + "`, not `" + other + "`");
    if (source == HONE_ON_POLICY && !given(node.settings, "rewards")) throw UsageError(where(index) + ": needs `rewards`");
    if (source == HONE_TEACHER && !given(node.settings, "teacher")) throw UsageError(where(index) + ": needs `teacher`, the model to learn from");
    if (given(node.settings, "teacher")) model(handle_index(node.settings["teacher"], "$model"));
    const std::vector<std::string> columns = source == HONE_PAIRS  ? std::vector<std::string>{"prompt", "chosen", "rejected"}
                                             : source == HONE_ROWS ? std::vector<std::string>{"prompt", "response"}
                                                                   : std::vector<std::string>{"prompt"};
    std::vector<std::string> names;
    tokenizer_ = tokenizer_of(pipeline_, handle_index(node.settings.at("model"), "$model"));
    const uint64_t rows = domains(node.settings[wanted], columns, plan.data, names);
    if (tokenizer_->eos() < 0 && source != HONE_PAIRS)
      log_warning(where(index) + ": the model's vocabulary has no <eos>, so no response will ever end; add that word to `words`");
    tokenizer_.reset();
    rewards(node.settings.value("rewards", json()), index, names);
    plan.source = source == HONE_ON_POLICY ? "rollouts" : source == HONE_PAIRS ? "pairs" : source == HONE_TEACHER ? "teacher" : "rows";

    const auto batch = node.settings.at("batch_size").get<double>();
    plan.steps = node.settings.at("steps").get<uint64_t>();
    if (plan.steps == 0) plan.steps = static_cast<uint64_t>(std::ceil(static_cast<double>(rows) * node.settings.at("epochs").get<double>() / batch));
    const double key_values = 4.0 * size.info.attention_layers * size.info.kv_heads * (size.info.key_size + size.info.value_size);
    plan.memory_bytes = training_bytes(size, training);
    if (samples) {
      const double length = node.settings.at("max_completion_length").get<double>();
      const double generations = node.settings.at("num_generations").get<double>();
      plan.memory_bytes += std::min(batch * generations, 512.0) * length * key_values;
      // A rollout costs 2 flops a parameter and token, training 6; half the limit is a fair length
      plan.flops = static_cast<double>(plan.steps) * batch * generations * length / 2 * 8 * static_cast<double>(size.info.active_parameters);
    }
  }

  void loop(int index, const StageNode &node, const ComponentInfo &component, StagePlan &plan) {
    plan.source = "loop";
    json own = json::object();
    for (const Setting &setting : component.settings) {
      json value = node.settings.at(setting.name);
      const bool by_number = setting.type == HONE_DATA_HANDLE || setting.type == HONE_REWARD_HANDLE || setting.type == HONE_FUNCTION_HANDLE;
      own[setting.name] = by_number && !value.is_null() ? json{{"$handle", 0}} : value;
    }
    const auto trainers = services_.trainers_of(node, where(index), [&] { const Instance instance(component, host_.abi(), own); });
    std::vector<std::string> names;
    for (const Setting &setting : component.settings)
      if (setting.type == HONE_DATA_HANDLE && given(node.settings, setting.name.c_str()))
        domains(node.settings[setting.name], {"prompt"}, plan.data, names);
    for (const Setting &setting : component.settings) {
      if (!given(node.settings, setting.name.c_str())) continue;
      const json &value = node.settings[setting.name];
      if (setting.type == HONE_REWARD_HANDLE) rewards(value, index, names);
      if (setting.type == HONE_MODEL_HANDLE) plan_model(handle_index(value, "$model"), trainers, plan);
      if (setting.type == HONE_LIST || setting.type == HONE_TABLE)
        for (const auto &[name, element] : value.items())
          if (const int used = handle_index(element, "$model"); used >= 0) plan_model(used, trainers, plan);
    }
    for (const TrainerRequest &trainer : trainers) {  // beside one model at a time that is only sampled from
      plan.memory_bytes += training_bytes(model(trainer.model), training_needs(index, *trainer.objective, trainer.settings, trainer.optimizer));
      plan.objectives.push_back(trainer.objective->library);
      plan.trains += (plan.trains.empty() ? "" : ", ") + trainer.objective->name + " with " + pipeline_.optimizers[trainer.optimizer].component;
    }
  }

  void plan_model(int index, const std::vector<TrainerRequest> &trainers, StagePlan &plan) {
    const ModelSize &size = model(index);
    plan.parameters = std::max(plan.parameters, size.parameters);
    plan.active_parameters = std::max(plan.active_parameters, size.info.active_parameters);
    const auto trains_it = [&](const TrainerRequest &trainer) { return trainer.model == index; };
    if (std::none_of(trainers.begin(), trainers.end(), trains_it))
      plan.memory_bytes = std::max(plan.memory_bytes, 8.0 * static_cast<double>(size.parameters));
  }

  const Pipeline &pipeline_;
  const Registry &registry_;
  const Host &host_;
  Script &script_;
  PlanningServices services_;
  std::map<int, ModelSize> sizes_;
  std::shared_ptr<const Tokenizer> tokenizer_;  // of the stage whose rows are looked at; null: rows are not encoded
  std::vector<StagePlan> plans_;
  std::vector<int> finished_;
  std::set<int> rewards_;  // used by a stage
};

std::string count_text(double n) {
  std::ostringstream out;
  out << std::setprecision(3);
  if (n >= 1e9) out << n / 1e9 << " B";
  else if (n >= 1e6) out << n / 1e6 << " M";
  else if (n >= 1e3) out << n / 1e3 << " k";
  else out << n;
  return out.str();
}

}  // namespace

std::vector<StagePlan> check_plan(const Pipeline &pipeline, const Registry &registry, Host &host, Script &script) {
  if (pipeline.order.empty()) throw UsageError(pipeline.name + ".lua: the pipeline has no stage; return hone.pipeline { stage, ... }");
  return Planner(pipeline, registry, host, script).check();
}

void print_plan(const Pipeline &pipeline, const std::vector<StagePlan> &plans, std::ostream &out) {
  out << pipeline.name << ": " << plans.size() << " stages, seed " << pipeline.seed << "\n";
  if (!pipeline.options.empty()) out << "\noptions\n";
  for (const Option &option : pipeline.options) out << "  " << option.name << " = " << option.value.dump() << "   # " << option.help << " (from " << option.from << ")\n";
  double flops = 0;
  bool all_known = true;
  out << "\nstages\n";
  for (const StagePlan &plan : plans) {
    out << "  " << plan.name << " (" << plan.component << ", " << plan.source << ")\n";
    out << "      model     " << count_text(static_cast<double>(plan.parameters)) << " parameters, " << count_text(static_cast<double>(plan.active_parameters)) << " active\n";
    if (!plan.trains.empty()) out << "      trains    " << plan.trains << "\n";
    if (!plan.data.empty()) out << "      data      " << plan.data << "\n";
    if (plan.source != "loop") out << "      steps     " << (plan.steps ? std::to_string(plan.steps) : "as many as the data of an earlier stage needs") << "\n";
    if (plan.memory_bytes > 0) out << "      memory    " << human_bytes(static_cast<uint64_t>(plan.memory_bytes)) << " for weights, gradients, optimizer and cache\n";
    if (plan.flops > 0) out << "      work      about " << count_text(plan.flops / 1e9) << " GFLOP\n";
    else all_known = false;
    flops += plan.flops;
  }
  out << "\nsettings\n";
  for (int index : pipeline.order) {
    const StageNode &stage = pipeline.stages[index];
    out << "  " << stage_folder_name(pipeline, index) << "  (" << stage.place.text() << ")\n";
    for (const auto &[name, value] : stage.settings.items()) out << "      " << name << " = " << value.dump() << "\n";
  }
  out << "\nrollout work in all: about " << count_text(flops / 1e9) << " GFLOP" << (all_known ? "" : " (stages over rows not counted)") << "\n";
}

}  // namespace hone
