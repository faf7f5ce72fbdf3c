// Every set is complete.
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(Sets, AreCompleteAndNamed) {
  ASSERT_FALSE(sets().empty());
  for (const hone_kernels *set : sets()) {
    EXPECT_EQ(set->struct_size, sizeof(hone_kernels));
    EXPECT_STREQ(set->device, "cpu");
    const auto *bytes = reinterpret_cast<const char *>(set);
    for (size_t at = offsetof(hone_kernels, allocate); at < sizeof(hone_kernels); at += sizeof(void *)) {
      void *entry;
      std::memcpy(&entry, bytes + at, sizeof entry);
      EXPECT_NE(entry, nullptr) << set->isa << " has nothing at offset " << at;
    }
  }
  EXPECT_EQ(kernels::set_named("sse9"), nullptr);
}

}  // namespace
}  // namespace hone::test
