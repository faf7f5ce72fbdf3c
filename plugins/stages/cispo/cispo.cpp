// cispo.cpp -- Clipped IS-weight Policy Optimization: MiniMax-M1, arXiv 2506.13585 section 3.1. The weight of a token is clipped, not
// its gradient: every token goes on learning.
//
//   A_i  = (r_i - mean r) / deviation r
//   w_it = clip(ratio, 1 - epsilon, 1 + epsilon_high)            eq. 5; a constant: no gradient goes through it
//   loss = - mean over all tokens of w A log p                   eq. 4
//
// As the paper does, nothing bounds the weight from below (epsilon 1) and only epsilon_high is tuned. (TRL's epsilon_high of this loss
// is the bound itself, not how far it lies above 1.) The deviation is the population's.
#include <hone/policy_gradient.hpp>

namespace {

class Cispo final : public hone::PolicyGradient {
 public:

  Cispo() { epsilon = 1, epsilon_high = 0.28f; }

  static auto params() {
    return std::tuple_cat(
        hone::params(hone::param("epsilon", &Cispo::epsilon, "how far the weight may fall below 1; 1: as far as it likes", {.min = 0}),
                     hone::param("epsilon_high", &Cispo::epsilon_high, "how far it may rise above 1; 0: as far as epsilon", {.min = 0})),
        scale_params(), kl_params(), loss_params());
  }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    hone::group_relative(batch, hone::rewards_of(batch.rows()), scale_rewards, out);
  }

 protected:
  double surrogate(const hone::Batch &batch, const hone::Row &row, std::span<const double> share, std::span<double> slope) const override {
    const double low = std::max(0.0, 1.0 - epsilon), high = 1.0 + (epsilon_high > 0 ? epsilon_high : epsilon);
    double total = 0;
    for (uint32_t i = 0; i < row.size(); ++i) {
      const uint32_t t = row.begin + i;
      if (share[i] == 0) continue;  // see PolicyGradient: 0 times infinity is no number
      const double ratio = std::exp(double(batch->logp_const[t]) - batch->logp_old[t]);
      const double gain = share[i] * std::clamp(ratio, low, high) * batch->advantage[t];
      total -= gain * batch->logp[t];
      slope[i] -= gain;
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("hone.cispo", "1.0.0", hone::component<Cispo>("cispo", "Clips the weight of a token and not its gradient (MiniMax-M1)."));
