// worker_services.cpp -- see worker_services.h.
#include "core/stage/worker_services.h"

#include <cmath>
#include <cstdio>
#include <deque>
#include <limits>
#include <mutex>

#include "core/base/failure.h"
#include "core/model/model.h"
#include "core/rollout/sampler.h"
#include "core/script/script.h"
#include "core/stage/data.h"
#include "core/stage/script_host.h"
#include "core/stage/step_rows.h"
#include "hone/draft/reward_model.h"

namespace hone {
using nlohmann::json;

namespace {

// The reward models of one part.
struct RewardModels {
  explicit RewardModels(Host &host) : host(host), pool(1) {}

  void open(const std::string &directory) {
    static const Registry registry = Registry::scan(plugin_folders({}));
    models.push_back(load_model(directory, registry, host));
    if (!models.back().weights->has_value_head())
      throw Failure(directory + ": is not a reward model (it has no score.weight); train one with stage reward_model or prm");
    models.back().weights->settle(pool);
  }

  void score(int64_t index, const hone_str *prompts, const hone_str *responses, uint32_t n, float *out) {
    const LoadedModel &model = models.at(static_cast<size_t>(index));
    const uint32_t positions = model.architecture->info().max_positions;
    std::vector<std::vector<int32_t>> sequences;
    std::vector<uint32_t> begin;
    for (uint32_t i = 0; i < n; ++i) {
      const DataRow row{{{"prompt", std::string(prompts[i].data, prompts[i].size)}}, "", "row " + std::to_string(i)};
      std::vector<int32_t> ids = prompt_ids(*model.tokenizer, row, positions);
      for (int32_t id : model.tokenizer->encode({responses[i].data, responses[i].size})) ids.push_back(id);
      if (model.tokenizer->eos() >= 0) ids.push_back(model.tokenizer->eos());
      if (ids.size() > positions) throw Failure("a response of " + std::to_string(ids.size()) + " tokens is longer than the reward model's " + std::to_string(positions) + " positions");
      begin.push_back(static_cast<uint32_t>(ids.size()) - 1);
      sequences.push_back(std::move(ids));
    }
    const std::lock_guard lock(mutex);
    const auto scored = score_tokens(kernels(), pool, *model.weights, sequences, begin, 1.0f, false, true);
    for (uint32_t i = 0; i < n; ++i) out[i] = scored[i].value.back();
  }

  void score_steps(int64_t index, const hone_str *prompts, const uint32_t *n_steps, const hone_str *steps, uint32_t n, float *out) {
    const LoadedModel &model = models.at(static_cast<size_t>(index));
    std::vector<StepTokens> rows;
    std::vector<std::vector<int32_t>> sequences;
    std::vector<uint32_t> begin;
    for (uint32_t i = 0; i < n; ++i) {
      std::vector<std::string> texts;
      for (uint32_t j = 0; j < n_steps[i]; ++j, ++steps) texts.emplace_back(steps->data, steps->size);
      const DataRow prompt{{{"prompt", std::string(prompts[i].data, prompts[i].size)}}, "", "row " + std::to_string(i)};
      rows.push_back(step_tokens(*model.tokenizer, prompt, texts, model.architecture->info().max_positions));
      if (!rows[i].end.empty() && rows[i].end[0] == rows[i].begin)
        throw Failure("the first step of row " + std::to_string(i) + " has no token");
      sequences.push_back(rows[i].ids);
      begin.push_back(rows[i].begin);
    }
    const std::lock_guard lock(mutex);
    const auto scored = score_tokens(kernels(), pool, *model.weights, sequences, begin, 1.0f, false, true);
    for (uint32_t i = 0; i < n; ++i)
      for (const uint32_t end : rows[i].end) *out++ = scored[i].value[end - 1 - rows[i].begin];
  }

  Host &host;
  Pool pool;
  std::mutex mutex;
  std::deque<LoadedModel> models;
  hone_reward_model service{};
};

template <class Body>
int32_t guard(hone_error *err, Body &&body) noexcept {
  try {
    body();
    return HONE_OK;
  } catch (const std::exception &error) {
    err->code = HONE_FAILED;
    std::snprintf(err->text, sizeof err->text, "%s", error.what());
    return HONE_FAILED;
  }
}

std::shared_ptr<void> offer_reward_models(Host &host, const json &settings) {
  auto models = std::make_shared<RewardModels>(host);
  for (const auto &[name, value] : settings.items())
    if (value.is_object() && value.contains("$path")) models->open(value["$path"].get<std::string>());
  if (models->models.empty()) return nullptr;
  models->service.struct_size = sizeof models->service;
  models->service.ctx = models.get();
  models->service.score = [](void *ctx, int64_t model, const hone_str *prompts, const hone_str *responses, uint32_t n, float *out,
                             hone_error *err) -> int32_t {
    return guard(err, [&] { static_cast<RewardModels *>(ctx)->score(model, prompts, responses, n, out); });
  };
  models->service.score_steps = [](void *ctx, int64_t model, const hone_str *prompts, const uint32_t *n_steps, const hone_str *steps,
                                   uint32_t n, float *out, hone_error *err) -> int32_t {
    return guard(err, [&] { static_cast<RewardModels *>(ctx)->score_steps(model, prompts, n_steps, steps, n, out); });
  };
  host.offer(HONE_HOST_REWARD_MODEL, &models->service);
  return models;
}

WorkerServices::LuaFunction lua_function(const std::string &script, const std::string &function, const json &arguments) {
  static std::map<std::string, std::shared_ptr<Script>> loaded;
  std::shared_ptr<Script> &open = loaded[script];
  if (!open) {
    static const Registry registry = Registry::scan(plugin_folders({}));
    ScriptArguments how;
    how.config = arguments.value("config", "");
    how.trust = arguments.value("trust", false);
    how.base_folder = arguments.value("base_folder", "");
    open = Script::load(script, registry, script_host(), how);
  }
  return [open = open, function](const json &row, uint64_t key) -> double {
    return lua_score(open->call(function, row, {open->pipeline().seed, key}));
  };
}

}  // namespace

double lua_score(const json &answer) {
  if (answer.is_boolean()) return answer.get<bool>() ? 1 : 0;
  if (answer.is_number()) return answer.get<double>();
  if (answer.is_null()) return std::numeric_limits<double>::quiet_NaN();
  throw Failure("the function answered " + answer.dump() + "; a reward is a number, a boolean, or nil for no score");
}

WorkerServices worker_services() {
  WorkerServices services;
  services.offer = offer_reward_models;
  services.lua = lua_function;
  return services;
}

}  // namespace hone
