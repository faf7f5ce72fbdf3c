// reward_sets.cpp -- see reward_sets.h.
#include "core/stage/reward_sets.h"

#include <cmath>
#include <limits>

#include "core/base/failure.h"
#include "core/stage/models.h"
#include "core/stage/worker_services.h"

namespace hone {
using nlohmann::json;

// Model handles become the directory that a worker loads; everything else stays.
static json with_paths(const RunContext &context, const json &settings) {
  json out = settings;
  for (auto &[name, value] : out.items())
    if (const int model = handle_index(value, "$model"); model >= 0)
      value = {{"$path", std::filesystem::absolute(model_directory(context, model)).string()}};
  return out;
}

static std::vector<RewardPart> parts_of(const RunContext &context, const json &list) {
  std::vector<RewardPart> parts;
  const json one = json::array({list});
  for (const json &handle : list.is_array() ? list : one) {
    const RewardNode &node = context.pipeline.rewards.at(handle_index(handle, "$reward"));
    RewardPart part;
    part.label = node.label;
    part.weight = node.weight;
    part.settings = with_paths(context, node.settings);
    if (node.function.empty()) {
      part.component = context.registry.require("reward", node.component);
    } else {
      part.component.name = "lua";
      part.component.room = "reward";
      part.script = context.script_path.string();
      part.function = node.function;
      part.script_arguments = context.script_arguments;
    }
    for (const RewardPart &other : parts)
      if (other.label == part.label)
        throw UsageError(node.place.text() + ": two rewards of one set are called \"" + part.label + "\"; give one a label");
    parts.push_back(std::move(part));
  }
  return parts;
}

// A scorer asked to stop means that the run is asked to end.
template <class Work>
static auto unless_interrupted(const RunContext &context, const Work &work) {
  try {
    return work();
  } catch (const ScoringInterrupted &) {
    context.stop_if_interrupted();
    throw;
  }
}

RewardSets::RewardSets(const RunContext &context, const json &rewards, const json &stage, const std::string &where)
    : context_(context), max_unscored_(stage.value("max_unscored", 0.5)), where_(where) {
  if (rewards.is_null()) return;
  ScorerSettings settings;
  settings.workers = context.pool.threads();
  settings.deadline = stage.value("reward_deadline", 10.0);
  settings.in_process = stage.value("isolation", "process") == "none";
  settings.seed = context.pipeline.seed;
  settings.plugin_folders = context.plugin_folders;
  if (settings.in_process) settings.services = worker_services();
  settings.interrupted = [&context] { return context.interrupted(); };
  const auto add = [&](const std::string &domain, const json &list) {
    sets_.push_back({domain, unless_interrupted(context, [&] { return std::make_unique<Scorer>(parts_of(context, list), settings); })});
  };
  if (rewards.is_object() && !rewards.contains("$reward")) {
    for (const auto &[domain, list] : rewards.items()) add(domain, list);
  } else {
    add("", rewards);
  }
}

RewardSets::~RewardSets() = default;

bool RewardSets::empty() const { return sets_.empty(); }

// What a part says of the steps of row k, added where it says anything.
static void add_steps(const PartScores &scores, size_t k, const RewardPart &part, std::vector<double> &sum, ScoredRows &out) {
  if (scores.steps.empty() || scores.steps[k].size() != sum.size()) return;
  for (size_t j = 0; j < sum.size(); ++j) {
    if (std::isnan(scores.steps[k][j])) continue;
    sum[j] = (std::isnan(sum[j]) ? 0 : sum[j]) + part.weight * scores.steps[k][j];
    ++out.steps_scored[part.label];
  }
}

ScoredRows RewardSets::score(ScoreJournal &journal, const std::string &key, const std::vector<RowToScore> &rows) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  ScoredRows out;
  out.reward.assign(rows.size(), none);
  std::vector<bool> covered(rows.size(), false);
  std::vector<double> sum(rows.size(), 0);  // rounded once: the order of the parts must not tell equal rewards apart
  std::vector<std::vector<double>> of_steps;
  for (const RowToScore &row : rows) of_steps.emplace_back(row.row.step_start.size(), std::nan(""));
  for (const Set &set : sets_) {
    std::vector<ScoreRow> own;
    std::vector<size_t> at;
    for (size_t i = 0; i < rows.size(); ++i)
      if (set.domain.empty() || rows[i].domain == set.domain) {
        own.push_back(rows[i].row);
        at.push_back(i);
        covered[i] = true;
      }
    if (own.empty()) continue;
    const std::string record = set.domain.empty() ? key : key + " " + set.domain;
    std::vector<PartScores> scores;
    const uint64_t content = checksum_of(own);
    if (!journal.find(record, content, scores)) {
      scores = unless_interrupted(context_, [&] { return set.scorer->score(own); });
      journal.append(record, content, scores);
    } else if (scores.size() != set.scorer->parts().size()) {
      throw Failure(where_ + ": scores.journal has scores of " + record + " by " + std::to_string(scores.size()) + " rewards, and the stage has " +
                    std::to_string(set.scorer->parts().size()) + "; the script changed since; start a new run");
    }
    for (size_t p = 0; p < scores.size(); ++p) {
      const RewardPart &part = set.scorer->parts()[p];
      std::vector<float> &column = out.parts.try_emplace(part.label, rows.size(), none).first->second;
      for (size_t k = 0; k < at.size(); ++k) {
        const float score = scores[p].score[k];
        column[at[k]] = score;
        sum[at[k]] += part.weight * score;  // NaN stays NaN
        add_steps(scores[p], k, part, of_steps[at[k]], out);
        if (!std::isnan(score)) continue;
        ++out.unscored[part.label];
        if (out.first_reason.empty()) out.first_reason = part.label + ": " + scores[p].why[k];
      }
    }
    for (size_t i : at) out.reward[i] = static_cast<float>(sum[i]);
  }
  for (const std::vector<double> &row : of_steps) out.steps.emplace_back(row.begin(), row.end());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!covered[i])
      throw Failure(where_ + ": a prompt of domain \"" + rows[i].domain + "\" has no rewards; add that domain to rewards");
    out.rows_unscored += std::isnan(out.reward[i]);
  }
  if (out.rows_unscored > max_unscored_ * static_cast<double>(rows.size()))
    throw Failure(where_ + ": " + std::to_string(out.rows_unscored) + " of " + std::to_string(rows.size()) + " responses of " + key +
                  " have no score, more than max_unscored allows; the first: " + out.first_reason);
  return out;
}

}  // namespace hone
