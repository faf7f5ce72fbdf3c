// dr_grpo.cpp -- "GRPO done right", arXiv 2503.20783 section 3.2: GRPO without the two biases of its divisions, by the deviation of a
// group's rewards and by a response's length.
//
//   A_i  = r_i - mean r                           over the responses to one prompt
//   loss = - sum over all tokens of min(ratio A, clip(ratio) A) / (rows * max_completion_length)
//
// The constant that stands for a response's length is TRL's: the longest that a response may be.
#include <hone/policy_gradient.hpp>

namespace {

class DrGrpo final : public hone::PolicyGradient {
 public:
  DrGrpo() { aggregation = "sequence-mean-token-sum-norm"; }

  static auto params() { return std::tuple_cat(clip_params(), kl_params(), loss_params()); }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    hone::group_relative(batch, hone::rewards_of(batch.rows()), "none", out);
  }
};

}  // namespace

HONE_PLUGIN("hone.dr_grpo", "1.0.0", hone::component<DrGrpo>("dr_grpo", "GRPO without its two biases: no division by deviation or by length."));
