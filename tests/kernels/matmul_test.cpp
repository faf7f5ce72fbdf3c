// matmul against sums in double and finite differences.
#include "kernels/matmul/op.h"

#include "tests/kernels/support.h"

namespace hone::test {
namespace {

struct Shape {
  uint32_t T, N, K;
};
const Shape kShapes[] = {{1, 1, 1},   {1, 16, 16},  {1, 300, 64}, {2, 33, 5},    {3, 64, 17},   {7, 31, 100}, {12, 32, 64},
                         {13, 48, 1}, {25, 17, 300}, {100, 64, 64}, {257, 80, 40}, {600, 100, 70}};

double largest_sum(const Shape &s) { return std::sqrt(double(s.K)) + 1; }

TEST(Matmul, AgreesWithASumInDouble) {
  for (const Shape &s : kShapes) {
    const Floats x = random_floats(size_t(s.T) * s.K, 1), W = random_floats(size_t(s.N) * s.K, 2);
    const Floats y = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats out(size_t(s.T) * s.N, NAN);
      const Weight w(set, stream, HONE_F32, s.N, s.K, W.data());
      set.matmul(stream, s.T, x.data(), s.K, &w.weight, out.data(), s.N, 0);
      return out;
    });
    Doubles expected(y.size());
    reference::matmul(s.T, s.N, s.K, widen(x).data(), widen(W).data(), expected.data());
    expect_close(y, expected, 2e-6 * largest_sum(s));
  }
}

TEST(Matmul, IsOneChainOfFusedMultiplyAddsPerOutput) {
  const uint32_t T = 5, N = 21, K = 700;
  const Floats x = random_floats(T * K, 3), W = random_floats(N * K, 4), before = random_floats(T * N, 5);
  const Floats y = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats out = before;
    const Weight w(set, stream, HONE_F32, N, K, W.data());
    set.matmul(stream, T, x.data(), K, &w.weight, out.data(), N, 1);
    return out;
  });
  Floats expected = before;
  for (uint32_t t = 0; t < T; ++t)
    for (uint32_t n = 0; n < N; ++n)
      for (uint32_t k = 0; k < K; ++k) expected[t * N + n] = std::fmaf(x[t * K + k], W[n * K + k], expected[t * N + n]);
  EXPECT_TRUE(same_bits(y, expected));
}

TEST(Matmul, ReadsAndWritesOnlyItsColumnsOfWiderRows) {
  for (const uint32_t T : {9u, 40u}) {
    const uint32_t N = 52, K = 18, ldx = 30, ldy = 61, lddx = 25;
    const Floats x = random_floats(T * ldx, 6), W = random_floats(N * K, 7), dy = random_floats(T * ldy, 8);
    for (const uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS})
      for (const hone_kernels *set : sets()) {
        Floats narrow, narrow_dy, wide(T * ldy, 5), y(T * N), wide_dx(T * lddx, 6), dx(T * K);
        for (uint32_t t = 0; t < T; ++t) narrow.insert(narrow.end(), x.begin() + t * ldx, x.begin() + t * ldx + K);
        for (uint32_t t = 0; t < T; ++t) narrow_dy.insert(narrow_dy.end(), dy.begin() + t * ldy, dy.begin() + t * ldy + N);
        const Weight w(*set, nullptr, dtype, N, K, W.data());
        set->matmul(nullptr, T, narrow.data(), K, &w.weight, y.data(), N, 0);
        set->matmul(nullptr, T, x.data(), ldx, &w.weight, wide.data(), ldy, 0);
        set->matmul_backward_input(nullptr, T, narrow_dy.data(), N, &w.weight, dx.data(), K, 0);
        set->matmul_backward_input(nullptr, T, dy.data(), ldy, &w.weight, wide_dx.data(), lddx, 0);
        for (uint32_t t = 0; t < T; ++t) {
          for (uint32_t n = 0; n < ldy; ++n) ASSERT_EQ(wide[t * ldy + n], n < N ? y[t * N + n] : 5.0f) << set->isa << ", type " << dtype;
          for (uint32_t k = 0; k < lddx; ++k) ASSERT_EQ(wide_dx[t * lddx + k], k < K ? dx[t * K + k] : 6.0f) << set->isa << ", type " << dtype;
        }
      }
  }
}

