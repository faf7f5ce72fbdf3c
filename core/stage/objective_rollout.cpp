// objective_rollout.cpp -- steps that sample: prompts of a step, rollouts in rounds, scores, and the rows that train.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>

#include "core/base/failure.h"
#include "core/stage/conversations.h"
#include "core/stage/host_settings.h"
#include "core/stage/objective_stage.h"
#include "core/stage/rollout_metrics.h"
#include "core/stage/step_rows.h"
#include "core/text/response_steps.h"
#include "core/text/rows.h"
#include "hone/objective.hpp"

namespace hone {
using nlohmann::json;

static double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Prompts are drawn from the domains in turn, across steps, so every domain has its share whatever its size.
std::vector<StepPrompt> ObjectiveStage::step_prompts(uint32_t step, uint32_t begin, uint32_t end) {
  const auto D = static_cast<uint32_t>(domains_.size());
  const uint64_t first = dynamic() ? place_.drawn : static_cast<uint64_t>(step - 1) * batch_size_;
  std::vector<StepPrompt> prompts(end - begin);
  for (uint32_t j = begin; j < end; ++j) {
    const uint64_t drawn = first + j;
    const auto d = static_cast<uint32_t>(drawn % D);
    const std::vector<DataRow> &rows = domains_[d].rows;
    StepPrompt &prompt = prompts[j - begin];
    prompt.row = &rows[place_in_pass(static_cast<uint32_t>(rows.size()), drawn / D, d)];
    prompt.ids = prompt_ids(tokenizer(), *prompt.row, training_->max_positions());
  }
  return prompts;
}

std::vector<SampleRequest> ObjectiveStage::requests(const std::vector<StepPrompt> &prompts, uint32_t begin) const {
  std::vector<SampleRequest> out;
  for (uint32_t i = 0; i < prompts.size(); ++i) out.push_back({prompts[i].ids, num_generations_, (begin + i) * num_generations_});
  return out;
}

SampleSettings ObjectiveStage::sampling(uint32_t step) const {
  SampleSettings s;
  s.temperature = setting<float>("temperature");
  s.top_p = setting<float>("top_p");
  s.min_p = setting<float>("min_p");
  s.top_k = setting<uint32_t>("top_k");
  s.max_tokens = setting<uint32_t>("max_completion_length");
  s.stop_strings = texts_of(settings_, "stop", where_);
  s.stop_ids = tokenizer().stop_ids();
  s.seed = context_.pipeline.seed;
  s.stage = number_;
  s.step = step;
  return s;
}

RowToScore ObjectiveStage::row_to_score(const Tokenizer &tokenizer, const DataRow &row, const SampledRow &sampled) {
  RowToScore out;
  out.domain = row.domain;
  out.row.prompt = prompt_text(tokenizer, row);
  out.row.answer = row_text_or(row, "answer", "");
  out.row.columns = row.columns.dump();
  out.row.text = response_text(tokenizer, sampled.ids);
  out.row.ids = sampled.ids;
  out.row.truncated = sampled.truncated;
  return out;
}

void ObjectiveStage::cut_into_steps(std::vector<RowToScore> &rows) const {
  const std::vector<std::string> separators = texts_of(settings_, "step_separators", where_);
  for (RowToScore &row : rows) {
    ResponseSteps steps = response_steps(tokenizer(), row.row.ids, separators);
    row.row.step_start = std::move(steps.start), row.row.step_text = std::move(steps.text);
  }
}

// All responses of a step, in the order of their rows; of the prompts, those that train.
struct ObjectiveStage::Rollouts {
  std::vector<StepPrompt> prompts;
  std::vector<SampledRow> sampled;
  std::vector<RowToScore> to_score;
  ScoredRows scored;
  std::vector<float> reward;  // what trains: the score, NaN where a response is left out
  std::vector<uint32_t> kept;
  uint64_t tokens = 0;  // sampled, greedy ones too; counted in the stage's place once the step is done
  double sampling_seconds = 0, scoring_seconds = 0;
};

static void append(ScoredRows &all, ScoredRows more) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  for (auto &[label, values] : more.parts) {
    std::vector<float> &of_all = all.parts[label];
    of_all.resize(all.reward.size(), none);
    of_all.insert(of_all.end(), values.begin(), values.end());
  }
  all.reward.insert(all.reward.end(), more.reward.begin(), more.reward.end());
  for (auto &[label, values] : all.parts) values.resize(all.reward.size(), none);
  for (const auto &[label, n] : more.unscored) all.unscored[label] += n;
  for (const auto &[label, n] : more.steps_scored) all.steps_scored[label] += n;
  std::ranges::move(more.steps, std::back_inserter(all.steps));
}

// Whether some values tell a group's responses (or their steps) apart.
static bool differ(std::span<const float> values) {
  std::vector<double> known;
  for (const float value : values)
    if (!std::isnan(value)) known.push_back(value);
  return spread_of(known).deviation > 0;
}

