// distill.cpp -- distillation from a teacher model, on the student's own responses or on the teacher's.
//
// responses = "student": on-policy, by the reverse KL of each token (Agarwal et al., arXiv 2306.13649; Gu et al., arXiv 2306.08543):
//   A_t  = log p_teacher - log p_old             its expectation is - KL(student || teacher) at that token
//   loss = - mean over all tokens of min(ratio A, clip(ratio) A)      on policy its gradient is that of the reverse KL of each token
//
// responses = "teacher": sequence-level (Kim & Rush, arXiv 1606.07947, section 3.2), which is how DeepSeek-R1's small models were
// made (arXiv 2501.12948, section 2.4): the likelihood of responses that the teacher sampled.
#include <hone/policy_gradient.hpp>

#include "../shared/likelihood.hpp"

namespace {

class Distill final : public hone::PolicyGradient {
 public:
  std::string responses = "student";

  static auto params() {
    return std::tuple_cat(hone::params(hone::param("responses", &Distill::responses,
                                                   "whose responses are learnt from: the student's own, each token as the teacher thinks of it, or the "
                                                   "teacher's (DeepSeek-R1's distillation)",
                                                   {.choices = {"student", "teacher"}})),
                          clip_params(), kl_params(), loss_params());
  }

  uint32_t source() const override { return on_policy() ? HONE_ON_POLICY : HONE_TEACHER; }
  uint64_t needs() const override { return on_policy() ? PolicyGradient::needs() | HONE_LOGP_TEACHER : 0; }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    if (!on_policy()) return;
    for (uint32_t t = 0; t < batch->n_tokens; ++t) out.advantage[t] = static_cast<float>(double(batch->logp_teacher[t]) - batch->logp_old[t]);
  }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    return on_policy() ? PolicyGradient::loss(batch, out) : hone::negative_log_likelihood(batch, out);
  }

 private:
  bool on_policy() const { return responses == "student"; }
};

}  // namespace

HONE_PLUGIN("hone.distill", "2.0.0", hone::component<Distill>("distill", "Learns from a teacher model: each token of its own responses, or the teacher's."));
