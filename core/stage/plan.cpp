// plan.cpp -- see plan.h.
#include "core/stage/plan.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model/opened_model.h"
#include "core/plugin/settings.h"
#include "core/rollout/sampler.h"
#include "core/stage/companions.h"
#include "core/stage/context.h"
#include "core/stage/conversations.h"
#include "core/stage/host_settings.h"
#include "core/stage/loop_handles.h"
#include "core/stage/model_training.h"
#include "core/stage/models.h"
#include "core/stage/plan_memory.h"
#include "core/stage/plan_rows.h"
#include "core/stage/planning_services.h"
#include "core/stage/reward_trial.h"
#include "hone/ext/objective.h"
#include "hone/ext/optimizer.h"

namespace hone {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct ModelSize {
  hone_model_info info{};
  uint64_t parameters = 0;
  std::shared_ptr<const Architecture> architecture;
};

class Planner {
 public:
  Planner(const Pipeline &pipeline, const Registry &registry, Host &host, Script &script, const Workplace &workplace)
      : pipeline_(pipeline), registry_(registry), host_(host), script_(script), workplace_(workplace), services_(registry, pipeline, host),
        rows_(pipeline, script, [this](int stage, const Place &place) { must_be_earlier(stage, "the data", place); }) {}

  std::vector<StagePlan> check() {
    for (size_t i = 0; i < pipeline_.order.size(); ++i) {
      const int index = pipeline_.order[i];
      for (size_t j = 0; j < i; ++j)
        if (pipeline_.order[j] == index) throw UsageError(pipeline_.stages[index].place.text() + ": the stage is in the pipeline twice");
      plans_.push_back(check_stage(index));
      finished_.push_back(index);
    }
    const auto told = try_rewards(pipeline_, registry_, script_, rewards_, to_try_);
    for (size_t i = 0; i < plans_.size(); ++i)
      if (const auto found = told.find(pipeline_.order[i]); found != told.end()) plans_[i].notes.insert(plans_[i].notes.end(), found->second.begin(), found->second.end());
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
      const bool on_disk = node.source == ModelNode::directory;
      try {
        if (!on_disk) tokenizer(index);  // a new model without words has no vocab_size either: say that first
        size.architecture = on_disk ? architecture_of(node.path, registry_, host_)
                                    : std::make_shared<const Architecture>(registry_.require("model", node.component),
                                                                           host_, node.config);
        size.info = size.architecture->info();
        size.parameters = size.architecture->trained_size();
        const std::shared_ptr<const Tokenizer> tokenizer = this->tokenizer(index);
        if (on_disk)
          check_token_count(node.path, *tokenizer, *size.architecture);
        else if (tokenizer->size() > size.info.vocab_size)
          throw UsageError(node.place.text() + ": the vocabulary has " + std::to_string(tokenizer->size()) + " words but vocab_size is " +
                           std::to_string(size.info.vocab_size));
      } catch (const UsageError &) {
        throw;
      } catch (const Failure &failure) {
        throw UsageError(node.place.text() + ": " + failure.what());
      }
    }
    return sizes_[index] = size;
  }

  // A large one takes a while to read.
  std::shared_ptr<const Tokenizer> tokenizer(int model) {
    std::shared_ptr<const Tokenizer> &known = tokenizers_[model];
    if (!known) known = tokenizer_of(pipeline_, model);
    return known;
  }