// Samples for the prompts that are still missing and scores the responses.
void ObjectiveStage::sample_round(uint32_t step, uint32_t round, Rollouts &all) {
  auto clock = std::chrono::steady_clock::now();
  const auto first = static_cast<uint32_t>(all.prompts.size());
  const std::vector<StepPrompt> prompts = step_prompts(step, first, first + batch_size_ - static_cast<uint32_t>(all.kept.size()));
  const std::vector<SampledRow> sampled = sampler_->generate(weights(), &tokenizer(), requests(prompts, first), sampling(step), {},
                                                             [this] { return context_.interrupted(); });
  context_.stop_if_interrupted();
  all.sampling_seconds += since(clock);
  for (const SampledRow &row : sampled) all.tokens += row.ids.size();
  clock = std::chrono::steady_clock::now();
  std::vector<RowToScore> to_score;
  for (size_t i = 0; i < sampled.size(); ++i) to_score.push_back(row_to_score(tokenizer(), *prompts[i / num_generations_].row, sampled[i]));
  if (scores_steps()) cut_into_steps(to_score);
  const std::string key = "step " + std::to_string(step) + (round == 0 ? "" : " round " + std::to_string(round));
  ScoredRows scored;
  if (rewards_)
    scored = rewards_->score(*journal_, key, to_score);
  else
    scored.reward.assign(sampled.size(), 0.0f);  // only a teacher's objective may have none
  if (scores_steps() && scored.steps_scored.empty() && std::ranges::any_of(scored.reward, [](float reward) { return !std::isnan(reward); }))
    throw Failure(where_ + ": its objective learns from a reward for each step, but none of its rewards scored a step of the " +
                  std::to_string(sampled.size()) + " responses of " + key + "; add hone.reward \"prm\" or another that scores steps");
  all.scoring_seconds += since(clock);

  for (size_t i = 0; i < sampled.size(); ++i) {
    const bool left_out = sampled[i].truncated && setting<bool>("mask_truncated_completions");
    all.reward.push_back(left_out ? std::numeric_limits<float>::quiet_NaN() : scored.reward[i]);
  }
  append(all.scored, std::move(scored));
  all.prompts.insert(all.prompts.end(), prompts.begin(), prompts.end());
  all.sampled.insert(all.sampled.end(), sampled.begin(), sampled.end());
  all.to_score.insert(all.to_score.end(), to_score.begin(), to_score.end());
  for (uint32_t p = first; p < all.prompts.size(); ++p)
    if (!dynamic() || tells_apart(all, p)) all.kept.push_back(p);
}

// Whether the rewards of a prompt's responses, or of their steps, differ.
bool ObjectiveStage::tells_apart(const Rollouts &all, uint32_t prompt) const {
  const size_t begin = size_t{prompt} * num_generations_;
  if (differ(std::span(all.reward).subspan(begin, num_generations_))) return true;
  std::vector<float> of_steps;
  for (size_t i = begin; i < begin + num_generations_ && scores_steps(); ++i)
    if (!std::isnan(all.reward[i])) of_steps.insert(of_steps.end(), all.scored.steps[i].begin(), all.scored.steps[i].end());
  return differ(of_steps);
}

// Of the greedy response to each prompt that trains; empty when nobody asks.
std::vector<float> ObjectiveStage::greedy_rewards(uint32_t step, Rollouts &all) {
  if (!training_->needs(HONE_BASELINE)) return {};
  std::vector<SampleRequest> greedy;
  for (const uint32_t p : all.kept) greedy.push_back({all.prompts[p].ids, 1, p});
  SampleSettings settings = sampling(step);
  settings.temperature = 0;
  const std::vector<SampledRow> best = sampler_->generate(weights(), &tokenizer(), greedy, settings, {}, [this] { return context_.interrupted(); });
  context_.stop_if_interrupted();
  for (const SampledRow &row : best) all.tokens += row.ids.size();
  std::vector<RowToScore> rows;
  for (size_t i = 0; i < best.size(); ++i) rows.push_back(row_to_score(tokenizer(), *all.prompts[all.kept[i]].row, best[i]));
  return rewards_->score(*journal_, "step " + std::to_string(step) + " greedy", rows).reward;
}

