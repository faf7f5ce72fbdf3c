// logprob, entropy and KL against the double reference, and their gradients against finite differences.
#include "kernels/logprob/op.h"

#include "tests/kernels/support.h"

namespace hone::test {
namespace {

struct Shape {
  uint32_t T, V;
  float temperature;
};
const Shape kShapes[] = {{1, 1, 1}, {3, 16, 1}, {7, 33, 0.6f}, {40, 100, 1.3f}, {300, 67, 1}, {2, 5000, 1}};

std::vector<int32_t> targets(uint32_t T, uint32_t V) {
  std::vector<int32_t> t(T);
  for (uint32_t i = 0; i < T; ++i) t[i] = int32_t(i * 7919 % V);
  return t;
}

TEST(Logprob, AgreesWithTheReferenceInDouble) {
  for (const Shape &s : kShapes) {
    const Floats x = random_floats(size_t(s.T) * s.V, 1, 3);
    const auto target = targets(s.T, s.V);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats logp(s.T), lse(s.T), entropy(s.T), alone(s.T);
      set.logprob(stream, s.T, s.V, x.data(), s.temperature, target.data(), logp.data(), lse.data(), entropy.data());
      set.logprob(stream, s.T, s.V, x.data(), s.temperature, target.data(), alone.data(), lse.data(), nullptr);
      EXPECT_TRUE(same_bits(logp, alone));
      return joined({logp, entropy});
    });
    Doubles logp(s.T), entropy(s.T);
    reference::logprob(s.T, s.V, widen(x).data(), s.temperature, target.data(), logp.data(), entropy.data());
    expect_close(part(got, 0, s.T), logp, 1e-6);
    expect_close(part(got, s.T, s.T), entropy, 2e-6);
  }
}

TEST(Logprob, GradientAgreesWithFiniteDifferences) {
  for (const Shape &s : {kShapes[0], kShapes[1], kShapes[2], Shape{5, 50, 1.3f}}) {
    const Floats x = random_floats(s.T * s.V, 2, 2), dlogp = random_floats(s.T, 3), dentropy = random_floats(s.T, 4);
    const auto target = targets(s.T, s.V);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats logp(s.T), lse(s.T), entropy(s.T), with = x, without = x;
      set.logprob(stream, s.T, s.V, x.data(), s.temperature, target.data(), logp.data(), lse.data(), entropy.data());
      set.logprob_backward(stream, s.T, 0, s.V, with.data(), s.temperature, target.data(), lse.data(), entropy.data(), dlogp.data(),
                           dentropy.data());
      set.logprob_backward(stream, s.T, 0, s.V, without.data(), s.temperature, target.data(), lse.data(), nullptr, dlogp.data(), nullptr);
      return joined({with, without});
    });
    for (bool entropy_too : {true, false}) {
      const Doubles expected = finite_differences(widen(x), [&](const Doubles &z) {
        Doubles logp(s.T), entropy(s.T);
        reference::logprob(s.T, s.V, z.data(), s.temperature, target.data(), logp.data(), entropy.data());
        return dot(widen(dlogp), logp) + (entropy_too ? dot(widen(dentropy), entropy) : 0);
      });
      expect_close(part(got, entropy_too ? 0 : x.size(), x.size()), expected, 3e-6);
    }
  }
}

// The ids first .. first + n of logits [T, V].
Floats columns(const Floats &logits, uint32_t T, uint32_t V, uint32_t first, uint32_t n) {
  Floats part;
  for (uint32_t t = 0; t < T; ++t) part.insert(part.end(), logits.begin() + t * V + first, logits.begin() + t * V + first + n);
  return part;
}

