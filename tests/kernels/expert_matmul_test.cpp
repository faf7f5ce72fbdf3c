// expert_matmul against the reference, finite differences, and matmul itself.
#include "kernels/expert_matmul/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

struct Experts {
  std::vector<Weight> keep;
  std::vector<hone_weight> weights;
  Experts(const hone_kernels &set, hone_stream *stream, uint32_t dtype, uint32_t E, uint32_t N, uint32_t K,
          const Floats &W) {
    for (size_t e = 0; e < E; ++e) keep.emplace_back(set, stream, dtype, N, K, W.data() + e * N * K);
    for (const Weight &one : keep) weights.push_back(one.weight);
  }
};

TEST(ExpertMatmul, AgreesWithTheReferenceAndFiniteDifferences) {
  const uint32_t E = 3, N = 5, K = 7, offsets[] = {0, 4, 4, 9}, T = offsets[E];
  const Floats x = random_floats(T * K, 22), W = random_floats(E * N * K, 23), dy = random_floats(T * N, 24),
               dx0 = random_floats(T * K, 25), dW0 = random_floats(E * N * K, 26);
  const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    const Experts experts(set, stream, HONE_F32, E, N, K, W);
    Floats y(T * N, NAN), dx = dx0, dW = dW0;
    set.expert_matmul(stream, E, offsets, x.data(), experts.weights.data(), y.data());
    set.expert_matmul_backward_input(stream, E, offsets, dy.data(), experts.weights.data(), dx.data());
    set.expert_matmul_backward_weight(stream, HONE_F32, E, offsets, N, K, x.data(), dy.data(), dW.data());
    return joined({y, dx, dW});
  });
  const auto forward = [&](const Doubles &x2, const Doubles &W2) {
    Doubles y(T * N);
    reference::expert_matmul(E, offsets, N, K, x2.data(), W2.data(), y.data());
    return y;
  };
  const Doubles slope_x =
      finite_differences(widen(x), [&](const Doubles &z) { return dot(widen(dy), forward(z, widen(W))); });
  const Doubles slope_W =
      finite_differences(widen(W), [&](const Doubles &z) { return dot(widen(dy), forward(widen(x), z)); });
  Doubles dx = widen(dx0), dW = widen(dW0);
  reference::expert_matmul_backward(E, offsets, N, K, widen(x).data(), widen(W).data(), widen(dy).data(), dx.data(),
                                    dW.data());
  const Floats got_dx = part(got, T * N, T * K), got_dW = part(got, T * N + T * K, E * N * K);
  expect_close(part(got, 0, T * N), forward(widen(x), widen(W)), 2e-6, "y");
  expect_close(got_dx, dx, 2e-6, "dx");
  expect_close(got_dW, dW, 2e-6, "dW");
  expect_close(got_dx, plus(slope_x, dx0), 2e-6, "dx by differences");
  expect_close(got_dW, plus(slope_W, dW0), 2e-6, "dW by differences");
}

TEST(ExpertMatmul, IsMatmulPerExpertAndLeavesIdleOnesAlone) {
  const uint32_t E = 5, N = 72, K = 40;
  const std::vector<std::vector<uint32_t>> cuts = {
      {0, 3, 3, 200, 201, 333}, {0, 0, 0, 0, 0, 0}, {0, 0, 1, 1, 1, 1}, {0, 900, 900, 900, 900, 901}};
  for (const auto &offsets : cuts)
    for (uint32_t dtype : {HONE_F32, HONE_BF16, HONE_BF16_BLOCKS}) {
      const uint32_t T = offsets[E];
      const Floats x = random_floats(size_t(T) * K + 1, 19), W = random_floats(E * N * K, 20),
                   dy = random_floats(size_t(T) * N + 1, 21);
      const auto run = [&](bool together, const hone_kernels &set, hone_stream *stream) {
        Floats y(size_t(T) * N + 1), dx = part(x, 0, size_t(T) * K + 1), dW(E * N * K, 0.5f);
        const Experts experts(set, stream, dtype, E, N, K, W);
        const std::vector<hone_weight> &w = experts.weights;
        if (together) {
          set.expert_matmul(stream, E, offsets.data(), x.data(), w.data(), y.data());
          set.expert_matmul_backward_input(stream, E, offsets.data(), dy.data(), w.data(), dx.data());
          set.expert_matmul_backward_weight(stream, HONE_F32, E, offsets.data(), N, K, x.data(), dy.data(), dW.data());
        } else {
          for (uint32_t e = 0; e < E; ++e) {
            const size_t at = offsets[e];
            const uint32_t rows = offsets[e + 1] - offsets[e];
            set.matmul(stream, rows, x.data() + at * K, K, &w[e], y.data() + at * N, N, 0);
            set.matmul_backward_input(stream, rows, dy.data() + at * N, N, &w[e], dx.data() + at * K, K, 1);
            set.matmul_backward_weight(stream, HONE_F32, rows, N, K, x.data() + at * K, K, dy.data() + at * N, N,
                                       dW.data() + e * N * K);
          }
        }
        return joined({y, dx, dW});
      };
      const Floats got =
          everywhere([&](const hone_kernels &set, hone_stream *stream) { return run(true, set, stream); });
      EXPECT_TRUE(same_bits(got, run(false, *sets()[0], nullptr)));
    }
}

}  // namespace
}  // namespace hone::test
