// rms_norm against the reference in double and finite differences.
#include "kernels/rmsnorm/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(RmsNorm, AgreesWithTheReferenceAndFiniteDifferences) {
  struct Shape {
    uint64_t n;
    uint32_t width;
    bool weighted;
  };
  for (const Shape &s : {Shape{1, 1, true}, Shape{3, 16, true}, Shape{5, 33, false}, Shape{6, 47, true}}) {
    const size_t size = s.n * s.width;
    const Floats x = random_floats(size, 15), w = random_floats(s.width, 16), dy = random_floats(size, 17),
                 dx0 = random_floats(size, 18), dw0 = random_floats(s.width, 19);
    const float *weight = s.weighted ? w.data() : nullptr;
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(size), inverse(s.n), dx = dx0, dw = dw0;
      set.rms_norm(stream, s.n, s.width, x.data(), weight, 1e-3f, y.data(), inverse.data());
      set.rms_norm_backward(stream, s.n, s.width, x.data(), weight, inverse.data(), dy.data(), dx.data(),
                            s.weighted ? dw.data() : nullptr);
      return joined({y, dx, dw});
    });
    const auto forward = [&](const Doubles &x2, const Doubles &w2) {
      Doubles y(size);
      reference::rms_norm(s.n, s.width, x2.data(), s.weighted ? w2.data() : nullptr, 1e-3f, y.data());
      return y;
    };
    expect_close(part(got, 0, size), forward(widen(x), widen(w)), 2e-6, "y");
    const Doubles dx =
        finite_differences(widen(x), [&](const Doubles &z) { return dot(widen(dy), forward(z, widen(w))); });
    const Doubles dw =
        finite_differences(widen(w), [&](const Doubles &z) { return dot(widen(dy), forward(widen(x), z)); });
    expect_close(part(got, size, size), plus(dx, dx0), 1e-5, "dx");
    expect_close(part(got, 2 * size, s.width), plus(s.weighted ? dw : Doubles(s.width), dw0), 1e-5, "dw");
  }
}

TEST(RmsNorm, AGroupDoesNotDependOnItsCompanyNorOnThreads) {
  const uint32_t n = 700, width = 90;
  const Floats x = random_floats(n * width, 20), w = random_floats(width, 21);
  const Floats all = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats y(n * width), inverse(n), dx(n * width), dw(width);
    set.rms_norm(stream, n, width, x.data(), w.data(), 1e-6f, y.data(), inverse.data());
    set.rms_norm_backward(stream, n, width, x.data(), w.data(), inverse.data(), y.data(), dx.data(), dw.data());
    return joined({y, dx, dw});
  });
  for (const hone_kernels *set : sets()) {
    Floats y(width);
    set->rms_norm(nullptr, 1, width, x.data() + 123 * width, w.data(), 1e-6f, y.data(), nullptr);
    EXPECT_TRUE(same_bits(y, part(all, 123 * width, width)));
  }
}

}  // namespace
}  // namespace hone::test
