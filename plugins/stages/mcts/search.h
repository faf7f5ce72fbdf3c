// search.h -- Monte Carlo tree search over the steps of responses to several questions at once (AlphaMath, arXiv 2405.03553, section 3.2).
//
// A simulation goes down each question's tree by the rule to a leaf, lets the policy sample the steps that may follow it, and backs the
// leaf's value up to the root. The leaves of a round, one of each question, are sampled, scored and valued together. Values, from -1 to 1:
//   of a response at its end   2 r - 1, r the reward, from 0 to 1; nothing (0) where there is no score. Where rewards may not be
//                              seen (test time) it is valued as any other leaf.
//   of another leaf            tanh(v / 2) = 2 sigmoid(v) - 1, v what the value model's head says after its last token, of
//                              an ended response before its end token, which stage prm does not show it: the probability that
//                              objective prm learns. Without a value model, the mean of 2 r - 1 over num_rollouts responses from there.
#pragma once

#include <hone/rollouts.hpp>

#include "tree.h"

namespace mcts HONE_HIDDEN {

struct Settings {
  hone::RewardHandle rewards;
  bool rewards_seen = true;  // by the search
  Rule rule = Rule::puct;
  double exploration = 1.25;
  uint32_t simulations = 40, children = 5, depth = 8, num_rollouts = 4;
  uint32_t max_step_length = 256, max_completion_length = 1024;
  float temperature = 1;
  std::vector<std::string> separators;  // a step ends with the token that completes one of them
};

// Tokens. reused: that a search without shared prefixes would have computed, too.
struct Cost {
  uint64_t generated = 0, computed = 0, reused = 0;  // of the policy
  uint64_t value_computed = 0, value_reused = 0;     // of the value model

  Cost &operator+=(const Cost &other) {
    generated += other.generated, computed += other.computed, reused += other.reused;
    value_computed += other.value_computed, value_reused += other.value_reused;
    return *this;
  }
};

// One batch of questions.
class Search {
 public:
  // value: none given, and leaves are valued by rollouts. samplings: counts rollouts, whose random numbers it keys. step: of the scores.
  Search(const hone::StageHost &, const Settings &, hone::ModelHandle policy, hone::ModelHandle value, uint32_t &samplings, uint32_t step);

  std::vector<Tree> run(const hone::Prompts &, size_t begin, size_t end);

  // A response on the way to a leaf: `text` with the tokens `ids`. Of a leaf that is no end, greedily gone on with to one.
  struct Answer {
    std::vector<int32_t> ids;
    std::string text;
    bool truncated = false;
    double value = 0;  // of the leaf's, as backed up
  };
  std::vector<Answer> answers(const std::vector<Tree> &, const std::vector<int32_t> &leaves);
  std::vector<double> rewards(const std::vector<size_t> &questions, const std::vector<std::string> &texts,
                              const std::vector<std::vector<int32_t>> &ids, const std::vector<int64_t> &truncated);
  const Cost &cost() const { return cost_; }

 private:
  struct Place {
    size_t tree;
    int32_t node;
  };
  uint32_t remaining(const Place &) const;
  hone::TableView sample(const std::vector<Place> &, hone::Sampling, const std::vector<uint32_t> &lengths);
  void expand(const std::vector<Place> &, bool last);
  void judge_ends(const std::vector<Place> &);
  void value(const std::vector<Place> &);
  void value_by_rollouts(const std::vector<Place> &);

  const hone::StageHost &host_;
  const Settings &settings_;
  hone::ModelHandle policy_, value_;
  uint32_t &samplings_;
  uint32_t step_;
  const hone::Prompts *prompts_ = nullptr;
  size_t begin_ = 0;
  std::vector<Tree> trees_;  // of prompts begin_, ...
  Cost cost_;
};

double squashed(double value_head);                               // tanh(v / 2)
double of_reward(double reward);                                  // 2 r - 1
inline double label_of(double value) { return (value + 1) / 2; }  // what prm learns, from 0 to 1

}  // namespace HONE_HIDDEN
