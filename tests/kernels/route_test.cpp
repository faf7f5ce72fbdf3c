// route and its balance loss against the references in double and finite differences.
#include "kernels/route/op.h"

#include "tests/kernels/support.h"

namespace hone::test {
namespace {

std::vector<hone_route_args> shapes() {
  std::vector<hone_route_args> all;
  for (uint32_t gate : {0u, 1u})
    for (uint32_t normalise : {0u, 1u})
      for (const hone_route_args &a :
           {hone_route_args{1, 1, 1, 1, 1, 0, 0, 1, 0}, hone_route_args{9, 4, 2, 1, 1, 0, 0, 1, 0},
            hone_route_args{33, 20, 3, 4, 2, 0, 0, 2.5f, 0}, hone_route_args{17, 8, 2, 8, 3, 0, 0, 1, 0},
            hone_route_args{200, 64, 6, 8, 3, 0, 0, 1.5f, 0}, hone_route_args{33, 20, 3, 4, 2, 0, 0, 2.5f, 1},
            hone_route_args{17, 8, 2, 8, 3, 0, 0, 1, 1}, hone_route_args{200, 64, 6, 8, 3, 0, 0, 1.5f, 1}}) {
        all.push_back(a);
        all.back().gate = gate;
        all.back().normalise = normalise;
      }
  return all;
}

struct Routed {
  Floats scores, weight;
  std::vector<int32_t> index;
};
Routed run_route(const hone_kernels &set, hone_stream *stream, const hone_route_args &a, const Floats &logits, const Floats &bias) {
  Routed r{Floats(size_t(a.T) * a.E), Floats(size_t(a.T) * a.k), std::vector<int32_t>(size_t(a.T) * a.k, -1)};
  set.route(stream, &a, logits.data(), bias.empty() ? nullptr : bias.data(), r.scores.data(), r.index.data(), r.weight.data());
  return r;
}

TEST(Route, ChoosesAndWeighsAsTheReferenceInDouble) {
  for (const hone_route_args &a : shapes())
    for (bool biased : {false, true}) {
      const Floats logits = random_floats(size_t(a.T) * a.E, 1, 2), bias = biased ? random_floats(a.E, 2, 0.3f) : Floats();
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        const Routed r = run_route(set, stream, a, logits, bias);
        return joined({r.scores, r.weight, Floats(r.index.begin(), r.index.end())});
      });
      Doubles scores(size_t(a.T) * a.E), weight(size_t(a.T) * a.k);
      std::vector<int32_t> index(size_t(a.T) * a.k);
      reference::route(a, widen(logits).data(), biased ? widen(bias).data() : nullptr, scores.data(), index.data(), weight.data());
      expect_close(part(got, 0, scores.size()), scores, 1e-6, "scores");
      expect_close(part(got, scores.size(), weight.size()), weight, 2e-6, "weight");
      expect_close(part(got, scores.size() + weight.size(), index.size()), Doubles(index.begin(), index.end()), 0, "index");
    }
}

// Group 0 has two good experts and group 1 the best: what a group is judged by decides.
TEST(Route, JudgesAGroupByItsTwoLargestOrByItsLargest) {
  const Floats logits = {2.5f, 2.5f, -3, 3, -9, -9};
  for (const hone_kernels *set : sets())
    for (uint32_t gate : {0u, 1u}) {
      EXPECT_EQ(run_route(*set, nullptr, {1, 6, 2, 3, 1, gate, 0, 1, 0}, logits, {}).index, (std::vector<int32_t>{0, 1})) << gate;
      EXPECT_EQ(run_route(*set, nullptr, {1, 6, 2, 3, 1, gate, 0, 1, 1}, logits, {}).index, (std::vector<int32_t>{3, 2})) << gate;
    }
}

TEST(Route, GivesTiesToTheLowerIndex) {
  const hone_route_args a = {1, 12, 4, 4, 2, 0, 1, 1, 0};
  for (const hone_kernels *set : sets()) {
    const Routed r = run_route(*set, nullptr, a, Floats(12, 0.5f), {});
    EXPECT_EQ(r.index, (std::vector<int32_t>{0, 1, 2, 3}));
  }
}

TEST(Route, ChoosesDifferentExpertsWhateverTheLogits) {
  for (const hone_route_args &a : shapes()) {
    Floats logits = random_floats(size_t(a.T) * a.E, 3);
    const float hostile[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t i = 0; i < logits.size(); ++i)
      if (i % 3 == 0 || i < a.E) logits[i] = hostile[i / 3 % 4];
    for (const hone_kernels *set : sets()) {
      const Routed r = run_route(*set, nullptr, a, logits, {});
      for (uint32_t t = 0; t < a.T; ++t) {
        std::vector<int32_t> chosen(r.index.begin() + t * a.k, r.index.begin() + (t + 1) * a.k);
        std::sort(chosen.begin(), chosen.end());
        ASSERT_GE(chosen.front(), 0);
        ASSERT_LT(chosen.back(), int32_t(a.E));
        ASSERT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
      }
    }
  }
}

TEST(Route, GradientAgreesWithFiniteDifferences) {
  for (const hone_route_args &a : shapes()) {
    if (a.T > 50) continue;
    const Floats logits = random_floats(a.T * a.E, 4, 2), bias = random_floats(a.E, 5, 0.3f), dweight = random_floats(a.T * a.k, 6),
                 before = random_floats(a.T * a.E, 7);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      const Routed r = run_route(set, stream, a, logits, bias);
      Floats dlogits = before;
      set.route_backward(stream, &a, r.scores.data(), r.index.data(), r.weight.data(), dweight.data(), dlogits.data());
      return dlogits;
    });
    const Doubles expected = finite_differences(widen(logits), [&](const Doubles &z) {
      Doubles scores(z.size()), weight(a.T * a.k);
      std::vector<int32_t> index(a.T * a.k);
      reference::route(a, z.data(), widen(bias).data(), scores.data(), index.data(), weight.data());
      return dot(widen(dweight), weight);
    });
    expect_close(got, plus(expected, before), 1e-5);
  }
}

TEST(SequenceBalance, AndItsGradientAgreeWithTheReference) {
  for (const hone_route_args &a : shapes()) {
    if (a.T > 50) continue;
    const uint32_t R = 3;
    const std::vector<uint32_t> start = {0, a.T / 3, a.T / 3, a.T};  // one empty row
    const Floats logits = random_floats(a.T * a.E, 8, 2), before = random_floats(a.T * a.E, 9);
    std::vector<int32_t> index;
    double loss = 1;
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      const Routed r = run_route(set, stream, a, logits, {});
      index = r.index;
      Floats dlogits = before;
      loss = 1;
      set.sequence_balance(stream, &a, R, start.data(), r.scores.data(), r.index.data(), 0.2f, 3, &loss, dlogits.data());
      set.sequence_balance(stream, &a, R, start.data(), r.scores.data(), r.index.data(), 0.2f, 3, nullptr, nullptr);
      return dlogits;
    });
    const auto expected = [&](const Doubles &z) {
      Doubles scores(z.size()), weight(a.T * a.k);
      std::vector<int32_t> own(a.T * a.k);
      reference::route(a, z.data(), nullptr, scores.data(), own.data(), weight.data());
      return reference::sequence_balance(a, R, start.data(), scores.data(), index.data(), 0.2f);
    };
    EXPECT_NEAR(loss, 1 + expected(widen(logits)), 1e-6);
    expect_close(got, plus(finite_differences(widen(logits), [&](const Doubles &z) { return 3 * expected(z); }), before), 1e-6);
  }
}

}  // namespace
}  // namespace hone::test
