// rope against the reference in double, and back.
#include "kernels/rope/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

TEST(Rope, AgreesWithTheReferenceAndTurnsBack) {
  for (int interleaved : {0, 1})
    for (uint32_t T : {1u, 9u, 300u}) {
      const uint32_t H = 5, head = 40, begin = 6, size = 24, positions = 50;
      Floats table(positions * size);
      for (uint32_t p = 0; p < positions; ++p)
        for (uint32_t i = 0; i < size / 2; ++i) {
          table[p * size + i] = float(std::cos(p / std::pow(100.0, 2.0 * i / size)));
          table[p * size + size / 2 + i] = float(std::sin(p / std::pow(100.0, 2.0 * i / size)));
        }
      std::vector<uint32_t> position(T);
      for (uint32_t t = 0; t < T; ++t) position[t] = t * 7 % positions;
      const Floats x = random_floats(T * H * head, 22);
      const Floats both = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats y(x.size(), NAN);
        set.rope(stream, T, H, head, begin, size, interleaved, position.data(), table.data(), 1, x.data(), y.data());
        Floats back = y;
        set.rope(stream, T, H, head, begin, size, interleaved, position.data(), table.data(), -1, back.data(), back.data());
        return joined({y, back});
      });
      Doubles expected = widen(x);
      reference::rope(T, H, head, begin, size, interleaved, position.data(), widen(table).data(), expected.data());
      expect_close(part(both, 0, x.size()), expected, 1e-6);
      expect_close(part(both, x.size(), x.size()), widen(x), 1e-6);
    }
}

}  // namespace
}  // namespace hone::test