  // Of a model; or, with -1, the one that writes the stage's conversations, null when there is none.
  std::shared_ptr<const Tokenizer> tokenizer_for(int stage, int model) {
    try {
      return model < 0 ? writing_tokenizer(pipeline_, pipeline_.stages[stage]) : tokenizer(model);
    } catch (const UsageError &) {
      throw;
    } catch (const Failure &failure) {
      throw UsageError(where(stage) + ": " + failure.what());
    }
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

  // Whether a plugin scores steps is seen in the first step; a function never does.
  void refuse_rewards_without_steps(const json &setting, int stage) const {
    if (setting.is_object() && handle_index(setting, "$reward") < 0) {
      for (const auto &[domain, list] : setting.items()) refuse_rewards_without_steps(list, stage);
      return;
    }
    std::vector<std::string> labels;
    const json one = json::array({setting});
    for (const json &handle : setting.is_array() ? setting : one) {
      const RewardNode &node = pipeline_.rewards.at(handle_index(handle, "$reward"));
      if (node.function.empty()) return;
      labels.push_back(node.label);
    }
    throw UsageError(where(stage) + ": its objective learns from a reward for each step, but of its rewards (" + join(labels, ", ") +
                     ") each is a function, which has one for a whole response; add hone.reward \"prm\" or another plugin that scores steps");
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

  // What an objective asks of the host, and how many numbers of state its optimizer keeps for each parameter.
  struct TrainingNeeds {
    uint32_t source = 0, n_states = 0;
    uint64_t columns = 0;
  };

  void try_later(int stage, const json &rewards, const std::map<std::string, std::vector<SomeRow>> &rows) {
    if (rewards.is_null()) return;
    const json &settings = pipeline_.stages.at(stage).settings;
    to_try_.push_back({stage, rewards, rows, settings.value("reward_deadline", 10.0), settings.value("max_unscored", 0.5)});
  }

  // What the script wrote and the stage never looks at: more often a misunderstanding than meant.
  void refuse_ignored(int index, const StageNode &node, const ComponentInfo &component, const TrainingNeeds &training, StagePlan &plan) const {
    std::vector<std::string> taken;
    for (const Setting &setting : component.settings) taken.push_back(setting.name);
    for (const Setting &setting : objective_settings(training.source, training.columns)) taken.push_back(setting.name);
    for (const auto &[name, value] : node.settings.items())
      if (std::find(taken.begin(), taken.end(), name) == taken.end()) plan.unused.push_back(name);
    std::sort(taken.begin(), taken.end());
    taken.erase(std::unique(taken.begin(), taken.end()), taken.end());
    const auto written = [&](const char *name) { return std::find(node.written.begin(), node.written.end(), name) != node.written.end(); };
    for (const char *name : {"critic", "critic_optimizer", "value_pretraining_steps"})
      if (node.settings.at("share_critic").get<bool>() && written(name))
        throw UsageError(where(index) + ": `" + name + "` is of a critic of its own, but share_critic = true makes it a part of the model; leave one of them out");
    if (training.source == HONE_ON_POLICY && node.settings.at("dynamic_sampling").get<bool>()) {
      if (node.settings.at("num_generations").get<int>() == 1)
        throw UsageError(where(index) + ": dynamic_sampling keeps prompts whose responses differ in reward, but num_generations is 1; give more, or set dynamic_sampling = false");
      if (!given(node.settings, "rewards"))
        throw UsageError(where(index) + ": dynamic_sampling keeps prompts whose responses differ in reward, but there are no `rewards`; set dynamic_sampling = false");
    }
    for (const std::string &name : node.written)
      if (std::find(taken.begin(), taken.end(), name) == taken.end())
        throw UsageError(where(index) + " trains on " + source_text(training.source) + ", so `" + name + "` means nothing to it; leave it out (it takes " +
                         join(taken, ", ") + ")");
    if (!given(node.settings, "rewards")) refuse_without_rewards(index, node);
    if (node.settings.at("cache").get<bool>() &&
        pipeline_.models.at(handle_index(node.settings.at("model"), "$model")).source != ModelNode::fresh)
      throw UsageError(where(index) + ": `cache` is for a new model; leave it out here");
  }
  static const char *source_text(uint32_t source) {
    switch (source) {
      case HONE_ON_POLICY: return "rollouts of its own";
      case HONE_TEACHER: return "a teacher's responses";
      case HONE_PAIRS: return "pairs";
      default: return "rows of data";
    }
  }
  void refuse_without_rewards(int index, const StageNode &node) const {
    for (const char *name : {"isolation", "reward_deadline", "max_unscored", "keep_reward"})
      if (std::find(node.written.begin(), node.written.end(), name) != node.written.end())
        throw UsageError(where(index) + ": `" + name + "` means nothing without `rewards`; leave it out");
  }

  static bool given(const json &settings, const char *name) { return settings.contains(name) && !settings[name].is_null(); }

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
      throw UsageError(after_place(where(stage), failure.what()));
    }
  }

  // How many numbers the stage's adapter of this model has, checked; 0: none is asked for.
  uint64_t adapter_size(int index, const StageNode &node, const ModelSize &size) const {
    if (!given(node.settings, "lora")) return 0;
    const LoraSettings lora = lora_settings(node.settings["lora"], where(index));
    if (node.settings.value("cache", false))
      throw UsageError(where(index) + ": `cache` keeps models that are trained in full; leave it out beside `lora`");
    return lora_size(*size.architecture, lora_targets(*size.architecture, lora, where(index)), lora.rank);
  }

