// reduce against the references, bit for bit.
#include "kernels/reduce/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(Reduce, SumOfSquaresIsAddedInTheOrderThatItsLengthGives) {
  for (uint64_t n : {uint64_t(0), uint64_t(1), uint64_t(65535), uint64_t(65537), uint64_t(500001)}) {
    const Floats x = random_floats(n, 28, 1e10f);
    long double expected = 0;
    for (float v : x) expected += static_cast<long double>(v) * v;
    const double in_order = reference::sum_of_squares(n, x.data());
    EXPECT_NEAR(in_order, double(expected), 1e-13 * double(expected));
    for (const hone_kernels *set : sets())
      for (uint32_t threads : {1u, 2u, 3u}) {
        Threads pool(threads);
        EXPECT_EQ(set->sum_of_squares(pool.stream(), n, x.data()), in_order);
      }
  }
}

TEST(Reduce, SlotsAreAddedInAFixedTree) {
  const uint64_t n = 70001;
  for (uint32_t slots : {1u, 2u, 8u, 16u}) {
    std::vector<Floats> data;
    std::vector<const float *> pointers;
    for (uint32_t s = 0; s < slots; ++s) data.push_back(random_floats(n, 30 + s));
    for (const Floats &d : data) pointers.push_back(d.data());
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats to(n);
      set.add_slots(stream, n, slots, pointers.data(), to.data());
      return to;
    });
    Floats expected(n);
    for (uint64_t i = 0; i < n; ++i) expected[i] = reference::add_slots(i, slots, pointers.data());
    EXPECT_TRUE(same_bits(got, expected)) << slots;
  }
}

TEST(Reduce, FindsTheOneValueThatIsNotFinite) {
  for (const hone_kernels *set : sets())
    for (uint32_t threads : {1u, 3u}) {
      Threads pool(threads);
      Floats x = random_floats(200003, 50, 1e38f);
      for (float &v : x)
        if (!std::isfinite(v)) v = 0;
      ASSERT_TRUE(reference::all_finite(x.size(), x.data()));
      EXPECT_EQ(set->all_finite(pool.stream(), x.size(), x.data()), 1);
      for (float bad : {NAN, -NAN, INFINITY, -INFINITY})
        for (size_t at : {size_t(0), x.size() / 2, x.size() - 1}) {
          const float kept = std::exchange(x[at], bad);
          ASSERT_FALSE(reference::all_finite(x.size(), x.data()));
          EXPECT_EQ(set->all_finite(pool.stream(), x.size(), x.data()), 0);
          x[at] = kept;
        }
      EXPECT_EQ(set->all_finite(pool.stream(), 0, nullptr), 1);
    }
}

}  // namespace
}  // namespace hone::test