TEST(Matmul, ARowDoesNotDependOnItsCompany) {
  const uint32_t T = 200, N = 70, K = 90;
  const Floats x = random_floats(size_t(T) * K, 8), W = random_floats(N * K, 9);
  for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS})
    for (const hone_kernels *set : sets()) {
      const Weight w(*set, nullptr, dtype, N, K, W.data());
      Floats all(size_t(T) * N);
      set->matmul(nullptr, T, x.data(), K, &w.weight, all.data(), N, 0);
      for (uint32_t rows = 1; rows < 40; ++rows) {
        const uint32_t first = (rows * 37) % (T - rows);
        Floats some(rows * N);
        set->matmul(nullptr, rows, x.data() + size_t(first) * K, K, &w.weight, some.data(), N, 0);
        ASSERT_TRUE(same_bits(some, part(all, size_t(first) * N, size_t(rows) * N))) << set->isa << ", rows " << rows;
      }
    }
}

// Sizes of a real model, where a library's product would change its blocking with the number of rows.
TEST(Matmul, ARowOfALargeProductDependsOnNeitherItsCompanyNorTheThreads) {
  const hone_kernels *set = sets().back();  // the others give the same bits, slowly
  const Shape shapes[] = {{3000, 576, 576}, {200, 72, 2048}};
  for (const Shape &s : shapes) {
    Floats x = random_floats(size_t(s.T) * s.K, 22), W = random_floats(size_t(s.N) * s.K, 23);
    for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS}) {
      const Weight w(*set, nullptr, dtype, s.N, s.K, W.data());
      Floats all(size_t(s.T) * s.N, NAN);
      set->matmul(nullptr, s.T, x.data(), s.K, &w.weight, all.data(), s.N, 0);
      std::vector<uint32_t> counts = {65, 96, 97, 128, 192, 193, 200, s.T};
      for (uint32_t rows = 1; rows <= 64; ++rows) counts.push_back(rows);
      for (uint32_t rows : counts)
        for (uint32_t threads : {1u, 2u}) {
          Threads pool(threads);
          const uint32_t first = rows * 37 % (s.T - rows + 1);
          Floats some(size_t(rows) * s.N, NAN);
          set->matmul(pool.stream(), rows, x.data() + size_t(first) * s.K, s.K, &w.weight, some.data(), s.N, 0);
          ASSERT_TRUE(same_bits(some, part(all, size_t(first) * s.N, some.size())))
              << "N " << s.N << " K " << s.K << ", type " << dtype << ", rows " << rows << ", threads " << threads;
        }
      const uint32_t checked = 20;  // of the last rows, against double
      Floats xs = part(x, size_t(s.T - checked) * s.K, size_t(checked) * s.K), Ws = W;
      if (dtype != HONE_F32)
        for (Floats *f : {&xs, &Ws})
          for (float &v : *f) v = reference::rounded_to_bf16(v);
      Doubles expected(size_t(checked) * s.N);
      reference::matmul(checked, s.N, s.K, widen(xs).data(), widen(Ws).data(), expected.data());
      expect_close(part(all, size_t(s.T - checked) * s.N, expected.size()), expected, 2e-6 * largest_sum(s));
    }
  }
}

