// token_kl.hpp -- estimators of KL(policy || reference) from one sampled token, as terms of a loss: Schulman, "Approximating
// KL divergence", 2020. With d = log p - log p_ref:
//
//   k1 = d                   slope 1           unbiased as a number; as a loss its expected gradient is 0
//   k2 = d^2 / 2             slope d           on policy its expected gradient is that of the KL (arXiv 2505.17508)
//   k3 = e^-d - 1 + d        slope 1 - e^-d    unbiased and never negative; its gradient is that of the forward KL
//
// "unbiased" takes an estimator's number with k2's slope: k_x(stopped) + k2 - k2(stopped), which finite differences can check.
#pragma once

#include <cmath>
#include <string>

#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

struct TokenKl {
  double value, slope;  // the slope is by log p
};

inline TokenKl k1(double logp, double logp_ref) { return {logp - logp_ref, 1}; }
inline TokenKl k2(double logp, double logp_ref) {
  const double d = logp - logp_ref;
  return {d * d / 2, d};
}
inline TokenKl k3(double logp, double logp_ref) {
  const double to_ref = logp_ref - logp, ratio = std::exp(to_ref);
  return {std::expm1(to_ref) - to_ref, 1 - ratio};
}

// estimator: "k1", "k2" or "k3". unbiased: with k2's slope. logp_const is log p as a constant.
inline TokenKl token_kl(const std::string &estimator, bool unbiased, double logp, double logp_const, double logp_ref) {
  const auto estimate = [&](double at) { return estimator == "k1" ? k1(at, logp_ref) : estimator == "k2" ? k2(at, logp_ref) : k3(at, logp_ref); };
  if (!unbiased) return estimate(logp);
  const TokenKl moving = k2(logp, logp_ref);
  return {estimate(logp_const).value + moving.value - k2(logp_const, logp_ref).value, moving.slope};
}

}  // namespace hone
