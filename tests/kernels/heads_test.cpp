// heads against the reference, bit for bit, and finite differences.
#include "kernels/heads/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

// Three heads of 21 columns in rows of other widths.
const uint32_t T = 50, H = 3, size = 21, ldx = 80, ldy = 90, y_head = 25;

TEST(Heads, AreCopiedAddedAndRepeated) {
  const Floats x = random_floats(T * ldx, 10), y = random_floats(T * ldy, 11);
  for (uint32_t x_head : {size, 0u})
    for (bool accumulate : {false, true}) {
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats out = y;
        set.copy_heads(stream, T, H, size, x.data(), ldx, x_head, out.data(), ldy, y_head, accumulate);
        return out;
      });
      Floats expected = y;
      reference::copy_heads(T, H, size, x.data(), ldx, x_head, expected.data(), ldy, y_head, accumulate);
      EXPECT_TRUE(same_bits(got, expected));
    }
}

TEST(Heads, AreSummedInOrder) {
  const Floats x = random_floats(T * ldx, 10), y = random_floats(T * ldy, 11);
  const Floats sums = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats dx = x;
    set.sum_heads(stream, T, H, size, y.data(), ldy, y_head, dx.data(), ldx);
    return dx;
  });
  Floats expected = x;
  reference::sum_heads(T, H, size, y.data(), ldy, y_head, expected.data(), ldx);
  EXPECT_TRUE(same_bits(sums, expected));
}

TEST(Heads, SumsAreTheGradientOfRepeatsAndCopiesThatOfCopies) {
  const uint32_t few = 3;
  const Floats x = random_floats(few * ldx, 12), dy = random_floats(few * ldy, 13),
               before = random_floats(few * ldx, 14);
  for (uint32_t x_head : {size, 0u}) {
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats dx = before;
      if (x_head)
        set.copy_heads(stream, few, H, size, dy.data(), ldy, y_head, dx.data(), ldx, x_head, 1);
      else
        set.sum_heads(stream, few, H, size, dy.data(), ldy, y_head, dx.data(), ldx);
      return dx;
    });
    const Doubles slope = finite_differences(widen(x), [&](const Doubles &z) {
      Doubles y(few * ldy);
      reference::copy_heads(few, H, size, z.data(), ldx, x_head, y.data(), ldy, y_head, false);
      return dot(widen(dy), y);
    });
    expect_close(got, plus(slope, before), 1e-6);
  }
}

}  // namespace
}  // namespace hone::test