TEST(Matmul, OfBf16RoundsWeightAndInputToNearestEven) {
  for (const Shape &s : kShapes)
    for (uint32_t dtype : {HONE_BF16, HONE_BF16_BLOCKS}) {
      Floats x = random_floats(size_t(s.T) * s.K, 10), W = random_floats(size_t(s.N) * s.K, 11);
      x[0] = 1.00390625f;  // halfway between two bf16: to the even one, 1
      const Floats y = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats out(size_t(s.T) * s.N, NAN);
        const Weight w(set, stream, dtype, s.N, s.K, W.data());
        set.matmul(stream, s.T, x.data(), s.K, &w.weight, out.data(), s.N, 0);
        return out;
      });
      for (float &v : x) v = reference::rounded_to_bf16(v);
      for (float &v : W) v = reference::rounded_to_bf16(v);
      Doubles expected(y.size());
      reference::matmul(s.T, s.N, s.K, widen(x).data(), widen(W).data(), expected.data());
      expect_close(y, expected, 2e-6 * largest_sum(s));
    }
}

// What bf16 products promise, one step at a time: subnormal factors are zero before they are rounded, subnormal sums become zero.
float flushed(float v) { return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v; }
float bf16_step(float x, float w, float sum) {
  return flushed(std::fmaf(reference::rounded_to_bf16(flushed(x)), reference::rounded_to_bf16(flushed(w)), flushed(sum)));
}
// One output over its steps, x(s) and w(s), from `sum`.
template <class X, class W>
float bf16_sum(uint32_t dtype, uint32_t steps, const X &x, const W &w, float sum) {
  if (dtype == HONE_BF16) {
    for (uint32_t s = 0; s < steps; ++s) sum = bf16_step(x(s), w(s), sum);
    return sum;
  }
  for (uint32_t block = 0; block < steps; block += 32) {
    float even = 0, odd = 0;
    for (uint32_t s = block; s < std::min(block + 32, steps); ++s) (s % 2 ? odd : even) = bf16_step(x(s), w(s), s % 2 ? odd : even);
    sum = flushed(flushed(sum) + flushed(even + odd));
  }
  return sum;
}

TEST(Matmul, OfBf16AndItsGradientsAddInTheOrderPromisedWithSubnormalNumbersFlushed) {
  for (uint32_t dtype : {HONE_BF16, HONE_BF16_BLOCKS})
    for (const Shape &s : {Shape{5, 21, 301}, Shape{13, 16, 64}, Shape{2, 3, 1}, Shape{70, 40, 9}, Shape{17, 80, 66}, Shape{48, 50, 31}}) {
      // Numbers of all sizes, among them subnormal ones, and products that are.
      const auto numbers = [](size_t n, uint32_t seed) {
        Floats x = random_floats(n, seed);
        for (size_t i = 0; i < n; i += 3) x[i] = std::ldexp(x[i], -int(i % 140));
        for (size_t i = 1; i < n; i += 29) x[i] = 0x1.fffffcp-127f;  // would round up to a number that is not subnormal
        for (size_t i = 2; i < n; i += 31) x[i] = 0x1p115f;           // and shows it
        return x;
      };
      const Floats x = numbers(size_t(s.T) * s.K, 31), W = numbers(size_t(s.N) * s.K, 32), dy = numbers(size_t(s.T) * s.N, 33),
                   y0 = numbers(dy.size(), 34), dx0 = numbers(x.size(), 35), dW0 = numbers(W.size(), 36);
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats y = y0, dx = dx0, dW = dW0;
        const Weight w(set, stream, dtype, s.N, s.K, W.data());
        set.matmul(stream, s.T, x.data(), s.K, &w.weight, y.data(), s.N, 1);
        set.matmul_backward_input(stream, s.T, dy.data(), s.N, &w.weight, dx.data(), s.K, 1);
        set.matmul_backward_weight(stream, dtype, s.T, s.N, s.K, x.data(), s.K, dy.data(), s.N, dW.data());
        return joined({y, dx, dW});
      });
      Floats y = y0, dx = dx0, dW = dW0;
      for (uint32_t t = 0; t < s.T; ++t)
        for (uint32_t n = 0; n < s.N; ++n) {
          float &to = y[t * s.N + n];
          to = bf16_sum(dtype, s.K, [&](uint32_t k) { return x[t * s.K + k]; }, [&](uint32_t k) { return W[n * s.K + k]; }, to);
        }
      for (uint32_t t = 0; t < s.T; ++t)
        for (uint32_t k = 0; k < s.K; ++k) {
          float &to = dx[t * s.K + k];
          to = bf16_sum(dtype, s.N, [&](uint32_t n) { return dy[t * s.N + n]; }, [&](uint32_t n) { return W[n * s.K + k]; }, to);
        }
      for (uint32_t n = 0; n < s.N; ++n)
        for (uint32_t k = 0; k < s.K; ++k) {
          float &to = dW[n * s.K + k];
          to = bf16_sum(dtype, s.T, [&](uint32_t t) { return dy[t * s.N + n]; }, [&](uint32_t t) { return x[t * s.K + k]; }, to);
        }
      // What is filled up with + 0 * 0 makes zeroes positive.
      Floats expected = joined({y, dx, dW}), found = got;
      for (Floats *f : {&expected, &found})
        for (float &v : *f) v = v == 0 ? 0 : v;
      size_t at = 0;
      EXPECT_TRUE(same_bits(found, expected, &at)) << "type " << dtype << " at " << at << ": " << found[at] << " and " << expected[at];
    }
}

