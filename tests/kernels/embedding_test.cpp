// embedding against the reference, bit for bit, and finite differences.
#include "kernels/embedding/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(Embedding, GathersRowsAndSumsTheirGradientsInOrderOfTokens) {
  for (uint32_t C : {1u, 16u, 70u}) {
    const uint32_t T = 400, V = 11;
    std::vector<int32_t> ids(T);
    for (uint32_t t = 0; t < T; ++t) ids[t] = int32_t(t * t % V);
    const Floats table = random_floats(V * C, 12), dy = random_floats(T * C, 13), before = random_floats(V * C, 14);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(T * C), dtable = before;
      set.embedding(stream, T, C, ids.data(), table.data(), y.data());
      set.embedding_backward(stream, T, C, V, ids.data(), dy.data(), dtable.data());
      return joined({y, dtable});
    });
    Floats y(T * C), dtable = before;
    reference::embedding(T, C, ids.data(), table.data(), y.data());
    reference::embedding_backward(T, C, ids.data(), dy.data(), dtable.data());
    EXPECT_TRUE(same_bits(got, joined({y, dtable})));
  }
}

TEST(Embedding, GradientAgreesWithFiniteDifferences) {
  const uint32_t T = 30, V = 7, C = 19;
  std::vector<int32_t> ids(T);
  for (uint32_t t = 0; t < T; ++t) ids[t] = int32_t(t * t % (V - 1));  // the last row of the table is never read
  const Floats table = random_floats(V * C, 15), dy = random_floats(T * C, 16), before = random_floats(V * C, 17);
  const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats dtable = before;
    set.embedding_backward(stream, T, C, V, ids.data(), dy.data(), dtable.data());
    return dtable;
  });
  const Doubles slope = finite_differences(widen(table), [&](const Doubles &z) {
    Doubles y(T * C);
    reference::embedding(T, C, ids.data(), z.data(), y.data());
    return dot(widen(dy), y);
  });
  expect_close(got, plus(slope, before), 1e-6);
}

}  // namespace
}  // namespace hone::test
