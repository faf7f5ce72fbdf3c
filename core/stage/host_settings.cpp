// host_settings.cpp -- the tables of host_settings.h.
#include "core/stage/host_settings.h"

#include <algorithm>
#include <limits>
#include <map>

#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "hone/ext/objective.h"

#include "core/plugin/settings.h"

namespace hone {
namespace {

constexpr double kAny = std::numeric_limits<double>::infinity();

Setting handle(const char *name, int32_t type, const char *help, bool required = false) {
  Setting s;
  s.name = name, s.help = help, s.type = type, s.required = required, s.fallback = "null";
  return s;
}
Setting number(const char *name, int32_t type, const char *fallback, double min, double max, const char *help) {
  Setting s;
  s.name = name, s.help = help, s.type = type, s.min = min, s.max = max, s.fallback = fallback;
  return s;
}
Setting integer(const char *name, const char *fallback, double min, double max, const char *help) {
  return number(name, HONE_INT, fallback, min, max, help);
}
Setting real(const char *name, const char *fallback, double min, double max, const char *help) {
  return number(name, HONE_FLOAT, fallback, min, max, help);
}
Setting flag(const char *name, const char *fallback, const char *help) { return number(name, HONE_BOOL, fallback, 0, 1, help); }
Setting choice(const char *name, const char *fallback, std::vector<std::string> choices, const char *help) {
  Setting s;
  s.name = name, s.help = help, s.type = HONE_STRING, s.choices = std::move(choices), s.fallback = fallback;
  return s;
}
Setting list(const char *name, const char *help, const char *fallback = "[]") {
  Setting s;
  s.name = name, s.help = help, s.type = HONE_LIST, s.fallback = fallback;
  return s;
}
Setting lora() {
  Setting s;
  s.name = "lora", s.type = HONE_TABLE, s.fallback = "null";
  s.help =
      "train a low-rank adapter and not the model: { rank = 16, alpha = 32, target_modules = { \"q_proj\", \"v_proj\" "
      "} } (or \"all-linear\"), "
      "rslora = true divides by sqrt(rank)";
  return s;
}
Setting label() {
  Setting s;
  s.name = "label", s.type = HONE_STRING, s.fallback = "\"\"";
  s.help = "what the run directory, metrics and tables call this stage; empty: the name of its component";
  return s;
}

std::vector<Setting> rewards_settings() {
  return {
      choice("isolation", "\"process\"", {"process", "none"}, "where rewards run: in worker processes, or in the trainer itself"),
      real("reward_deadline", "10", 0.01, kAny, "seconds that a worker has for one batch of rows before it is killed"),
      real("max_unscored", "0.5", 0, 1, "the run stops when more than this share of a step's rows has no score"),
  };
}

// Of every stage that trains: how the host goes about it. None of them changes what is learnt but unit_tokens, by
// rounding, lora and mtp_loss_weight.
std::vector<Setting> training_settings() {
  return {
      integer("keep_checkpoints", "2", 1, 1e6, "newest checkpoints that stay on disk"),
      flag("verify", "true",
           "compare each sampled log-probability with the trainer's, bit for bit, and stop when one differs"),
      flag("gradient_checkpointing", "false", "recompute activations in the backward pass instead of keeping them"),
      integer("unit_tokens", "0", 0, 1e9, "about how many tokens one partial gradient is summed over; 0: 2048, and 1024 for large models"),
      lora(),
      real("mtp_loss_weight", "0", 0, kAny,
           "learn multi-token prediction beside the stage's loss, with this weight (DeepSeek-V3's lambda); 0: not, and its layers stay"),
  };
}

std::vector<Setting> objective_settings() {
  std::vector<Setting> all = {
      label(),
      handle("model", HONE_MODEL_HANDLE, "the model to train; it is not changed: stage.model is the trained copy", true),
      handle("data", HONE_DATA_HANDLE,
             "rows to train on: {prompt, response} or {text}; pairs: {prompt, chosen, rejected}; labelled steps: {prompt, steps, labels}"),
      handle("prompts", HONE_DATA_HANDLE, "rows {prompt, answer, ...} to sample responses for; or one list per domain, drawn in turn"),
      handle("rewards", HONE_REWARD_HANDLE, "a reward, a list of them (their weighted sum counts), or one list per domain of prompts"),
      handle("teacher", HONE_MODEL_HANDLE, "the model that a distillation learns from"),
      handle("optimizer", HONE_OPTIMIZER_HANDLE, "hone.optimizer \"name\" {...}", true),
      integer("steps", "0", 0, 1e9, "optimizer steps; 0: as many as `epochs` over the data need"),
      real("epochs", "1", 0, 1e6, "passes over the data when steps is 0"),
      integer("batch_size", "32", 1, 1e6, "prompts (or rows, or pairs) in one optimizer step"),
      flag("shuffle", "true", "a new order for each pass over the data"),
      real("prompt_weight", "0", 0, kAny, "weight of a prompt's tokens in the loss of rows (0: only responses are learnt)"),
      integer("num_generations", "8", 1, 65536, "responses sampled for each prompt"),
      integer("num_iterations", "1", 1, 1000, "passes over one step's responses"),
      integer("num_mini_batches", "1", 1, 1000, "updates in each of these passes, each with its part of the groups"),
      real("temperature", "1", 0, 100, "of sampling, and of the log-probabilities trained on"),
      real("top_p", "1", 1e-6, 1, "sample from the most likely tokens that together have this probability; 1: all"),
      real("min_p", "0", 0, 1, "sample only tokens with at least this share of the likeliest one's probability; 0: all"),
      integer("top_k", "0", 0, 1e9, "sample only from this many likeliest tokens; 0: all"),
      integer("max_completion_length", "256", 1, 1e6, "tokens of a response at most"),
      list("stop", "texts: a response ends with the token that completes one of them, which stays in it"),
      choice("neutral", "\"right\"", {"right", "wrong", "skip"},
             "what a step that PRM800K's labellers rated 0 counts for; skip: it is not learnt"),
      list("step_separators", "texts: a step of a response ends with the token that completes one of them, where rewards score steps",
           "[\"\\n\"]"),
      real("keep_reward", "1", -kAny, kAny, "of a distillation with rewards: only responses with at least this reward are learnt"),
      flag("mask_truncated_completions", "false", "leave responses that were cut off at max_completion_length out of training and of their group's statistics"),
      flag("dynamic_sampling", "false", "leave out prompts whose responses all have the same reward, and sample for others in their place"),
      integer("max_sampling_rounds", "8", 1, 1000, "of dynamic sampling in one step; then the step trains on what there is"),
      integer("ref_model_sync_steps", "0", 0, 1e9, "steps after which the model that KL compares with becomes the trained one as it is; 0: it stays"),
      handle("critic", HONE_MODEL_HANDLE, "what the critic begins as, such as a reward model; nothing: a copy of the model"),
      handle("critic_optimizer", HONE_OPTIMIZER_HANDLE, "of the critic; nothing: as the model's"),
      flag("share_critic", "false", "the critic is a value head on the model itself, and no model of its own"),
      integer("value_pretraining_steps", "0", 0, 1e9, "first steps in which the critic alone learns; the model's schedule begins after them"),
      choice("on_collapse", "\"stop\"", {"stop", "warn"}, "what a run does when the KL explodes, the entropy is gone or all groups are flat"),
      real("max_kl", "20", 0, kAny, "KL per token above which a run has collapsed; 0: never"),
      real("min_entropy", "0", 0, kAny, "entropy per token below which a run has collapsed; 0: never"),
      integer("max_flat_steps", "50", 0, 1e9, "steps in a row in which no response had an advantage after which a run has collapsed; 0: never"),
      integer("save_every", "50", 1, 1e9, "steps between checkpoints"),
      integer("rollouts_every", "1", 0, 1e9, "steps between recorded rollouts; 0: none (replay needs them)"),
      flag("cache", "false", "keep the trained model under a key of everything that makes it, and take it from there next time"),
  };
  for (Setting &s : training_settings()) all.push_back(std::move(s));
  for (Setting &s : rewards_settings()) all.push_back(std::move(s));
  return all;
}

std::vector<Setting> loop_settings() {
  std::vector<Setting> all = {
      label(),
      integer("save_every", "20", 1, 1e9, "steps (batches of prompts) between checkpoints of the stage's place"),
  };
  for (Setting &s : rewards_settings()) all.push_back(std::move(s));
  return all;
}

std::vector<Setting> optimizer_settings() {
  return {
      choice("schedule", "\"constant\"", {"constant", "linear", "cosine"}, "of the learning rate after the warm-up"),
      integer("warmup_steps", "0", 0, 1e9, "steps over which the learning rate rises linearly from 0"),
      real("min_learning_rate_factor", "0", 0, 1, "where linear and cosine schedules end, as a share of the learning rate"),
      real("max_grad_norm", "1", 0, kAny, "gradients are scaled down to this global norm; 0: never"),
  };
}

}  // namespace

std::vector<Setting> objective_settings(uint32_t source, uint64_t needs) {
  const std::vector<uint32_t> sampled = {HONE_ON_POLICY, HONE_TEACHER}, given = {HONE_ROWS, HONE_PAIRS};
  static const std::map<std::string, std::vector<uint32_t>> only = {  // what is not here is for all
      {"data", given},
      {"prompts", sampled},
      {"rewards", sampled},
      {"teacher", {HONE_TEACHER}},
      {"prompt_weight", {HONE_ROWS}},
      {"num_generations", sampled},
      {"temperature", sampled},
      {"top_p", sampled},
      {"min_p", sampled},
      {"top_k", sampled},
      {"max_completion_length", sampled},
      {"stop", sampled},
      {"keep_reward", {HONE_TEACHER}},
      {"mtp_loss_weight", {HONE_ROWS, HONE_ON_POLICY, HONE_TEACHER}},
      {"rollouts_every", {HONE_ON_POLICY}},
      {"step_separators", {HONE_ON_POLICY}},
      {"neutral", {HONE_ROWS}},
      {"num_mini_batches", {HONE_ON_POLICY}},
      {"mask_truncated_completions", {HONE_ON_POLICY}},
      {"dynamic_sampling", {HONE_ON_POLICY}},
      {"max_sampling_rounds", {HONE_ON_POLICY}},
      {"critic", {HONE_ON_POLICY}},
      {"critic_optimizer", {HONE_ON_POLICY}},
      {"share_critic", {HONE_ON_POLICY}},
      {"value_pretraining_steps", {HONE_ON_POLICY}},
      {"on_collapse", {HONE_ON_POLICY}},
      {"max_kl", {HONE_ON_POLICY}},
      {"min_entropy", {HONE_ON_POLICY}},
      {"max_flat_steps", {HONE_ON_POLICY}},
      {"verify", {HONE_ON_POLICY}},
      {"cache", {HONE_ROWS}},
      {"isolation", sampled},
      {"reward_deadline", sampled},
      {"max_unscored", sampled},
  };
  static const std::map<std::string, uint64_t> only_with = {{"critic", HONE_VALUE}, {"critic_optimizer", HONE_VALUE}, {"share_critic", HONE_VALUE},
                                                            {"value_pretraining_steps", HONE_VALUE}, {"step_separators", HONE_STEP_REWARD},
                                                            {"neutral", HONE_STEP_REWARD}, {"ref_model_sync_steps", HONE_LOGP_REF | HONE_KL}};
  std::vector<Setting> all = host_settings().at(HONE_OBJECTIVE);
  std::erase_if(all, [&](const Setting &setting) {
    const auto found = only_with.find(setting.name);
    return found != only_with.end() && !(needs & found->second);
  });
  std::erase_if(all, [&](const Setting &setting) {
    const auto found = only.find(setting.name);
    const bool asked_for = setting.name == "teacher" && (needs & HONE_LOGP_TEACHER);
    return found != only.end() && !asked_for && std::find(found->second.begin(), found->second.end(), source) == found->second.end();
  });
  return all;
}

std::vector<std::string> texts_of(const nlohmann::json &settings, const char *name, const std::string &where) {
  std::vector<std::string> texts;
  for (const nlohmann::json &text : settings.at(name)) {
    if (!text.is_string() || text.get_ref<const std::string &>().empty())
      throw UsageError(where + ": " + name + " must be a list of texts, none of them empty, but it holds " + text.dump());
    texts.push_back(text);
  }
  return texts;
}

const HostSettings &host_settings() {
  static const HostSettings settings = {{"hone.objective/1", objective_settings()},
                                        {"hone.stage/1", loop_settings()},
                                        {std::string("hone.stage/1") + kThatTrains, training_settings()},
                                        {"hone.optimizer/1", optimizer_settings()}};
  return settings;
}

}  // namespace hone