TEST(Logprob, GradientsOfBlocksOfTheVocabularyAreThoseOfTheWhole) {
  const uint32_t T = 9, V = 100;
  const Floats p = random_floats(T * V, 12, 2), q = random_floats(T * V, 13, 2), d = random_floats(T, 14), dentropy = random_floats(T, 15);
  const auto target = targets(T, V);
  for (const hone_kernels *set : sets()) {
    Floats logp(T), lse(T), entropy(T), kl(T), reference_lse(T), whole = p, whole_kl(p.size());
    set->logprob(nullptr, T, V, p.data(), 1.3f, target.data(), logp.data(), lse.data(), entropy.data());
    set->kl(nullptr, T, V, p.data(), q.data(), 1.3f, kl.data(), reference_lse.data());
    set->logprob_backward(nullptr, T, 0, V, whole.data(), 1.3f, target.data(), lse.data(), entropy.data(), d.data(), dentropy.data());
    set->kl_backward(nullptr, T, V, p.data(), q.data(), 1.3f, lse.data(), reference_lse.data(), kl.data(), d.data(), whole_kl.data());
    for (uint32_t first = 0, n = 32; first < V; first += n) {
      const uint32_t count = std::min(n, V - first);
      Floats block = columns(p, T, V, first, count), block_kl(block.size());
      set->kl_backward(nullptr, T, count, block.data(), columns(q, T, V, first, count).data(), 1.3f, lse.data(), reference_lse.data(),
                       kl.data(), d.data(), block_kl.data());
      set->logprob_backward(nullptr, T, first, count, block.data(), 1.3f, target.data(), lse.data(), entropy.data(), d.data(),
                            dentropy.data());
      EXPECT_TRUE(same_bits(block, columns(whole, T, V, first, count))) << set->isa << " from " << first;
      EXPECT_TRUE(same_bits(block_kl, columns(whole_kl, T, V, first, count))) << set->isa << " from " << first;
    }
  }
}

TEST(Kl, AndItsGradientAgreeWithTheReferenceInDouble) {
  for (const Shape &s : {kShapes[0], kShapes[1], kShapes[2], Shape{5, 50, 1.3f}}) {
    const Floats p = random_floats(s.T * s.V, 5, 2), q = random_floats(s.T * s.V, 6, 2), dkl = random_floats(s.T, 7),
                 before = random_floats(p.size(), 8);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats kl(s.T), dx = before, logp(s.T), lse(s.T), reference_lse(s.T);
      set.logprob(stream, s.T, s.V, p.data(), s.temperature, targets(s.T, s.V).data(), logp.data(), lse.data(), nullptr);
      set.kl(stream, s.T, s.V, p.data(), q.data(), s.temperature, kl.data(), reference_lse.data());
      set.kl_backward(stream, s.T, s.V, p.data(), q.data(), s.temperature, lse.data(), reference_lse.data(), kl.data(), dkl.data(),
                      dx.data());
      return joined({kl, dx});
    });
    Doubles kl(s.T);
    reference::kl(s.T, s.V, widen(p).data(), widen(q).data(), s.temperature, kl.data());
    expect_close(part(got, 0, s.T), kl, 3e-6);
    const Doubles slope = finite_differences(widen(p), [&](const Doubles &z) {
      Doubles out(s.T);
      reference::kl(s.T, s.V, z.data(), widen(q).data(), s.temperature, out.data());
      return dot(widen(dkl), out);
    });
    expect_close(part(got, s.T, p.size()), plus(slope, before), 5e-6);
    for (const hone_kernels *set : sets()) {
      Floats same(s.T, NAN), lse(s.T);
      set->kl(nullptr, s.T, s.V, p.data(), p.data(), s.temperature, same.data(), lse.data());
      for (float v : same) EXPECT_EQ(v, 0);
    }
  }
}

TEST(Logprob, HostileLogitsSpoilTheirOwnTokenOnly) {
  const uint32_t V = 37;
  Floats x = random_floats(6 * V, 9);
  const Floats clean = x;
  for (uint32_t v = 0; v < V; ++v) x[v] = NAN, x[2 * V + v] = -INFINITY;
  x[4 * V + 3] = INFINITY;
  x[5 * V + 1] = -INFINITY;  // an excluded id is no error
  const std::vector<int32_t> target(6, 0);
  const auto run = [&](const Floats &logits) {
    return everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats logp(6), lse(6), entropy(6);
      set.logprob(stream, 6, V, logits.data(), 1, target.data(), logp.data(), lse.data(), entropy.data());
      return joined({logp, entropy});
    });
  };
  const Floats got = run(x), expected = run(clean);
  for (uint32_t t : {0u, 2u, 4u}) EXPECT_TRUE(std::isnan(got[t])) << t;
  for (uint32_t t : {1u, 3u}) EXPECT_EQ(got[t], expected[t]);
  EXPECT_TRUE(std::isfinite(got[5]));
  EXPECT_TRUE(std::isfinite(got[11]));
}

TEST(Logprob, IsExactlyZeroForTheOnlyId) {
  for (const hone_kernels *set : sets()) {
    const float logit = 12.34f;
    const int32_t target = 0;
    float logp = 1, lse, entropy = 1;
    set->logprob(nullptr, 1, 1, &logit, 0.7f, &target, &logp, &lse, &entropy);
    EXPECT_EQ(logp, 0);
    EXPECT_EQ(entropy, 0);
  }
}

}  // namespace
}  // namespace hone::test
