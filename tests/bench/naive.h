// naive.h -- naive twins of the kernels that have none in kernels/*/op_reference.cpp: plain loops, in double where the kernel computes
// more than a copy. For measuring against, not for checking: the tests hold gradients to finite differences.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace hone::naive {

// One row of T tokens; += all three gradients. lse and y are not read: they are made anew.
void attention_backward(uint32_t T, uint32_t H, uint32_t G, uint32_t D, double scale, const double *q, const double *k, const double *v,
                        const double *dy, double *dq, double *dk, double *dv);
// One query in each of R rows, after `keys` keys of its own, k and v [R, keys, G, D].
void attention_of_one(uint32_t R, uint32_t keys, uint32_t H, uint32_t G, uint32_t D, double scale, const double *q, const double *k,
                      const double *v, double *y);
void rms_norm_backward(uint64_t n, uint32_t width, const double *x, const double *weight, const double *inverse, const double *dy,
                       double *dx, double *dweight);
void swiglu_backward(uint64_t n, const double *gate, const double *up, const double *dy, double *dgate, double *dup);
// logits become their gradients
void logprob_backward(uint32_t T, uint32_t V, double *logits, const int32_t *target, const double *lse, const double *dlogp);
void kl_backward(uint32_t T, uint32_t V, const double *logits, const double *reference, const double *lse, const double *reference_lse,
                 const double *kl, const double *dkl, double *dlogits);
// Without filters, at temperature 1; logp too.
void sample(uint32_t R, uint32_t V, const double *logits, const double *uniform, int32_t *token, double *logp);
// With softmax scores, not normalised.
void route_backward(const hone_route_args &, const double *scores, const int32_t *index, const double *dweight, double *dlogits);
// The loop of plugins/optimizers/adamw in double
void adamw(uint64_t n, double keep, double step, double root, const double *gradient, double *parameter, double *mean, double *square);

}  // namespace hone::naive