  void refuse_unlearnable_depths(int index, const StageNode &node, uint32_t source, const ModelSize &size) const {
    const std::string why_not = why_not_ahead(node.settings.at("mtp_loss_weight"), *size.architecture, source == HONE_PAIRS);
    if (!why_not.empty()) throw UsageError(where(index) + ": " + why_not);
  }

  // Parameters that depths of multi-token prediction use for one token, the head's once more for each; 0: none is trained.
  static uint64_t active_ahead(const StageNode &node, const ModelSize &size) {
    const hone_model_info &info = size.info;
    if (!(node.settings.at("mtp_loss_weight").get<double>() > 0)) return 0;
    uint64_t active = uint64_t{info.depths} * info.vocab_size * info.hidden_size;
    for (const ParameterInfo &parameter : size.architecture->parameters()) {
      if (!(parameter.flags & HONE_PARAMETER_AHEAD) || (parameter.flags & HONE_PARAMETER_LOOKUP)) continue;
      active += parameter.flags & HONE_PARAMETER_EXPERTS ? parameter.size / parameter.dims[0] * info.experts_per_token : parameter.size;
    }
    return active;
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
    if (source == HONE_ON_POLICY && !given(node.settings, "rewards") && !needs_no_rewards(training.columns))
      throw UsageError(where(index) + ": needs `rewards`");
    if (source == HONE_TEACHER && !given(node.settings, "teacher")) throw UsageError(where(index) + ": needs `teacher`, the model to learn from");
    if ((training.columns & HONE_LOGP_TEACHER) && !given(node.settings, "teacher"))
      throw UsageError(where(index) + ": needs `teacher`, whose log-probs its objective reads");
    ModelSize teacher;
    if (given(node.settings, "teacher")) teacher = model(handle_index(node.settings["teacher"], "$model"));
    refuse_ignored(index, node, component, training, plan);
    refuse_unlearnable_depths(index, node, source, size);
    for (const char *name : {"stop", "step_separators"}) texts_of(node.settings, name, where(index));
    if (const auto temperature = node.settings.at("temperature").get<double>(); !is_temperature(temperature))
      throw UsageError(where(index) + ": temperature is " + number_text(temperature) + "; it must be " + kTemperatures);
    const bool reference = training.columns & (HONE_LOGP_REF | HONE_KL);
    const std::vector<std::string> columns = source == HONE_PAIRS  ? std::vector<std::string>{"prompt", "chosen", "rejected"}
                                             : source == HONE_ROWS && (training.columns & HONE_STEP_REWARD)
                                                 ? std::vector<std::string>{"prompt", "steps", "labels"}
                                             : source == HONE_ROWS ? std::vector<std::string>{"prompt", "response"}
                                                                   : std::vector<std::string>{"prompt"};
    const auto tokenizer = tokenizer_for(index, handle_index(node.settings.at("model"), "$model"));
    const SeenRows seen = rows_.look(node.settings[wanted], columns, tokenizer.get(), size.info.max_positions);
    plan.data = seen.text;
    if (tokenizer->eos() < 0 && source != HONE_PAIRS)
      log_warning(where(index) + ": the model's vocabulary has no <eos>, so no response will ever end; add that word to `words`");
    if (source == HONE_ON_POLICY && node.settings.at("num_generations").get<int>() == 1)
      plan.notes.push_back("num_generations is 1: an objective that compares the responses to one prompt learns nothing from one");
    rewards(node.settings.value("rewards", json()), index, seen.domains);
    if (source == HONE_ON_POLICY && (training.columns & HONE_STEP_REWARD)) refuse_rewards_without_steps(node.settings["rewards"], index);
    try_later(index, node.settings.value("rewards", json()), seen.some);
    plan.source = source == HONE_ON_POLICY ? "rollouts" : source == HONE_PAIRS ? "pairs" : source == HONE_TEACHER ? "teacher" : "rows";

    const auto batch = node.settings.at("batch_size").get<double>();
    const auto generations = node.settings.at("num_generations").get<double>();
    const double one_pass = static_cast<double>(seen.rows) * (source == HONE_TEACHER ? generations : 1);  // of a teacher's: at most
    plan.steps = node.settings.at("steps").get<uint64_t>();
    if (plan.steps == 0) plan.steps = static_cast<uint64_t>(std::ceil(one_pass * node.settings.at("epochs").get<double>() / batch));
    if (plan.steps == 0 && node.settings.at("epochs").get<double>() == 0)
      throw UsageError(where(index) + ": steps and epochs are both 0; give one of them");
    const auto most = node.settings.at("max_completion_length").get<double>();
    plan.adapter_parameters = adapter_size(index, node, size);
    TrainingPlan memory{size.architecture, plan.adapter_parameters, training.n_states, reference};
    memory.samples = source == HONE_ON_POLICY;
    const auto check_companion = [&](const ModelSize &companion, int handle, const std::string &who) {
      check_same_vocabulary(*tokenizer, *tokenizer_for(index, handle), where(index) + ": its " + who);
      if (companion.info.max_positions < size.info.max_positions && companion.info.max_positions < seen.mean_tokens + most)
        throw UsageError(where(index) + ": its " + who + " has positions for " + std::to_string(companion.info.max_positions) + " tokens, but prompts of about " +
                         number_text(std::round(seen.mean_tokens)) + " and responses of up to " + number_text(most) + " are read; lower max_completion_length");
    };
    ModelSize critic;
    if (source == HONE_ON_POLICY && (training.columns & HONE_VALUE)) {
      if (const auto choice = critic_choice(node.settings)) {
        critic = model(choice->model);
        check_companion(critic, choice->model, "critic");
        memory.critic = critic.architecture;
        memory.critic_adapter = adapter_size(index, node, critic);
        memory.critic_states = training_needs(index, component, own_settings(component, node.settings), choice->optimizer).n_states;
      }
    }
    if (source == HONE_ON_POLICY && given(node.settings, "teacher")) {
      check_companion(teacher, handle_index(node.settings["teacher"], "$model"), "teacher");
      memory.teacher = teacher.architecture;
    }
    memory.prompt_tokens = seen.mean_tokens / (source == HONE_PAIRS ? 2 : 1);
    memory.response_tokens = samples ? most : 0;
    memory.groups = batch;
    memory.rows_per_group = source == HONE_ON_POLICY ? generations : source == HONE_PAIRS ? 2 : 1;
    memory.unit_tokens = node.settings.at("unit_tokens").get<uint32_t>();
    memory.checkpointing = node.settings.at("gradient_checkpointing").get<bool>();
    memory.depths = node.settings.at("mtp_loss_weight").get<double>() > 0 ? size.info.depths : 0;
    plan.memory_bytes = training_bytes(memory, workplace_);

    // Work: 2 flops a parameter and token for a forward pass, 6 with the backward one (4 where the model's own matrices
    // have no gradient), 2 more where it computes values again; half the limit is a fair length. Only what trains looks ahead.
    const auto active = static_cast<double>(size.info.active_parameters), prompt = samples ? seen.mean_tokens : 0;
    const auto trained = active + static_cast<double>(active_ahead(node, size));
    const double length = samples ? most / 2 : 0, tokens = samples ? prompt + length : seen.mean_tokens;  // of a row
    const double pass = (plan.adapter_parameters ? 4 : 6) + (node.settings.at("gradient_checkpointing").get<bool>() ? 2 : 0);
    const double row = tokens * (pass * node.settings.at("num_iterations").get<double>() * trained + (reference ? 2 : 0) * active);
    const double sampling = 2 * (prompt + generations * length);  // of a prompt, which is computed once
    const auto steps = static_cast<double>(plan.steps);
    if (tokens == 0) return;  // rows that no one has seen yet
    plan.flops = steps * batch * row;
    if (source == HONE_ON_POLICY) {
      const double critics = static_cast<double>(critic.info.active_parameters), teachers = static_cast<double>(teacher.info.active_parameters);
      const double beside = tokens * (critics * (2 + pass * node.settings.at("num_iterations").get<double>()) + 2 * teachers);
      const double greedy = training.columns & HONE_BASELINE ? 2 * (prompt + length) * active : 0;
      plan.flops = steps * batch * (sampling * active + greedy + generations * (row + beside));
      if (node.settings.at("dynamic_sampling").get<bool>())
        plan.notes.push_back("dynamic_sampling: the work is that of one round of sampling in each step; there may be up to " +
                             std::to_string(node.settings.at("max_sampling_rounds").get<int>()));
    }
    if (source == HONE_TEACHER && seen.rows == 0) plan.flops = 0;
    if (source == HONE_TEACHER) plan.flops += static_cast<double>(seen.rows) * sampling * static_cast<double>(teacher.info.active_parameters);
  }

