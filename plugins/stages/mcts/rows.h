// rows.h -- what search trees teach: solutions for the policy, and the values of their steps for the value model (AlphaMath,
// arXiv 2405.03553, section 3.3: of each question some right solutions and as many wrong ones).
#pragma once

#include <hone/json.hpp>
#include <hone/rollouts.hpp>

#include "tree.h"

namespace mcts HONE_HIDDEN {

// A response that a search found.
struct Solution {
  size_t question = 0;  // of the prompts
  std::string text;
  std::vector<int32_t> ids;
  bool right = false, whole = false;  // whole: it came to its end by itself
  double reward = 0;
  uint32_t visits = 0;
  std::vector<std::string> steps;
  std::vector<uint32_t> ends;  // how many of ids each step ends with, without the end token
  std::vector<double> labels;  // of the steps: their values, from 0 to 1; of the last one its reward
};

// At most so many right ones, and as many wrong ones: the most visited, of equals those found first. None without a score,
// nor any without a word.
std::vector<Solution> solutions(const Tree &, size_t question, double threshold, uint32_t most);

// {prompt, response, answer, domain, reward, visits} with the row's own columns, steps and labels.
hone::Table data_rows(const hone::Prompts &, const std::vector<Solution> &);

// What a round teaches, as train_step takes it.
struct Lessons {
  std::vector<std::string> prompt;
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::vector<float>> step_reward;  // of the value model's: NaN where no step ends; empty for the policy
  size_t size() const { return prompt.size(); }

  void add_response(const hone::Prompts &, const Solution &);
  void add_values(const hone::Prompts &, const Solution &);
  hone::Table table(const std::vector<size_t> &which) const;
  hone::Json json() const;
  static Lessons of(const hone::Json &);
};

}  // namespace HONE_HIDDEN