std::vector<TrainRow> ObjectiveStage::rollout_rows(uint32_t step, const Rollouts &all, const std::vector<float> &baseline) {
  std::vector<TrainRow> rows;
  for (size_t k = 0; k < all.kept.size(); ++k) {
    for (size_t i = size_t{all.kept[k]} * num_generations_, end = i + num_generations_; i < end; ++i) {
      TrainRow row;
      row.ids = all.prompts[all.kept[k]].ids;
      row.begin = row.response_begin = static_cast<uint32_t>(row.ids.size());
      row.ids.insert(row.ids.end(), all.sampled[i].ids.begin(), all.sampled[i].ids.end());
      row.group = all.kept[k];
      row.policy_version = step;
      row.reward = all.reward[i];
      if (!baseline.empty()) {
        row.reward_baseline = baseline[k];
        if (std::isnan(row.reward_baseline)) row.reward = row.reward_baseline;  // without a baseline the group has no score
      }
      row.truncated = all.sampled[i].truncated;
      row.logp_rollout = all.sampled[i].logp;
      if (scores_steps()) row.step_reward = at_ends(all.to_score[i].row.step_start, all.scored.steps[i], all.sampled[i].ids.size());
      rows.push_back(std::move(row));
    }
  }
  if (training_->needs(HONE_LOGP_TEACHER) && teacher_) {
    std::vector<std::vector<int32_t>> sequences;
    std::vector<uint32_t> begins;
    for (const TrainRow &row : rows) sequences.push_back(row.ids), begins.push_back(row.begin);
    auto taught = score_tokens(context_.kernels, context_.pool, *teacher_, sequences, begins, setting<float>("temperature"));
    for (size_t i = 0; i < rows.size(); ++i) rows[i].logp_teacher = std::move(taught[i].logp);
  }
  return rows;
}

void ObjectiveStage::record(uint32_t step, const Rollouts &all, const StepReport &report) {
  const auto every = setting<uint32_t>("rollouts_every");
  if (every == 0 || (step - 1) % every != 0 || replaying_) return;
  std::vector<double> advantage(all.sampled.size(), std::numeric_limits<double>::quiet_NaN());
  for (size_t k = 0; k < all.kept.size(); ++k)
    for (uint32_t i = 0; i < num_generations_; ++i)
      advantage[size_t{all.kept[k]} * num_generations_ + i] = report.advantage.at(k * num_generations_ + i);
  std::vector<RolloutRecord> records;
  for (size_t i = 0; i < all.sampled.size(); ++i) {
    const StepPrompt &prompt = all.prompts[i / num_generations_];
    RolloutRecord record;
    record.step = step;
    record.row = static_cast<uint32_t>(i);
    record.group = static_cast<uint32_t>(i / num_generations_);
    record.prompt = all.to_score[i].row.prompt;
    record.response = all.to_score[i].row.text;
    record.prompt_ids = prompt.ids;
    record.ids = all.sampled[i].ids;
    record.logprobs = all.sampled[i].logp;
    record.reward = all.scored.reward[i];
    record.advantage = advantage[i];
    for (const auto &[label, values] : all.scored.parts) record.rewards[label] = values[i];
    record.truncated = all.sampled[i].truncated;
    if (scores_steps()) {
      record.step_start = all.to_score[i].row.step_start;
      record.step_rewards.assign(all.scored.steps[i].begin(), all.scored.steps[i].end());
    }
    record.columns = prompt.row->columns;
    records.push_back(std::move(record));
  }
  directory_.write_rollouts(step, records);
}

std::map<std::string, double> ObjectiveStage::rollout_step(uint32_t step) {
  std::map<std::string, double> metrics;
  training_->discard_values();
  Rollouts all;
  uint32_t rounds = 0;
  while (rounds == 0 || (dynamic() && all.kept.size() < batch_size_ && rounds < setting<uint32_t>("max_sampling_rounds")))
    sample_round(step, rounds++, all);
  metrics["time/sample"] = all.sampling_seconds;
  auto clock = std::chrono::steady_clock::now();
  const std::vector<float> baseline = greedy_rewards(step, all);
  metrics["time/score"] = all.scoring_seconds + since(clock);

  clock = std::chrono::steady_clock::now();
  std::vector<TrainRow> rows = rollout_rows(step, all, baseline);
  const StepReport report = training_->step(rows, step, context_.verify_all || setting<bool>("verify"));
  metrics["time/train"] = since(clock);

  place_.tokens += report.tokens;
  place_.sampled += all.tokens;
  for (const auto &[name, value] : report.metrics) metrics[name] = value;
  metrics["loss"] = report.loss;
  metrics["grad_norm"] = report.grad_norm;
  metrics["learning_rate_factor"] = report.learning_rate_factor;
  metrics["num_tokens"] = static_cast<double>(place_.tokens);
  metrics["sampling/sampling_logp_difference/max"] = report.logp_difference_max;
  if (dynamic()) {
    metrics["sampling/rounds"] = rounds;
    metrics["sampling/prompts"] = static_cast<double>(all.prompts.size());
    place_.drawn += all.prompts.size();
  }
  taught_ = report.taught;
  metrics["sampling/num_tokens"] = static_cast<double>(place_.sampled);
  if (rewards_) reward_metrics(all.scored, num_generations_, metrics);
  length_metrics(all.sampled, metrics);
  record(step, all, report);
  return metrics;
}

}  // namespace hone
