// heads_bench.cpp -- what is made of logits of the whole vocabulary: log-probs, KL and their gradients, tokens; and the value head.
// Held to the memory's speed, though most of it is exponentials.
#include <cmath>

#include "kernels/logprob/op.h"
#include "kernels/sample/op.h"
#include "kernels/value_head/op.h"
#include "tests/bench/measure.h"
#include "tests/bench/naive.h"

namespace hone::bench {
namespace {

constexpr uint32_t T = 64, V = kVocabulary, kFew = 16;  // kFew: tokens of the naive twins
constexpr double kLogits = 4.0 * T * V;                 // bytes

Case with_part(Case c) {
  c.naive_part = double(kFew) / T;
  return c;
}

Case logprob(bool with_entropy) {
  const Floats logits = random_floats(size_t{T} * V), logp(T), lse(T), entropy(with_entropy ? T : 0);
  const Buffer<int32_t> target = random_ids(T, V);
  Case c;
  c.bytes = kLogits + 16.0 * T;
  c.kernel = [=] { set()->logprob(nullptr, T, V, logits, 1, target, logp, lse, with_entropy ? static_cast<float *>(entropy) : nullptr); };
  c.naive = [=, L = widen(logits, size_t{kFew} * V), P = Doubles(kFew), E = Doubles(kFew)] {
    reference::logprob(kFew, V, L, 1, target, P, with_entropy ? static_cast<double *>(E) : nullptr);
  };
  return with_part(c);
}

// In place, so later calls have the gradients of earlier ones for logits; they are no less in range.
Case logprob_backward() {
  const Floats logits = random_floats(size_t{T} * V), lse(T, 11), dlogp(T, 1);
  const Buffer<int32_t> target = random_ids(T, V);
  Case c;
  c.bytes = 2 * kLogits + 12.0 * T;
  c.kernel = [=] { set()->logprob_backward(nullptr, T, 0, V, logits, 1, target, lse, nullptr, dlogp, nullptr); };
  c.naive = [=, L = widen(logits, size_t{kFew} * V), S = widen(lse), D = widen(dlogp)] {
    naive::logprob_backward(kFew, V, L, target, S, D);
  };
  return with_part(c);
}

Case kl() {
  const Floats p = random_floats(size_t{T} * V), q = random_floats(size_t{T} * V), out(T), lse(T);
  Case c;
  c.bytes = 2 * kLogits + 8.0 * T;
  c.kernel = [=] { set()->kl(nullptr, T, V, p, q, 1, out, lse); };
  c.naive = [P = widen(p, size_t{kFew} * V), Q = widen(q, size_t{kFew} * V), O = Doubles(kFew)] { reference::kl(kFew, V, P, Q, 1, O); };
  return with_part(c);
}

Case kl_backward() {
  const Floats p = random_floats(size_t{T} * V), q = random_floats(size_t{T} * V), lse(T, 11), value(T, 0.1f), d(T, 1), dlogits(p.size());
  Case c;
  c.bytes = 4 * kLogits + 16.0 * T;
  c.kernel = [=] { set()->kl_backward(nullptr, T, V, p, q, 1, lse, lse, value, d, dlogits); };
  c.naive = [P = widen(p, size_t{kFew} * V), Q = widen(q, size_t{kFew} * V), L = widen(lse), K = widen(value), D = widen(d),
             dP = Doubles(size_t{kFew} * V)] { naive::kl_backward(kFew, V, P, Q, L, L, K, D, dP); };
  return with_part(c);
}

// As a language model's: by Zipf's law with exponent 1.5, of which some 240 ids have 95 %.
Floats peaked_logits() {
  const Floats x = random_floats(size_t{T} * V);
  for (size_t i = 0; i < x.size(); ++i) x[i] = -1.5f * std::log((x[i] + 1) / 2 * V + 1);
  return x;
}

Case sample(hone_sample_args args, bool flat) {
  const Floats logits = flat ? random_floats(size_t{T} * V) : peaked_logits(), uniform(T, 0.4f), logp(T);
  const Buffer<int32_t> token(T);
  Case c;
  c.bytes = kLogits + 12.0 * T;
  c.kernel = [=] { set()->sample(nullptr, T, V, logits, &args, uniform, token, logp); };
  const Doubles L = widen(logits, size_t{kFew} * V), U = widen(uniform), P(kFew);
  const Buffer<int32_t> naive_token(V);
  if (args.top_k || args.top_p < 1)
    c.naive = [=, weights = Doubles(V)] {
      for (size_t r = 0; r < kFew; ++r) reference::kept_by_filters(V, L + r * V, args, naive_token, weights);
    };
  else  // drawn, also for the greedy kernel
    c.naive = [=] { naive::sample(kFew, V, L, U, naive_token, P); };
  return with_part(c);
}

Case value_head() {
  const Floats x = random_floats(size_t{kTokens} * kHidden), w = random_floats(kHidden), y(kTokens);
  Case c;
  c.bytes = 4.0 * (kTokens * kHidden + kHidden + kTokens);
  c.kernel = [=] { set()->value_head(nullptr, kTokens, kHidden, x, w, y); };
  c.naive = [X = widen(x), W = widen(w), Y = Doubles(kTokens)] { reference::value_head(kTokens, kHidden, X, W, Y); };
  return c;
}

Case value_head_backward() {
  const Floats x = random_floats(size_t{kTokens} * kHidden), w = random_floats(kHidden), dy(kTokens, 1), dx(x.size()), dw(kHidden);
  Case c;
  c.bytes = 4.0 * (3 * kTokens * kHidden + 3 * kHidden + kTokens);
  c.kernel = [=] { set()->value_head_backward(nullptr, kTokens, kHidden, x, w, dy, dx, dw); };
  c.naive = [=] { reference::value_head_backward(kTokens, kHidden, x, w, dy, dx, dw); };
  return c;
}

}  // namespace

void add_heads() {
  const std::string size = sizes({{"T", T}, {"V", V}}), rows = sizes({{"T", kTokens}, {"C", kHidden}});
  add_case("logprob/" + size, [] { return logprob(false); });
  add_case("logprob_and_entropy/" + size, [] { return logprob(true); });
  add_case("logprob_backward/" + size, logprob_backward);
  add_case("kl/" + size, kl);
  add_case("kl_backward/" + size, kl_backward);
  add_case("sample/" + size, [] { return sample({1, 1, 0, 0}, false); });
  add_case("sample_greedy/" + size, [] { return sample({0, 1, 0, 0}, false); });
  add_case("sample_top_k_top_p/" + size + "/k:20/percent:95", [] { return sample({1, 0.95f, 0, 20}, false); });
  add_case("sample_top_p/" + size + "/percent:95", [] { return sample({1, 0.95f, 0, 0}, false); });
  add_case("sample_top_p_of_flat_logits/" + size + "/percent:95", [] { return sample({1, 0.95f, 0, 0}, true); });
  add_case("value_head/" + rows, value_head);
  add_case("value_head_backward/" + rows, value_head_backward);
}

}  // namespace hone::bench
