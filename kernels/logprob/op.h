// logprob: of softmax(z), z = logits * (1 / temperature), per token: log-prob of the target, entropy, and KL(p || q).
//
//   m = max z;  S = sum exp(z - m): 16 lanes over blocks of 16 ids in order, then the tree of cpu/simd.h;  lse = m + log S
//   logp    = (z[target] - m) - log S
//   entropy = log S - (sum e (z - m)) / S with e = exp(z - m), summed the same way
//   kl      = sum p ((z_p - lse_p) - (z_q - lse_q)), p = exp(z_p - lse_p), summed the same way; terms with p = 0 are 0
//   logprob_backward: with p = exp(z - lse): dlogits = (1/temperature) (dlogp (1[target] - p) - dentropy p ((z - lse) + H))
//   kl_backward:      dlogits += (1/temperature) dkl p ((log p - log q) - kl)
// A row of NaN, or all -infinity, gives NaN for its own token only.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

// entropy may be null
void logprob(uint32_t T, uint32_t V, const double *logits, double temperature, const int32_t *target, double *logp,
             double *entropy);
void kl(uint32_t T, uint32_t V, const double *logits, const double *reference, double temperature, double *kl);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_logprob(hone_kernels &);
}
#endif
