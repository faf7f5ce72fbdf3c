// reinforce_plus_plus_baseline.cpp -- REINFORCE++-baseline, arXiv 2501.03262: the mean of a group is taken off, the division is by the
// deviation over the whole step.
//
//   A_i  = r_i - mean r                                   over the responses to one prompt
//   A    = (A - mean) / sqrt(max(variance, 1e-8))         over all tokens of the step, as in the authors' OpenRLHF: the population's
//   loss = mean over all tokens of beta KL2 - min(ratio A, clip(ratio) A)
//
// Responses are of different lengths, so the mean over tokens is not quite 0; in a group of equal rewards, which says nothing, A is
// exactly 0 all the same.
#include <hone/policy_gradient.hpp>

namespace {

class ReinforcePlusPlusBaseline final : public hone::PolicyGradient {
 public:
  ReinforcePlusPlusBaseline() { kl_estimator = "k2"; }

  static auto params() { return std::tuple_cat(clip_params(), kl_params(), loss_params()); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    hone::group_relative(batch, hone::rewards_of(batch.rows()), "none", out);
    hone::standardize({out.advantage, batch->n_tokens});
    for (const hone::Group &group : batch.groups())
      if (group.deviation == 0)
        for (const hone::Row &row : group.rows) hone::fill_row(out, row, 0);
  }
};

}  // namespace

HONE_PLUGIN("hone.reinforce_plus_plus_baseline", "1.0.0",
            hone::component<ReinforcePlusPlusBaseline>("reinforce_plus_plus_baseline",
                                                       "REINFORCE with a group's mean as baseline, normalised over the whole step."));
