// paired_test.h -- whether two models differ on the same questions: a sign-flip permutation test of the mean difference
// (Fisher 1935; Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", chapter 3).
#pragma once

#include <cstdint>
#include <vector>

namespace hone {

struct PairedTest {
  double difference = 0;  // mean of b - a over the questions that both have
  double half_width = 0;  // of its 95 % interval (1.96 standard errors); NaN for fewer than two questions
  double p = 1;           // two-sided; all 2^n sign patterns up to n = 16, else 100,000 drawn ones (fixed: no seed)
  uint64_t questions = 0;
};

// a, b: one value a question, in the same order; NaN where a question has no score, which leaves it out of both.
PairedTest paired_test(const std::vector<double> &a, const std::vector<double> &b);

}  // namespace hone
