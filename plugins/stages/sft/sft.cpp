// sft.cpp -- supervised fine-tuning, and pre-training: the negative log-likelihood of the trained tokens of rows.
#include "../shared/likelihood.hpp"

namespace {

class Sft final : public hone::Objective {
 public:
  static auto params() { return hone::params(); }

  uint32_t source() const override { return HONE_ROWS; }
  double loss(const hone::Batch &batch, hone_loss &out) override { return hone::negative_log_likelihood(batch, out); }
};

}  // namespace

HONE_PLUGIN("hone.sft", "1.0.0", hone::component<Sft>("sft", "Next-token likelihood of rows of data, or raw text."));
