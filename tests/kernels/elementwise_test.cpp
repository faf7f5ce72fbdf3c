// elementwise and swiglu against the references; the exponential that swiglu shows.
#include "kernels/elementwise/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(Elementwise, AddAndAddScaledRoundOncePerElement) {
  for (uint64_t n : {1, 15, 16, 17, 100, 4097, 100003}) {
    const Floats a = random_floats(n, 1), b = random_floats(n, 2);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(n), z = b;
      set.add(stream, n, a.data(), b.data(), y.data());
      set.add_scaled(stream, n, a.data(), 0.3f, z.data());
      return joined({y, z});
    });
    Floats y(n), z = b;
    reference::add(n, a.data(), b.data(), y.data());
    reference::add_scaled(n, a.data(), 0.3f, z.data());
    EXPECT_TRUE(same_bits(got, joined({y, z})));
  }
}

TEST(Elementwise, BiasIsAddedToEveryTokenAndItsGradientSumsThemInOrder) {
  for (uint32_t T : {1u, 3u, 500u})
    for (uint32_t N : {1u, 16u, 75u}) {
      const Floats bias = random_floats(N, 3), y = random_floats(T * N, 4), before = random_floats(N, 5);
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats out = y, dbias = before;
        set.add_bias(stream, T, N, bias.data(), out.data());
        set.add_bias_backward(stream, T, N, y.data(), dbias.data());
        return joined({out, dbias});
      });
      Floats out = y, dbias = before;
      reference::add_bias(T, N, bias.data(), out.data());
      reference::add_bias_backward(T, N, y.data(), dbias.data());
      EXPECT_TRUE(same_bits(got, joined({out, dbias})));
      const Doubles slope = finite_differences(widen(bias), [&](const Doubles &b) {
        Doubles out2(T * N);
        reference::add_bias(T, N, b.data(), out2.data());
        return dot(widen(y), out2);
      });
      expect_close(part(got, T * N, N), plus(slope, before), 1e-5);
    }
}

TEST(Swiglu, AGradientThatOverwritesIsOneThatBeginsAtZero) {
  const uint64_t n = 100;
  const Floats gate = random_floats(n, 6, 3), up = random_floats(n, 7), dy = random_floats(n, 8);
  const auto run = [&](float before, int accumulate) {
    return everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats dgate(n, before), dup(n, before);
      set.swiglu_backward(stream, n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data(), accumulate);
      return joined({dgate, dup});
    });
  };
  EXPECT_TRUE(same_bits(run(NAN, 0), run(0, 1)));
}

TEST(Swiglu, AgreesWithTheReferenceAndFiniteDifferences) {
  for (uint64_t n : {uint64_t(1), uint64_t(37), uint64_t(256)}) {
    const Floats gate = random_floats(n, 6, 3), up = random_floats(n, 7), dy = random_floats(n, 8),
                 before = random_floats(n, 9);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(n), dgate = before, dup = before;
      set.swiglu(stream, n, gate.data(), up.data(), y.data());
      set.swiglu_backward(stream, n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data(), 1);
      return joined({y, dgate, dup});
    });
    const auto loss = [&](const Doubles &g, const Doubles &u) {
      Doubles y(n);
      reference::swiglu(n, g.data(), u.data(), y.data());
      return dot(widen(dy), y);
    };
    Doubles y(n);
    reference::swiglu(n, widen(gate).data(), widen(up).data(), y.data());
    expect_close(part(got, 0, n), y, 1e-6);
    expect_close(part(got, n, n),
                 plus(finite_differences(widen(gate), [&](const Doubles &g) { return loss(g, widen(up)); }), before),
                 3e-6);
    expect_close(part(got, 2 * n, n),
                 plus(finite_differences(widen(up), [&](const Doubles &u) { return loss(widen(gate), u); }), before),
                 3e-6);
  }
}

TEST(Swiglu, SaturatesWithoutNaN) {
  const Floats gate = {-1e30f, -200, -100, -0.0f, 0, 100, 1e30f}, up(7, 1);
  const Floats y = everywhere([&](const hone_kernels &set, hone_stream *) {
    Floats out(7);
    set.swiglu(nullptr, 7, gate.data(), up.data(), out.data());
    return out;
  });
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[5], 100);
  EXPECT_EQ(y[6], 1e30f);
}

TEST(Exponential,
     IsWithinTwoUnitsInTheLastPlaceOverTheWholeRange) {  // seen through swiglu: y = g / (1 + exp(-g)), u = 1 + exp
  Floats gate;
  for (float g = -86; g < 86; g += 0.0137f) gate.push_back(g);
  const Floats up(gate.size(), 1);
  const Floats y = everywhere([&](const hone_kernels &set, hone_stream *) {
    Floats out(gate.size());
    set.swiglu(nullptr, gate.size(), gate.data(), up.data(), out.data());
    return out;
  });
  for (size_t i = 0; i < gate.size(); ++i) {
    const double expected = gate[i] / (1 + std::exp(-double(gate[i])));
    ASSERT_NEAR(y[i], expected, 4 * 6e-8 * std::abs(expected)) << gate[i];
  }
}

}  // namespace
}  // namespace hone::test
