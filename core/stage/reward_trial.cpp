// reward_trial.cpp -- see reward_trial.h.
#include "core/stage/reward_trial.h"

#include <algorithm>
#include <cmath>

#include "core/base/failure.h"
#include "core/reward/scorer.h"
#include "core/stage/data.h"
#include "core/stage/models.h"
#include "core/stage/worker_services.h"
#include "core/text/rows.h"

namespace hone {
using nlohmann::json;

namespace {

bool needs_model(const RewardNode &node) {
  for (const auto &[name, value] : node.settings.items())
    if (handle_index(value, "$model") >= 0) return true;
  return false;
}

ScoreRow row_with(const SomeRow &row, const std::string &response) {
  const DataRow data{row.columns, "", row.where};
  ScoreRow out;
  out.prompt = row_text(data, "prompt");
  out.answer = row_text_or(data, "answer", "");
  out.columns = row.columns.dump();
  out.text = response;
  // As many ids as there are words: rewards look at their number.
  size_t words = 0;
  for (size_t i = 0; i < response.size(); ++i) words += response[i] != ' ' && (i == 0 || response[i - 1] == ' ');
  out.ids.assign(words, 0);
  return out;
}

class Trial {
 public:
  Trial(const Pipeline &pipeline, const Registry &registry, Script &script, const std::set<int> &used, double deadline)
      : pipeline_(pipeline), script_(script) {
    std::vector<RewardPart> parts;
    for (int index : used) {
      const RewardNode &node = pipeline.rewards[index];
      if (!node.function.empty() || needs_model(node)) continue;
      RewardPart part;
      part.label = node.place.text() + ": " + node.label;
      for (const RewardPart &other : parts)
        if (other.label == part.label) part.label += " (" + std::to_string(index) + ")";
      part.component = registry.require("reward", node.component);
      part.settings = node.settings;
      part_of_[index] = static_cast<uint32_t>(parts.size());
      parts.push_back(std::move(part));
    }
    if (parts.empty()) return;
    ScorerSettings settings;
    settings.workers = 1;
    settings.deadline = deadline;
    settings.seed = pipeline.seed;
    settings.plugin_folders = registry.folders_;
    try {
      scorer_ = std::make_unique<Scorer>(std::move(parts), settings);
    } catch (const UsageError &) {
      throw;
    } catch (const Failure &failure) {
      throw UsageError(failure.what());
    }
  }

  // What came of asking one reward about one row.
  struct Answer {
    bool scored = false, refused = true;  // refused: every made-up response
    std::string why;                      // of the likeliest response, when there was no score
  };
  Answer ask(int reward, const SomeRow &row) {
    Answer answer;
    for (const std::string &response : made_up_responses(row.columns)) {
      std::string why;
      bool refused = false;
      if (std::isfinite(score(reward, row_with(row, response), why, refused))) return {true, false, ""};
      if (answer.why.empty()) answer.why = why;
      answer.refused = answer.refused && refused;
    }
    return answer;
  }
  bool can_ask(int reward) const { return !pipeline_.rewards[reward].function.empty() || part_of_.contains(reward); }

 private:
  double score(int reward, const ScoreRow &row, std::string &why, bool &refused) {
    const RewardNode &node = pipeline_.rewards[reward];
    if (node.function.empty()) {
      const uint32_t part = part_of_.at(reward);
      const PartScores scores = scorer_->score({row}, part).at(part);
      why = scores.why[0], refused = scores.refused[0] != 0;
      return scores.score[0];
    }
    try {
      const double value = lua_score(script_.call(node.function, lua_row(row), {pipeline_.seed, checksum_of({row})}));
      why = "the function returned no number";
      return value;
    } catch (const Failure &failure) {
      why = failure.what(), refused = true;
      return std::nan("");
    }
  }

