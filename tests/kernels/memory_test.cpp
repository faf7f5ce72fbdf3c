// memory: what is allocated, filled and copied.
#include "kernels/memory/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(Memory, IsAlignedZeroedAndRefusedAsNull) {
  for (const hone_kernels *set : sets()) {
    // Large memory is zeroed in another way; the second of a size gets what the first has written over and released.
    for (size_t bytes : {size_t(0), size_t(1), size_t(1000), size_t(1) << 20, (size_t(5) << 20) + 77, (size_t(5) << 20) + 77, size_t(3) << 20, size_t(3) << 20}) {
      auto *p = static_cast<unsigned char *>(set->allocate(bytes));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
      for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(p[i], 0);
      std::fill(p, p + bytes, 0xA5);
      set->release(p);
    }
    EXPECT_EQ(set->allocate(SIZE_MAX), nullptr);
    EXPECT_EQ(set->allocate(SIZE_MAX / 2), nullptr);
    set->release(nullptr);
    EXPECT_EQ(set->synchronize(nullptr), 0);
  }
}

TEST(Memory, FillsAndCopiesAllAndNoMore) {
  for (uint64_t n : {1, 15, 16, 17, 100, 4097, 100003}) {
    const Floats from = random_floats(n, 60);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats filled(n + 1), copied(n + 1), in(n + 1), out(n + 1);
      set.fill(stream, filled.data(), n, 2.5f);
      set.copy(stream, copied.data(), from.data(), n);
      set.copy_in(stream, in.data(), from.data(), n * 4);
      set.copy_out(stream, out.data(), in.data(), n * 4);
      return joined({filled, copied, out});
    });
    Floats filled(n + 1), copied(n + 1);
    reference::fill(filled.data(), n, 2.5f);
    reference::copy(copied.data(), from.data(), n);
    EXPECT_TRUE(same_bits(got, joined({filled, copied, copied})));
  }
}

}  // namespace
}  // namespace hone::test
