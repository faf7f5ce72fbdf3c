// dr_grpo.cpp -- "GRPO done right", arXiv 2503.20783 section 3.2: no division by the group's deviation, none by a response's length.
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

  // A = r - mean over the responses to one prompt
  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Group &group : batch.groups())
      for (const hone::Row &row : group.rows)
        std::fill(out.advantage + row.begin, out.advantage + row.end, static_cast<float>(row.reward - group.mean));
  }

  // loss = -1 / (rows max_completion_length) * sum over tokens of min(ratio A, clip(ratio) A)
  double loss(const hone::Batch &batch, hone_loss &out) override {
    const double weight = 1.0 / (static_cast<double>(batch->all_rows) * static_cast<double>(max_completion_length));
    double total = 0;
    for (uint32_t t = 0; t < batch->n_tokens; ++t) {
      const double A = batch->advantage[t];
      const double ratio = std::exp(double(batch->logp[t]) - double(batch->logp_old[t]));
      const double clipped = std::clamp(ratio, 1.0 - epsilon, 1.0 + epsilon);
      total -= weight * std::min(ratio * A, clipped * A);
      if (ratio * A <= clipped * A) out.dlogp[t] = static_cast<float>(-weight * ratio * A);  // else the clip is flat
    }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("org.example.dr_grpo", "1.0.0", hone::component<DrGrpo>("dr_grpo", "GRPO without its two biases"));