  const Pipeline &pipeline_;
  Script &script_;
  std::unique_ptr<Scorer> scorer_;
  std::map<int, uint32_t> part_of_;  // reward -> its part in the scorer
};

std::vector<int> indices_of(const json &rewards) {
  std::vector<int> all;
  if (handle_index(rewards, "$reward") >= 0) return {handle_index(rewards, "$reward")};
  for (const json &one : rewards) all.push_back(handle_index(one, "$reward"));
  return all;
}

bool has_answer(const SomeRow &row) {
  const auto found = row.columns.find("answer");
  return found != row.columns.end() && !found->is_null() && *found != "";
}

// One reward on one domain's rows; "" when it scores the first.
std::string try_one(Trial &trial, const RewardNode &node, int index, const RewardsToTry &stage, const std::vector<SomeRow> &rows) {
  const Trial::Answer first = trial.ask(index, rows[0]);
  if (first.scored) return "";
  bool refused = first.refused, scored = false, answers = has_answer(rows[0]);
  for (size_t i = 1; i < rows.size() && !scored && (refused || !answers); ++i) {
    const Trial::Answer other = trial.ask(index, rows[i]);
    refused = refused && other.refused, scored = other.scored, answers = answers || has_answer(rows[i]);
  }
  const std::string name = "reward " + node.label, row = rows[0].where;
  const std::string all = row + (rows.size() > 1 ? " and " + std::to_string(rows.size() - 1) + " more rows" : "");
  std::string wrong;
  if (refused) {
    wrong = name + " fails for every response made up for " + all + ": " + first.why +
            (node.function.empty() ? "" : "; let it return nil for a response that it cannot judge");
  } else if (!scored && !answers) {
    SomeRow with_answer = rows[0];
    with_answer.columns["answer"] = "1";
    if (trial.ask(index, with_answer).scored) wrong = name + " has no score without an `answer`, which " + all + " do not have: " + first.why;
  }
  if (wrong.empty()) return name + " has no score for any response made up for " + row + (scored ? ", but for other rows" : "") + ": " + first.why;
  if (stage.max_unscored >= 1) return wrong;
  throw UsageError(node.place.text() + ": " + wrong);
}

}  // namespace

std::vector<std::string> made_up_responses(const json &columns) {
  const auto text = [&](const char *name) {
    const auto found = columns.find(name);
    return found == columns.end() || found->is_structured() || found->is_null() ? std::string() : column_text(columns, name, "");
  };
  std::vector<std::string> all;
  const std::string own = text("response"), answer = text("answer");
  if (!own.empty()) all.push_back(own);
  all.push_back("<think> " + text("prompt") + " </think> <answer> " + answer + " </answer>");
  if (!answer.empty()) {
    all.push_back("\\boxed{" + answer + "}\n#### " + answer);
    all.push_back(answer);
  }
  all.push_back("");
  return all;
}

std::map<int, std::vector<std::string>> try_rewards(const Pipeline &pipeline, const Registry &registry, Script &script,
                                                    const std::set<int> &used, const std::vector<RewardsToTry> &stages) {
  double deadline = 0;
  for (const RewardsToTry &stage : stages) deadline = std::max(deadline, stage.deadline);
  Trial trial(pipeline, registry, script, used, deadline > 0 ? deadline : 10);
  script.renew();  // what rows left in its variables is not what a worker finds
  std::map<int, std::vector<std::string>> told;
  std::set<std::pair<int, std::string>> done;  // reward and first row
  for (const RewardsToTry &stage : stages) {
    const bool by_domain = stage.rewards.is_object() && handle_index(stage.rewards, "$reward") < 0;
    for (const auto &[domain, rows] : stage.rows) {
      if (rows.empty() || (by_domain && !stage.rewards.contains(domain))) continue;
      for (int index : indices_of(by_domain ? stage.rewards[domain] : stage.rewards)) {
        if (!trial.can_ask(index) || !done.insert({index, rows[0].where}).second) continue;
        try {
          const std::string say = try_one(trial, pipeline.rewards[index], index, stage, rows);
          if (!say.empty()) told[stage.stage].push_back(say);
        } catch (const UsageError &) {
          throw;
        } catch (const Failure &failure) {  // an answer that is a table
          throw UsageError(failure.what());
        }
      }
    }
  }
  return told;
}

}  // namespace hone
