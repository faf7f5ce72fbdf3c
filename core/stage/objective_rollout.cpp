// objective_rollout.cpp -- steps that sample: prompts of a step, rollouts, scores, and a teacher's responses.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/run/progress.h"
#include "core/stage/conversations.h"
#include "core/stage/host_settings.h"
#include "core/stage/objective_stage.h"
#include "core/text/rows.h"
#include "hone/objective.hpp"

namespace hone {
using nlohmann::json;

static double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Prompts are drawn from the domains in turn, across steps, so every domain has its share whatever its size.
std::vector<StepPrompt> ObjectiveStage::step_prompts(uint32_t step) {
  const auto D = static_cast<uint32_t>(domains_.size());
  std::vector<StepPrompt> prompts(batch_size_);
  for (uint32_t j = 0; j < batch_size_; ++j) {
    const uint64_t drawn = static_cast<uint64_t>(step - 1) * batch_size_ + j;
    const auto d = static_cast<uint32_t>(drawn % D);
    const std::vector<DataRow> &rows = domains_[d].rows;
    prompts[j].row = &rows[place_in_pass(static_cast<uint32_t>(rows.size()), drawn / D, d)];
    prompts[j].ids = prompt_ids(tokenizer(), *prompts[j].row, training_->max_positions());
  }
  return prompts;
}

std::vector<SampleRequest> ObjectiveStage::requests(const std::vector<StepPrompt> &prompts) const {
  std::vector<SampleRequest> out;
  for (uint32_t i = 0; i < prompts.size(); ++i) out.push_back({prompts[i].ids, num_generations_, i * num_generations_});
  return out;
}

SampleSettings ObjectiveStage::sampling(uint32_t step) const {
  SampleSettings s;
  s.temperature = setting<float>("temperature");
  s.top_p = setting<float>("top_p");
  s.min_p = setting<float>("min_p");
  s.top_k = setting<uint32_t>("top_k");
  s.max_tokens = setting<uint32_t>("max_completion_length");
  s.stop_strings = stop_texts(settings_.at("stop"), where_);
  s.stop_ids = tokenizer().stop_ids();
  s.seed = context_.pipeline.seed;
  s.stage = number_;
  s.step = step;
  return s;
}

static RowToScore row_to_score(const Tokenizer &tokenizer, const DataRow &row, const SampledRow &sampled) {
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

namespace {

// Of what is not NaN; NaN itself when nothing is: no score is not a score of 0.
Spread spread(const float *values, size_t n) {
  std::vector<double> known;
  for (size_t i = 0; i < n; ++i)
    if (!std::isnan(values[i])) known.push_back(values[i]);
  if (known.empty()) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN(), 0};
  return spread_of(known);
}

void reward_metrics(const ScoredRows &scored, uint32_t group_size, std::map<std::string, double> &metrics) {
  metrics["reward"] = spread(scored.reward.data(), scored.reward.size()).mean;
  double deviations = 0, flat = 0;
  uint64_t groups = 0;
  for (size_t at = 0; at < scored.reward.size(); at += group_size) {
    const Spread group = spread(&scored.reward[at], std::min<size_t>(group_size, scored.reward.size() - at));
    if (group.n == 0) continue;
    ++groups;
    deviations += group.deviation;
    flat += group.deviation == 0;
  }
  metrics["reward_std"] = groups ? deviations / static_cast<double>(groups) : 0;
  metrics["frac_reward_zero_std"] = groups ? flat / static_cast<double>(groups) : 0;
  for (const auto &[label, values] : scored.parts) {
    const Spread part = spread(values.data(), values.size());
    metrics["rewards/" + label + "/mean"] = part.mean;
    metrics["rewards/" + label + "/std"] = part.deviation;
    const auto unscored = scored.unscored.find(label);
    metrics["rewards/" + label + "/unscored"] = unscored == scored.unscored.end() ? 0 : unscored->second;
  }
}

void length_metrics(const std::vector<SampledRow> &sampled, std::map<std::string, double> &metrics) {
  double sum = 0, longest = 0, shortest = std::numeric_limits<double>::infinity(), clipped = 0;
  for (const SampledRow &row : sampled) {
    const auto length = static_cast<double>(row.ids.size());
    sum += length;
    longest = std::max(longest, length);
    shortest = std::min(shortest, length);
    clipped += row.truncated;
  }
  const auto n = static_cast<double>(sampled.size());
  metrics["completions/mean_length"] = sum / n;
  metrics["completions/max_length"] = longest;
  metrics["completions/min_length"] = shortest;
  metrics["completions/clipped_ratio"] = clipped / n;
}

}  // namespace

std::map<std::string, double> ObjectiveStage::rollout_step(uint32_t step) {
  std::map<std::string, double> metrics;
  auto clock = std::chrono::steady_clock::now();
  const std::vector<StepPrompt> prompts = step_prompts(step);
  training_->discard_values();
  const std::vector<SampledRow> sampled = sampler_->generate(weights(), &tokenizer(), requests(prompts), sampling(step), {},
                                                             [this] { return context_.interrupted(); });
  context_.stop_if_interrupted();
  metrics["time/sample"] = since(clock);

  clock = std::chrono::steady_clock::now();
  std::vector<RowToScore> to_score;
  for (size_t i = 0; i < sampled.size(); ++i)
    to_score.push_back(row_to_score(tokenizer(), *prompts[i / num_generations_].row, sampled[i]));
  const ScoredRows scored = rewards_->score(*journal_, "step " + std::to_string(step), to_score);
  std::vector<float> baseline;
  if (training_->needs(HONE_BASELINE)) {
    std::vector<SampleRequest> greedy;
    for (uint32_t i = 0; i < prompts.size(); ++i) greedy.push_back({prompts[i].ids, 1, i});
    SampleSettings settings = sampling(step);
    settings.temperature = 0;
    const std::vector<SampledRow> best = sampler_->generate(weights(), &tokenizer(), greedy, settings, {}, [this] { return context_.interrupted(); });
    context_.stop_if_interrupted();
    std::vector<RowToScore> rows;
    for (size_t i = 0; i < best.size(); ++i) rows.push_back(row_to_score(tokenizer(), *prompts[i].row, best[i]));
    baseline = rewards_->score(*journal_, "step " + std::to_string(step) + " greedy", rows).reward;
  }
  metrics["time/score"] = since(clock);

  clock = std::chrono::steady_clock::now();
  std::vector<TrainRow> rows;
  for (size_t i = 0; i < sampled.size(); ++i) {
    TrainRow row;
    row.ids = prompts[i / num_generations_].ids;
    row.begin = row.response_begin = static_cast<uint32_t>(row.ids.size());
    row.ids.insert(row.ids.end(), sampled[i].ids.begin(), sampled[i].ids.end());
    row.group = static_cast<uint32_t>(i / num_generations_);
    row.policy_version = step;
    row.reward = scored.reward[i];
    if (!baseline.empty()) {
      row.reward_baseline = baseline[i / num_generations_];
      if (std::isnan(row.reward_baseline)) row.reward = row.reward_baseline;  // without a baseline the group has no score
    }
    row.truncated = sampled[i].truncated;
    row.logp_rollout = sampled[i].logp;
    rows.push_back(std::move(row));
  }
  if (training_->needs(HONE_LOGP_TEACHER) && teacher_) {
    std::vector<std::vector<int32_t>> sequences;
    std::vector<uint32_t> begins;
    for (const TrainRow &row : rows) sequences.push_back(row.ids), begins.push_back(row.begin);
    auto taught = score_tokens(context_.kernels, context_.pool, *teacher_, sequences, begins, setting<float>("temperature"));
    for (size_t i = 0; i < rows.size(); ++i) rows[i].logp_teacher = std::move(taught[i].logp);
  }
  const StepReport report = training_->step(rows, step, context_.verify_all || setting<bool>("verify"));
  metrics["time/train"] = since(clock);

  place_.tokens += report.tokens;
  for (const auto &[name, value] : report.metrics) metrics[name] = value;
  metrics["loss"] = report.loss;
  metrics["grad_norm"] = report.grad_norm;
  metrics["learning_rate_factor"] = report.learning_rate_factor;
  metrics["num_tokens"] = static_cast<double>(place_.tokens);
  metrics["sampling/sampling_logp_difference/max"] = report.logp_difference_max;
  reward_metrics(scored, num_generations_, metrics);
  length_metrics(sampled, metrics);

  const auto every = setting<uint32_t>("rollouts_every");
  if (every > 0 && (step - 1) % every == 0 && !replaying_) {
    std::vector<RolloutRecord> records;
    for (size_t i = 0; i < sampled.size(); ++i) {
      const StepPrompt &prompt = prompts[i / num_generations_];
      RolloutRecord record;
      record.step = step;
      record.row = static_cast<uint32_t>(i);
      record.group = rows[i].group;
      record.prompt = to_score[i].row.prompt;
      record.response = to_score[i].row.text;
      record.prompt_ids = prompt.ids;
      record.ids = sampled[i].ids;
      record.logprobs = sampled[i].logp;
      record.reward = scored.reward[i];
      record.advantage = report.advantage.at(i);
      for (const auto &[label, values] : scored.parts) record.rewards[label] = values[i];
      record.truncated = sampled[i].truncated;
      record.columns = prompt.row->columns;
      records.push_back(std::move(record));
    }
    directory_.write_rollouts(step, records);
  }
  return metrics;
}

// R1 section 2.4: the student learns responses that the teacher gave, those with a good enough reward when rewards are set.
void ObjectiveStage::sample_teacher() {
  const std::filesystem::path kept = directory_.path() / "data.jsonl";
  std::vector<const DataRow *> prompts;
  for (const Domain &domain : domains_)
    for (const DataRow &row : domain.rows) prompts.push_back(&row);
  std::vector<DataRow> rows;
  if (std::filesystem::exists(kept)) {  // written whole: a resume uses what the first session sampled
    for (json &row : read_rows(kept.string())) rows.push_back({std::move(row), "", kept.string() + ": row " + std::to_string(rows.size() + 1)});
  } else {
    Progress progress(folder_name_ + " (teacher's responses)", prompts.size());
    const uint32_t chunk = std::max(1u, 1024 / num_generations_);
    std::string lines;
    for (uint32_t at = 0; at < prompts.size(); at += chunk) {
      const uint32_t n = std::min<uint32_t>(chunk, static_cast<uint32_t>(prompts.size()) - at);
      std::vector<SampleRequest> wanted;
      for (uint32_t i = 0; i < n; ++i)
        wanted.push_back({prompt_ids(*teacher_tokenizer_, *prompts[at + i], teacher_->architecture().info().max_positions), num_generations_, (at + i) * num_generations_});
      SampleSettings settings = sampling(0);
      settings.stop_ids.clear();
      settings.stop_ids = teacher_tokenizer_->stop_ids();
      const auto sampled = sampler_->generate(*teacher_, teacher_tokenizer_.get(), wanted, settings, {}, [this] { return context_.interrupted(); });
      context_.stop_if_interrupted();
      std::vector<RowToScore> to_score;
      for (size_t i = 0; i < sampled.size(); ++i)
        to_score.push_back(row_to_score(*teacher_tokenizer_, *prompts[at + i / num_generations_], sampled[i]));
      ScoredRows scored;
      if (rewards_) scored = rewards_->score(*journal_, "teacher " + std::to_string(at), to_score);
      for (size_t i = 0; i < sampled.size(); ++i) {
        if (sampled[i].truncated || (rewards_ && !(scored.reward[i] >= setting<float>("keep_reward")))) continue;
        json row = prompts[at + i / num_generations_]->columns;
        row["response"] = to_score[i].row.text;
        if (rewards_) row["reward"] = scored.reward[i];
        lines += row.dump() + "\n";
        rows.push_back({std::move(row), "", kept.string() + ": row " + std::to_string(rows.size() + 1)});
      }
      progress.update(at + n, std::to_string(rows.size()) + " kept");
    }
    if (!replaying_) write_file_atomically(kept, lines);
  }
  if (rows.empty()) throw Failure(where_ + ": none of the teacher's responses was kept; lower keep_reward or give more prompts");
  const uint32_t positions = training_->max_positions();
  for (const DataRow &row : rows) rows_.push_back(row_to_train(tokenizer(), row, 0, positions));
}

}  // namespace hone