TEST(Matmul, SomeOutputsOfAWeightAreAWeightOfTheirOwn) {
  const uint32_t T = 7, N = 150, K = 33;
  const Floats x = random_floats(T * K, 41), W = random_floats(N * K, 42), dy = random_floats(T * N, 43);
  for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS})
    for (const hone_kernels *set : sets()) {
      const Weight w(*set, nullptr, dtype, N, K, W.data());
      Floats whole(T * N), dx(T * K), dx_by_parts(T * K);
      set->matmul(nullptr, T, x.data(), K, &w.weight, whole.data(), N, 0);
      set->matmul_backward_input(nullptr, T, dy.data(), N, &w.weight, dx.data(), K, 1);
      for (uint32_t first = 0; first < N; first += 64) {
        const uint32_t n = std::min(64u, N - first);
        hone_weight part;
        set->weight_outputs(&w.weight, first, n, &part);
        Floats y(T * n), d(T * n);
        for (uint32_t t = 0; t < T; ++t) std::copy_n(dy.begin() + t * N + first, n, d.begin() + t * n);
        set->matmul(nullptr, T, x.data(), K, &part, y.data(), n, 0);
        set->matmul_backward_input(nullptr, T, d.data(), n, &part, dx_by_parts.data(), K, 1);
        for (uint32_t t = 0; t < T; ++t)
          for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(y[t * n + i], whole[t * N + first + i]) << set->isa;
      }
      EXPECT_TRUE(same_bits(dx, dx_by_parts)) << set->isa;
    }
}

