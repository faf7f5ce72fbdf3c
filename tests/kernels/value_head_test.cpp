// value_head against the reference and finite differences.
#include "kernels/value_head/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

struct Problem {
  uint32_t T, C;
  Floats x = random_floats(T * C, 23), w = random_floats(C, 24), dy = random_floats(T, 25),
         dx0 = random_floats(T * C, 26), dw0 = random_floats(C, 27);
  Floats everything() const {  // y, dx, dw
    return everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(T), dx = dx0, dw = dw0;
      set.value_head(stream, T, C, x.data(), w.data(), y.data());
      set.value_head_backward(stream, T, C, x.data(), w.data(), dy.data(), dx.data(), dw.data());
      return joined({y, dx, dw});
    });
  }
  Doubles reference(const Doubles &x2, const Doubles &w2) const {
    Doubles y(T);
    reference::value_head(T, C, x2.data(), w2.data(), y.data());
    return y;
  }
};

TEST(ValueHead, IsADotProductAndItsGradientsAreExactChains) {
  for (uint32_t T : {1u, 40u, 900u})
    for (uint32_t C : {1u, 16u, 77u}) {
      const Problem p{T, C};
      const Floats got = p.everything();
      Floats dx = p.dx0, dw = p.dw0;
      reference::value_head_backward(T, C, p.x.data(), p.w.data(), p.dy.data(), dx.data(), dw.data());
      expect_close(part(got, 0, T), p.reference(widen(p.x), widen(p.w)), 1e-5);
      EXPECT_TRUE(same_bits(part(got, T, T * C + C), joined({dx, dw})));
    }
}

TEST(ValueHead, GradientsAgreeWithFiniteDifferences) {
  const Problem p{9, 35};
  const Floats got = p.everything();
  const Doubles x = widen(p.x), w = widen(p.w), dy = widen(p.dy);
  const Doubles dx = finite_differences(x, [&](const Doubles &z) { return dot(dy, p.reference(z, w)); });
  const Doubles dw = finite_differences(w, [&](const Doubles &z) { return dot(dy, p.reference(x, z)); });
  expect_close(part(got, p.T, dx.size()), plus(dx, p.dx0), 1e-6, "dx");
  expect_close(part(got, p.T + dx.size(), dw.size()), plus(dw, p.dw0), 1e-6, "dw");
}

}  // namespace
}  // namespace hone::test
