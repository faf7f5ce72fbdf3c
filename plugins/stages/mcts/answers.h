// answers.h -- search at test time: what a question is answered with, and how good that is beside plain samples of the same policy, by
// the tokens of both.
#pragma once

#include <hone/json.hpp>
#include <hone/rollouts.hpp>

#include "search.h"

namespace mcts HONE_HIDDEN {

struct AnswerSettings {
  bool by_value = false;         // the ended response of the highest value; else where the most visited steps lead
  double threshold = 1;          // of a right one's reward
  uint32_t num_generations = 4;  // plain samples
};

// Sums over questions, batch after batch.
class Answers {
 public:
  // Searches these questions, emits a row for each with its answer, and samples them plainly.
  void add(const hone::StageHost &, const Settings &, const AnswerSettings &, hone::ModelHandle model, hone::ModelHandle value,
           const hone::Prompts &, size_t begin, size_t end, uint32_t &samplings, uint32_t step);
  hone::Table result() const;  // Error when no answer has a score
  const Cost &last_cost() const { return last_; }
  hone::Json json() const;
  void load(const hone::Json &);

 private:
  template <class Self, class Body>
  static void each(Self &, Body &&);
  void sample_plainly(const hone::StageHost &, const Settings &, const AnswerSettings &, hone::ModelHandle model, const hone::Prompts &,
                      size_t begin, size_t end, uint32_t &samplings, uint32_t step);

  uint64_t questions_ = 0, unscored_ = 0, nodes_ = 0, right_ = 0;
  uint64_t plain_ = 0, plain_scored_ = 0, plain_right_ = 0, plain_tokens_ = 0;
  double seconds_ = 0, plain_seconds_ = 0;
  Cost cost_, last_;
};

}  // namespace HONE_HIDDEN
