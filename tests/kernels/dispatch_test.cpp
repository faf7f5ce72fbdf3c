// dispatch of tokens to experts and back, against the references and finite differences.
#include "kernels/dispatch/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

// Choices of experts; the last expert stays idle.
struct Choices {
  uint32_t T, k, E;
  std::vector<int32_t> index;
  std::vector<uint32_t> order, place, offsets;
  Choices(uint32_t tokens, uint32_t each, uint32_t experts)
      : T(tokens), k(each), E(experts), index(T * k), order(T * k), place(T * k), offsets(E + 1) {
    for (uint32_t c = 0; c < T * k; ++c) index[c] = int32_t((c * c + c / 5) % (E - 1));
    reference::dispatch(T, k, E, index.data(), order.data(), place.data(), offsets.data());
  }
};

TEST(Dispatch, SortsByExpertStably) {
  const Choices expected(150, 3, 7);
  const auto &[T, k, E, index, order, place, offsets] = expected;
  for (uint32_t i = 0; i < T * k; ++i) ASSERT_EQ(place[order[i]], i);
  for (uint32_t e = 0; e < E; ++e)
    for (uint32_t i = offsets[e]; i < offsets[e + 1]; ++i) {
      ASSERT_EQ(index[order[i]], int32_t(e));
      ASSERT_TRUE(i == offsets[e] || order[i - 1] < order[i]);
    }
  for (const hone_kernels *set : sets()) {
    std::vector<uint32_t> own_order(T * k), own_place(T * k), own_offsets(E + 1);
    set->dispatch(nullptr, T, k, E, index.data(), own_order.data(), own_place.data(), own_offsets.data());
    EXPECT_EQ(own_order, order);
    EXPECT_EQ(own_place, place);
    EXPECT_EQ(own_offsets, offsets);
  }
}

TEST(Dispatch, MovesAndCombinesRowsAsTheReferencesDo) {
  const Choices to(150, 3, 7);
  const uint32_t T = to.T, k = to.k, n = T * k, C = 37;
  const Floats x = random_floats(T * C, 10), weight = random_floats(n, 11), dy = random_floats(T * C, 12),
               outputs = random_floats(n * C, 13), dx0 = random_floats(T * C, 14);
  const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats rows(n * C), y(T * C, NAN), dx = dx0, doutputs(n * C, NAN), dweight(n, NAN);
    set.gather_rows(stream, n, C, k, to.order.data(), x.data(), rows.data());
    set.combine(stream, T, k, C, to.place.data(), weight.data(), outputs.data(), y.data());
    set.gather_rows_backward(stream, T, k, C, to.place.data(), outputs.data(), dx.data());
    set.combine_backward(stream, T, k, C, to.place.data(), weight.data(), outputs.data(), dy.data(), doutputs.data(),
                         dweight.data());
    return joined({rows, y, dx, doutputs, dweight});
  });
  Floats rows(n * C), y(T * C), dx = dx0;
  reference::gather_rows(n, C, k, to.order.data(), x.data(), rows.data());
  reference::combine(T, k, C, to.place.data(), weight.data(), outputs.data(), y.data());
  reference::gather_rows_backward(T, k, C, to.place.data(), outputs.data(), dx.data());
  const Floats in_order = joined({rows, y, dx});
  EXPECT_TRUE(same_bits(part(got, 0, in_order.size()), in_order));
  Doubles doutputs(n * C), dweight(n);
  reference::combine_backward(T, k, C, to.place.data(), widen(weight).data(), widen(outputs).data(), widen(dy).data(),
                              doutputs.data(), dweight.data());
  expect_close(part(got, in_order.size(), n * C), doutputs, 1e-7, "dx");
  expect_close(part(got, in_order.size() + n * C, n), dweight, 5e-6, "dweight");
}

TEST(Dispatch, GradientsAgreeWithFiniteDifferences) {
  const Choices to(11, 2, 5);
  const uint32_t T = to.T, k = to.k, n = T * k, C = 17;
  const Floats x = random_floats(T * C, 15), weight = random_floats(n, 16), dy = random_floats(T * C, 17);
  const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {  // the experts pass their rows on
    Floats rows(n * C), drows(n * C, NAN), dweight(n, NAN), dx(T * C);
    set.gather_rows(stream, n, C, k, to.order.data(), x.data(), rows.data());
    set.combine_backward(stream, T, k, C, to.place.data(), weight.data(), rows.data(), dy.data(), drows.data(),
                         dweight.data());
    set.gather_rows_backward(stream, T, k, C, to.place.data(), drows.data(), dx.data());
    return joined({dx, dweight});
  });
  const auto loss = [&](const Doubles &x2, const Doubles &weight2) {
    Doubles rows(n * C), y(T * C);
    reference::gather_rows(n, C, k, to.order.data(), x2.data(), rows.data());
    reference::combine(T, k, C, to.place.data(), weight2.data(), rows.data(), y.data());
    return dot(widen(dy), y);
  };
  expect_close(part(got, 0, T * C),
               finite_differences(widen(x), [&](const Doubles &z) { return loss(z, widen(weight)); }), 2e-6, "dx");
  expect_close(part(got, T * C, n),
               finite_differences(widen(weight), [&](const Doubles &z) { return loss(widen(x), z); }), 5e-6, "dweight");
}

}  // namespace
}  // namespace hone::test
