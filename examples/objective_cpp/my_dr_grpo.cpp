// my_dr_grpo.cpp -- "GRPO done right", arXiv 2503.20783 section 3.2: no division by the group's deviation, none by a response's length.
// An objective from nothing but hone/objective.hpp; it trains to the same bits as the built-in dr_grpo, which is shorter, since
// hone/policy_gradient.hpp has the clip, the penalties and the means that such objectives share.
#include <hone/objective.hpp>

namespace {

class DrGrpo final : public hone::Objective {
 public:
  float epsilon = 0.2f;
  int64_t max_completion_length = 256;

  static auto params() {
    return hone::params(hone::param("epsilon", &DrGrpo::epsilon, "farthest the ratio may move from 1", {.min = 0}),
                        hone::param("max_completion_length", &DrGrpo::max_completion_length,
                                    "the constant that stands where GRPO divides by a response's length", {.min = 1}));
  }

  uint64_t needs() const override { return HONE_LOGP_OLD; }

  // A = r - mean over the responses to one prompt; 0, as it comes, where they are equal up to rounding, which is nothing to learn
  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Group &group : batch.groups())
      for (const hone::Row &row : group.rows)
        if (group.deviation > 0) std::fill(out.advantage + row.begin, out.advantage + row.end, static_cast<float>(row.reward - group.mean));
  }

  // loss = -1 / (rows max_completion_length) * sum over tokens of min(ratio A, clip(ratio) A)
  double loss(const hone::Batch &batch, hone_loss &out) override {
    const double share = 1.0 / (static_cast<double>(batch->all_rows) * static_cast<double>(max_completion_length));
    double total = 0;
    for (const hone::Row &row : batch.rows()) {
      double of_row = 0;
      for (uint32_t t = row.begin; t < row.end; ++t) {
        const double A = batch->advantage[t];
        if (A == 0) continue;  // however far the policy has moved: infinity times 0 is no number
        const double ratio = std::exp(double(batch->logp[t]) - double(batch->logp_old[t]));
        const double gain = ratio * A, clipped = std::clamp(ratio, 1.0 - epsilon, 1.0 + epsilon) * A;
        of_row -= share * std::min(gain, clipped);
        if (gain <= clipped) out.dlogp[t] = static_cast<float>(-(share * gain));  // else the clip is flat
      }
      total += of_row;
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("org.example.my_dr_grpo", "1.0.0", hone::component<DrGrpo>("my_dr_grpo", "GRPO without its two biases"));
