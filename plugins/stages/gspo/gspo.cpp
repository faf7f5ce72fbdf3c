// gspo.cpp -- Group Sequence Policy Optimization, arXiv 2507.18071 section 4: a response is one action.
//
//   A_i  = (r_i - mean r) / deviation r                          eq. 6
//   s_i  = (p(y_i) / p_old(y_i)) ^ (1 / |y_i|)                   eq. 7: the geometric mean of its tokens' ratios
//   loss = - mean over rows of min(s A, clip(s, 1 - epsilon, 1 + epsilon_high) A)      eq. 5
//
// The clip of a mean is far narrower than that of a token: 3e-4 and 4e-4, as in section 5.1. The deviation is the population's.
#include <hone/policy_gradient.hpp>

namespace {

class Gspo final : public hone::PolicyGradient {
 public:

  Gspo() { aggregation = "sequence-mean-token-mean", epsilon = 3e-4f, epsilon_high = 4e-4f; }

  static auto params() { return std::tuple_cat(scale_params(), clip_params(), kl_params(), loss_params()); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    hone::group_relative(batch, hone::rewards_of(batch.rows()), scale_rewards, out);
  }

 protected:
  double surrogate(const hone::Batch &batch, const hone::Row &row, std::span<const double> share, std::span<double> slope) const override {
    return sequence_surrogate(batch, row, true, share, slope);
  }
};

}  // namespace

HONE_PLUGIN("hone.gspo", "1.0.0", hone::component<Gspo>("gspo", "Group Sequence Policy Optimization: one ratio, and one clip, for a whole response."));
