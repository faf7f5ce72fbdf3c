// logprob, entropy and KL on a CPU; formulas and order in op.h.
#include "kernels/logprob/op.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/softmax_row.h"

namespace hone::kernels::HONE_ISA {
namespace {

void logprob(hone_stream *stream, uint32_t T, uint32_t V, const float *logits, float temperature, const int32_t *target,
             float *logp, float *lse, float *entropy) {
  const float inverse = 1.0f / temperature;
  parallel(stream, T, panels(V) * 10.0 + 20, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      const float *x = logits + t * V;
      const SoftmaxRow row = softmax_row(V, x, inverse);
      logp[t] = logp_of(row, x[target[t]], inverse);
      if (lse) lse[t] = row.highest + row.log_total;
      if (!entropy) continue;
      F16 total = zero(), weighted = zero();
      each_block(0, V, [&](uint64_t i, uint32_t lanes) {
        const F16 d = load_block(x + i, lanes) * broadcast(inverse) - broadcast(row.highest);
        const F16 e = first(lanes, exp(d), zero());
        total = total + e;
        weighted = weighted + where_zero(e, zero(), e * d);
      });
      entropy[t] = row.log_total - sum(weighted) / sum(total);
    }
  });
}

void logprob_backward(hone_stream *stream, uint32_t T, uint32_t first, uint32_t n, float *logits, float temperature,
                      const int32_t *target, const float *lse, const float *entropy, const float *dlogp, const float *dentropy) {
  const float inverse = 1.0f / temperature;
  parallel(stream, T, panels(n) * 8.0 + 20, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      float *x = logits + t * n;
      const F16 factor = broadcast(inverse), shift = broadcast(lse[t]), d = broadcast(dlogp[t]);
      const bool with_entropy = dentropy && dentropy[t] != 0;
      const F16 h = broadcast(with_entropy ? entropy[t] : 0.0f), dh = broadcast(with_entropy ? dentropy[t] : 0.0f);
      const uint32_t at = (uint32_t)target[t] - first;  // beyond n: not among these ids
      float at_target = 0;
      each_block(0, n, [&](uint64_t i, uint32_t lanes) {
        const F16 log_p = load_block(x + i, lanes) * factor - shift, p = exp(log_p);
        F16 slope = zero() - d * p;
        if (with_entropy) slope = slope - where_zero(p, zero(), dh * (p * (log_p + h)));
        if (at - (uint32_t)i < lanes) {
          float own[16];
          store(own, slope);
          at_target = own[at - i] + dlogp[t];
        }
        store_block(x + i, lanes, slope * factor);
      });
      if (at < n) x[at] = at_target * inverse;
    }
  });
}

void kl(hone_stream *stream, uint32_t T, uint32_t V, const float *logits, const float *reference, float temperature, float *out,
        float *reference_lse) {
  const float inverse = 1.0f / temperature;
  parallel(stream, T, panels(V) * 20.0 + 40, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      const float *x = logits + t * V, *y = reference + t * V;
      const SoftmaxRow p_row = softmax_row(V, x, inverse), q_row = softmax_row(V, y, inverse);
      const F16 factor = broadcast(inverse), p_shift = broadcast(p_row.highest + p_row.log_total),
                q_shift = broadcast(q_row.highest + q_row.log_total);
      F16 total = zero();
      each_block(0, V, [&](uint64_t i, uint32_t lanes) {
        const F16 log_p = load_block(x + i, lanes) * factor - p_shift, log_q = load_block(y + i, lanes) * factor - q_shift;
        const F16 p = first(lanes, exp(log_p), zero());
        total = total + where_zero(p, zero(), p * (log_p - log_q));
      });
      out[t] = sum(total);
      reference_lse[t] = q_row.highest + q_row.log_total;
    }
  });
}

void kl_backward(hone_stream *stream, uint32_t T, uint32_t n, const float *logits, const float *reference, float temperature,
                 const float *lse, const float *reference_lse, const float *kl, const float *dkl, float *dlogits) {
  const float inverse = 1.0f / temperature;
  parallel(stream, T, panels(n) * 20.0 + 40, [&](uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      const float *x = logits + t * n, *y = reference + t * n;
      float *dx = dlogits + t * n;
      const F16 factor = broadcast(inverse), p_shift = broadcast(lse[t]),
                q_shift = broadcast(reference_lse[t]), mean = broadcast(kl[t]),
                scale = broadcast(dkl[t] * inverse);
      each_block(0, n, [&](uint64_t i, uint32_t lanes) {
        const F16 log_p = load_block(x + i, lanes) * factor - p_shift, log_q = load_block(y + i, lanes) * factor - q_shift;
        const F16 p = exp(log_p);
        const F16 slope = where_zero(p, zero(), scale * (p * ((log_p - log_q) - mean)));
        store_block(dx + i, lanes, load_block(dx + i, lanes) + slope);
      });
    }
  });
}

}  // namespace

void fill_logprob(hone_kernels &set) {
  set.logprob = logprob;
  set.logprob_backward = logprob_backward;
  set.kl = kl;
  set.kl_backward = kl_backward;
}

}  // namespace hone::kernels::HONE_ISA