  void loop(int index, const StageNode &node, const ComponentInfo &component, StagePlan &plan) {
    plan.source = "loop";
    std::vector<json> handles;
    const json own = with_numbered_handles(component, node.settings, handles);
    const auto trainers = services_.trainers_of(node, where(index), handles, [&] { const Instance instance(component, host_.abi(), own); });
    SeenRows seen;  // of all its data
    bool judges = false;
    const auto writer = tokenizer_for(index, -1);
    for (const Setting &setting : component.settings) {
      if (!given(node.settings, setting.name.c_str())) continue;
      judges = judges || setting.type == HONE_REWARD_HANDLE;
      if (setting.type != HONE_DATA_HANDLE) continue;
      SeenRows one = rows_.look(node.settings[setting.name], {"prompt"}, nullptr, 0, writer.get());
      seen.text += (seen.text.empty() ? "" : " + ") + one.text;
      seen.domains.insert(seen.domains.end(), one.domains.begin(), one.domains.end());
      for (auto &[domain, rows] : one.some) seen.some[domain].insert(seen.some[domain].end(), rows.begin(), rows.end());
    }
    plan.data = seen.text;
    if (!judges) refuse_without_rewards(index, node);
    for (const Setting &setting : component.settings) {
      if (!given(node.settings, setting.name.c_str())) continue;
      const json &value = node.settings[setting.name];
      if (setting.type == HONE_REWARD_HANDLE) rewards(value, index, seen.domains), try_later(index, value, seen.some);
      if (setting.type == HONE_MODEL_HANDLE) plan_model(handle_index(value, "$model"), trainers, plan);
      if (setting.type == HONE_LIST || setting.type == HONE_TABLE)
        for (const auto &[name, element] : value.items())
          if (const int used = handle_index(element, "$model"); used >= 0) plan_model(used, trainers, plan);
    }
    for (const TrainerRequest &trainer : trainers) {  // beside one model at a time that is only sampled from
      const TrainingNeeds training = training_needs(index, *trainer.objective, trainer.settings, trainer.optimizer);
      const uint64_t adapter = adapter_size(index, node, model(trainer.model));
      refuse_unlearnable_depths(index, node, training.source, model(trainer.model));
      plan.adapter_parameters += adapter;
      TrainingPlan memory{model(trainer.model).architecture, adapter, training.n_states, (training.columns & (HONE_LOGP_REF | HONE_KL)) != 0};
      plan.memory_bytes += training_bytes(memory, workplace_);
      plan.objectives.push_back(trainer.objective->library);
      plan.trains += (plan.trains.empty() ? "" : ", ") + trainer.objective->name + " with " + pipeline_.optimizers[trainer.optimizer].component;
    }
  }

