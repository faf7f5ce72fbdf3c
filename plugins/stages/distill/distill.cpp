// distill.cpp -- sequence-level distillation: the student learns the responses that a teacher sampled.
// Kim & Rush, arXiv 1606.07947, section 3.2; DeepSeek-R1, arXiv 2501.12948, section 2.4 (no reinforcement learning).
// The loss is the negative log-likelihood of y ~ teacher.
#include "../shared/likelihood.hpp"

namespace {

class Distill final : public hone::Objective {
 public:
  static auto params() { return hone::params(); }

  uint32_t source() const override { return HONE_TEACHER; }
  double loss(const hone::Batch &batch, hone_loss &out) override { return hone::negative_log_likelihood(batch, out); }
};

}  // namespace

HONE_PLUGIN("hone.distill", "1.0.0",
            hone::component<Distill>("distill", "Learns the responses that a teacher model sampled."));
