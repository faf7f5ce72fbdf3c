// paired_test.cpp -- see paired_test.h.
#include "paired_test.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

// SplitMix64 of a counter: the signs of draw i never change, so a report says the same each time it is made.
uint64_t bits_of(uint64_t counter) {
  uint64_t z = (counter + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Share of sign patterns under which the sum is at least as far from zero as it was. Equal up to rounding counts as equal.
double sign_flip_p(const std::vector<double> &differences) {
  double observed = 0, size = 0;
  for (const double d : differences) observed += d, size += std::fabs(d);
  const double limit = std::fabs(observed) - 1e-9 * size;
  const size_t n = differences.size();
  const bool all = n <= 16;
  const uint64_t draws = all ? uint64_t{1} << n : 100'000, words = (n + 63) / 64;
  uint64_t far = 0;
  for (uint64_t draw = 0; draw < draws; ++draw) {
    double sum = 0;
    uint64_t signs = draw;
    for (size_t i = 0; i < n; ++i) {
      if (!all && i % 64 == 0) signs = bits_of(draw * words + i / 64);
      sum += signs >> (i % 64) & 1 ? differences[i] : -differences[i];
    }
    far += std::fabs(sum) >= limit;
  }
  // Among drawn patterns the observed one counts as one more, so that p is never 0.
  return all ? static_cast<double>(far) / static_cast<double>(draws)
             : static_cast<double>(far + 1) / static_cast<double>(draws + 1);
}

}  // namespace

PairedTest paired_test(const std::vector<double> &a, const std::vector<double> &b) {
  std::vector<double> differences;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (!std::isnan(a[i]) && !std::isnan(b[i])) differences.push_back(b[i] - a[i]);
  PairedTest out;
  out.questions = differences.size();
  const auto n = static_cast<double>(differences.size());
  if (differences.empty()) return out;
  for (const double d : differences) out.difference += d / n;
  double squares = 0;
  for (const double d : differences) squares += (d - out.difference) * (d - out.difference);
  out.half_width = differences.size() < 2 ? std::nan("") : 1.96 * std::sqrt(squares / (n - 1) / n);
  // Questions without a difference change no pattern's sum.
  std::erase(differences, 0.0);
  out.p = sign_flip_p(differences);
  return out;
}

}  // namespace hone
