// open_reward.h -- a built-in reward opened in the test's own process, with the settings that a script would give.
#pragma once

#include <string>
#include <vector>

#include "core/plugin/host.h"
#include "core/reward/bench.h"
#include "hone/draft/reward_model.h"
#include "tests/support/built_component.h"

namespace hone {

// A made-up reward model for every reward that asks for one. service must outlive the rewards.
inline WorkerServices offering(hone_reward_model &service) {
  WorkerServices out;
  out.offer = [&service](Host &host, const nlohmann::json &) -> std::shared_ptr<void> {
    host.offer(HONE_HOST_REWARD_MODEL, &service);
    return nullptr;
  };
  return out;
}

struct OpenReward {
  explicit OpenReward(const std::string &name, const nlohmann::json &settings = nlohmann::json::object(), const WorkerServices &services = {})
      : bench({part_of(name, settings)}, 0, services) {}

  PartScores all(const std::vector<ScoreRow> &rows) { return bench.score(0, rows); }
  float operator()(const std::string &text, const std::string &answer = "", bool truncated = false, size_t tokens = 0) {
    ScoreRow row;
    row.text = text;
    row.answer = answer;
    row.columns = "{}";
    row.truncated = truncated;
    row.ids.assign(tokens, 1);
    const PartScores scores = all({row});
    why = scores.why[0];
    return scores.score[0];
  }

  static RewardPart part_of(const std::string &name, const nlohmann::json &settings) {
    RewardPart part;
    part.label = name;
    part.component = built_component("reward", name);
    part.settings = check_settings(part.component.settings, settings, name);
    return part;
  }

  RewardBench bench;
  std::string why;
};

}  // namespace hone