  void plan_model(int index, const std::vector<TrainerRequest> &trainers, StagePlan &plan) {
    const ModelSize &size = model(index);
    plan.parameters = std::max(plan.parameters, size.parameters);
    plan.active_parameters = std::max(plan.active_parameters, size.info.active_parameters);
    const auto trains_it = [&](const TrainerRequest &trainer) { return trainer.model == index; };
    if (std::none_of(trainers.begin(), trainers.end(), trains_it)) plan.memory_bytes = std::max(plan.memory_bytes, running_bytes(*size.architecture, workplace_));
  }

  const Pipeline &pipeline_;
  const Registry &registry_;
  const Host &host_;
  Script &script_;
  Workplace workplace_;
  PlanningServices services_;
  std::map<int, ModelSize> sizes_;
  std::map<int, std::shared_ptr<const Tokenizer>> tokenizers_;  // by model
  RowCheck rows_;
  std::vector<StagePlan> plans_;
  std::vector<int> finished_;
  std::set<int> rewards_;  // used by a stage
  std::vector<RewardsToTry> to_try_;
};

}  // namespace

std::vector<StagePlan> check_plan(const Pipeline &pipeline, const Registry &registry, Host &host, Script &script, uint32_t dtype, uint32_t threads) {
  if (pipeline.order.empty()) throw UsageError(pipeline.name + ".lua: the pipeline has no stage; return hone.pipeline { stage, ... }");
  return Planner(pipeline, registry, host, script, {dtype, threads}).check();
}

}  // namespace hone