TEST(Matmul, GradientsAgreeWithSumsInDoubleAndFiniteDifferences) {
  for (const Shape &s : kShapes) {
    for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS}) {
      Floats x = random_floats(size_t(s.T) * s.K, 12), W = random_floats(size_t(s.N) * s.K, 13), dy = random_floats(size_t(s.T) * s.N, 14);
      const Floats dx0 = random_floats(x.size(), 15), dW0 = random_floats(W.size(), 16);
      const Floats both = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats dx = dx0, dW = dW0;
        const Weight w(set, stream, dtype, s.N, s.K, W.data());
        set.matmul_backward_input(stream, s.T, dy.data(), s.N, &w.weight, dx.data(), s.K, 1);
        set.matmul_backward_weight(stream, dtype, s.T, s.N, s.K, x.data(), s.K, dy.data(), s.N, dW.data());
        return joined({dx, dW});
      });
      if (dtype != HONE_F32)
        for (Floats *f : {&x, &W, &dy})
          for (float &v : *f) v = reference::rounded_to_bf16(v);
      Doubles dx = widen(dx0), dW = widen(dW0);
      reference::matmul_backward(s.T, s.N, s.K, widen(x).data(), widen(W).data(), widen(dy).data(), dx.data(), dW.data());
      expect_close(part(both, 0, dx.size()), dx, 2e-6 * (std::sqrt(double(s.N)) + 1), "dx");
      expect_close(part(both, dx.size(), dW.size()), dW, 2e-6 * (std::sqrt(double(s.T)) + 1), "dW");
      if (size_t(s.T) * s.N * s.K > 4000 || dtype != HONE_F32) continue;  // differences take the square of it
      const auto loss = [&](const Doubles &x2, const Doubles &W2) {
        Doubles y(dy.size());
        reference::matmul(s.T, s.N, s.K, x2.data(), W2.data(), y.data());
        return dot(widen(dy), y);
      };
      const Doubles slope_x = finite_differences(widen(x), [&](const Doubles &z) { return loss(z, widen(W)); });
      const Doubles slope_W = finite_differences(widen(W), [&](const Doubles &z) { return loss(widen(x), z); });
      expect_close(part(both, 0, dx.size()), plus(slope_x, dx0), 1e-5, "dx");
      expect_close(part(both, dx.size(), dW.size()), plus(slope_W, dW0), 1e-5, "dW");
    }
  }
}

TEST(Matmul, AGradientThatOverwritesIsOneThatBeginsAtZero) {
  for (const Shape &s : {Shape{9, 21, 33}, Shape{40, 1100, 17}, Shape{3, 0, 5}})
    for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS}) {
      const Floats W = random_floats(size_t(s.N) * s.K, 51), dy = random_floats(size_t(s.T) * s.N, 52);
      const auto run = [&](float before, int accumulate) {
        return everywhere([&](const hone_kernels &set, hone_stream *stream) {
          Floats dx(size_t(s.T) * s.K, before);
          const Weight w(set, stream, dtype, s.N, s.K, W.data());
          set.matmul_backward_input(stream, s.T, dy.data(), s.N, &w.weight, dx.data(), s.K, accumulate);
          return dx;
        });
      };
      EXPECT_TRUE(same_bits(run(NAN, 0), run(0, 1))) << "type " << dtype;
    }
}

TEST(Matmul, AWeightGradientContinuesOverCutsOfTheTokens) {
  const uint32_t T = 333, N = 24, K = 50;
  const Floats x = random_floats(T * K, 17), dy = random_floats(T * N, 18);
  for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS})
    for (const hone_kernels *set : sets()) {
      Floats whole(N * K), cut(N * K);
      set->matmul_backward_weight(nullptr, dtype, T, N, K, x.data(), K, dy.data(), N, whole.data());
      for (uint32_t t = 0, n = 1; t < T; t += n, n = n * 3 % 71 + 1) {
        if (dtype == HONE_BF16_BLOCKS) n = (n + 31) / 32 * 32;
        set->matmul_backward_weight(nullptr, dtype, std::min(n, T - t), N, K, x.data() + t * K, K, dy.data() + t * N, N, cut.data());
      }
      EXPECT_TRUE(same_bits(whole, cut)) << set->isa;
    }
}

TEST(Matmul, HandsLargeWorkToTheThreadsAndSmallWorkToNone) {
  const hone_kernels &set = *sets().back();
  Threads pool(2);
  const Floats x(512 * 256), W(256 * 256);
  Floats y(512 * 256);
  const Weight w(set, nullptr, HONE_F32, 256, 256, W.data());
  set.matmul(pool.stream(), 1, x.data(), 256, &w.weight, y.data(), 256, 0);
  EXPECT_EQ(pool.forks(), 0u);
  set.matmul(pool.stream(), 512, x.data(), 256, &w.weight, y.data(), 256, 0);
  EXPECT_EQ(pool.forks(), 1u);
}

}  // namespace
}  // namespace hone::test
