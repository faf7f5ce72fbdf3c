// The small operators: elementwise, heads, embedding, rms_norm, rope, value_head, memory and the reductions.
#include "kernels/elementwise/op.h"

#include "kernels/rmsnorm/op.h"
#include "kernels/rope/op.h"
#include "tests/kernels/support.h"

namespace hone::test {
namespace {

const uint64_t kLengths[] = {1, 15, 16, 17, 100, 4097, 100003};

TEST(Elementwise, AddAndAddScaledRoundOncePerElement) {
  for (uint64_t n : kLengths) {
    const Floats a = random_floats(n, 1), b = random_floats(n, 2);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(n), z = b;
      set.add(stream, n, a.data(), b.data(), y.data());
      set.add_scaled(stream, n, a.data(), 0.3f, z.data());
      return joined({y, z});
    });
    for (uint64_t i = 0; i < n; ++i) {
      ASSERT_EQ(got[i], a[i] + b[i]);
      ASSERT_EQ(got[n + i], std::fmaf(0.3f, a[i], b[i]));
    }
  }
}

TEST(Elementwise, BiasIsAddedToEveryTokenAndItsGradientSumsThemInOrder) {
  for (uint32_t T : {1u, 3u, 500u})
    for (uint32_t N : {1u, 16u, 75u}) {
      const Floats bias = random_floats(N, 3), y = random_floats(T * N, 4), before = random_floats(N, 5);
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats out = y, dbias = before;
        set.add_bias(stream, T, N, bias.data(), out.data());
        set.add_bias_backward(stream, T, N, y.data(), dbias.data());
        return joined({out, dbias});
      });
      for (uint32_t n = 0; n < N; ++n) {
        float sum = before[n];
        for (uint32_t t = 0; t < T; ++t) {
          ASSERT_EQ(got[t * N + n], y[t * N + n] + bias[n]);
          sum += y[t * N + n];
        }
        ASSERT_EQ(got[T * N + n], sum);
      }
    }
}

TEST(Swiglu, AgreesWithTheReferenceAndFiniteDifferences) {
  for (uint64_t n : {uint64_t(1), uint64_t(37), uint64_t(256)}) {
    const Floats gate = random_floats(n, 6, 3), up = random_floats(n, 7), dy = random_floats(n, 8), before = random_floats(n, 9);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(n), dgate = before, dup = before;
      set.swiglu(stream, n, gate.data(), up.data(), y.data());
      set.swiglu_backward(stream, n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data());
      return joined({y, dgate, dup});
    });
    const auto loss = [&](const Doubles &g, const Doubles &u) {
      Doubles y(n);
      reference::swiglu(n, g.data(), u.data(), y.data());
      return dot(widen(dy), y);
    };
    Doubles y(n);
    reference::swiglu(n, widen(gate).data(), widen(up).data(), y.data());
    expect_close(part(got, 0, n), y, 1e-6);
    expect_close(part(got, n, n), plus(finite_differences(widen(gate), [&](const Doubles &g) { return loss(g, widen(up)); }), before), 3e-6);
    expect_close(part(got, 2 * n, n), plus(finite_differences(widen(up), [&](const Doubles &u) { return loss(widen(gate), u); }), before), 3e-6);
  }
}

TEST(Swiglu, SaturatesWithoutNaN) {
  const Floats gate = {-1e30f, -200, -100, -0.0f, 0, 100, 1e30f}, up(7, 1);
  const Floats y = everywhere([&](const hone_kernels &set, hone_stream *) {
    Floats out(7);
    set.swiglu(nullptr, 7, gate.data(), up.data(), out.data());
    return out;
  });
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[5], 100);
  EXPECT_EQ(y[6], 1e30f);
}

TEST(Exponential, IsWithinTwoUnitsInTheLastPlaceOverTheWholeRange) {  // seen through swiglu: y = g / (1 + exp(-g)), u = 1 + exp
  Floats gate;
  for (float g = -86; g < 86; g += 0.0137f) gate.push_back(g);
  const Floats up(gate.size(), 1);
  const Floats y = everywhere([&](const hone_kernels &set, hone_stream *) {
    Floats out(gate.size());
    set.swiglu(nullptr, gate.size(), gate.data(), up.data(), out.data());
    return out;
  });
  for (size_t i = 0; i < gate.size(); ++i) {
    const double expected = gate[i] / (1 + std::exp(-double(gate[i])));
    ASSERT_NEAR(y[i], expected, 4 * 6e-8 * std::abs(expected)) << gate[i];
  }
}

TEST(Heads, AreCopiedAddedRepeatedAndSummed) {
  const uint32_t T = 50, H = 3, size = 21, ldx = 80, ldy = 90, y_head = 25;
  const Floats x = random_floats(T * ldx, 10), y = random_floats(T * ldy, 11);
  for (uint32_t x_head : {size, 0u})
    for (int accumulate : {0, 1}) {
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats out = y;
        set.copy_heads(stream, T, H, size, x.data(), ldx, x_head, out.data(), ldy, y_head, accumulate);
        return out;
      });
      Floats expected = y;
      for (uint32_t t = 0; t < T; ++t)
        for (uint32_t h = 0; h < H; ++h)
          for (uint32_t c = 0; c < size; ++c) {
            float &to = expected[t * ldy + h * y_head + c];
            to = (accumulate ? to : 0) + x[t * ldx + h * x_head + c];
          }
      EXPECT_TRUE(same_bits(got, expected));
    }
  const Floats sums = everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats dx = x;
    set.sum_heads(stream, T, H, size, y.data(), ldy, y_head, dx.data(), ldx);
    return dx;
  });
  for (uint32_t t = 0; t < T; ++t)
    for (uint32_t c = 0; c < ldx; ++c) {
      float expected = x[t * ldx + c];
      for (uint32_t h = 0; h < H && c < size; ++h) expected += y[t * ldy + h * y_head + c];
      ASSERT_EQ(sums[t * ldx + c], expected);
    }
}

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
    Floats dtable = before;
    for (uint32_t t = 0; t < T; ++t)
      for (uint32_t c = 0; c < C; ++c) {
        ASSERT_EQ(got[t * C + c], table[ids[t] * C + c]);
        dtable[ids[t] * C + c] += dy[t * C + c];
      }
    EXPECT_TRUE(same_bits(part(got, T * C, V * C), dtable));
  }
}

TEST(RmsNorm, AgreesWithTheReferenceAndFiniteDifferences) {
  struct Shape {
    uint64_t n;
    uint32_t width;
    bool weighted;
  };
  for (const Shape &s : {Shape{1, 1, true}, Shape{3, 16, true}, Shape{5, 33, false}, Shape{6, 47, true}}) {
    const size_t size = s.n * s.width;
    const Floats x = random_floats(size, 15), w = random_floats(s.width, 16), dy = random_floats(size, 17), dx0 = random_floats(size, 18),
                 dw0 = random_floats(s.width, 19);
    const float *weight = s.weighted ? w.data() : nullptr;
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats y(size), inverse(s.n), dx = dx0, dw = dw0;
      set.rms_norm(stream, s.n, s.width, x.data(), weight, 1e-3f, y.data(), inverse.data());
      set.rms_norm_backward(stream, s.n, s.width, x.data(), weight, inverse.data(), dy.data(), dx.data(), s.weighted ? dw.data() : nullptr);
      return joined({y, dx, dw});
    });
    const auto forward = [&](const Doubles &x2, const Doubles &w2) {
      Doubles y(size);
      reference::rms_norm(s.n, s.width, x2.data(), s.weighted ? w2.data() : nullptr, 1e-3f, y.data());
      return y;
    };
    expect_close(part(got, 0, size), forward(widen(x), widen(w)), 2e-6, "y");
    const Doubles dx = finite_differences(widen(x), [&](const Doubles &z) { return dot(widen(dy), forward(z, widen(w))); });
    const Doubles dw = finite_differences(widen(w), [&](const Doubles &z) { return dot(widen(dy), forward(widen(x), z)); });
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
        Floats y = x;
        set.rope(stream, T, H, head, begin, size, interleaved, position.data(), table.data(), 1, y.data());
        Floats back = y;
        set.rope(stream, T, H, head, begin, size, interleaved, position.data(), table.data(), -1, back.data());
        return joined({y, back});
      });
      Doubles expected = widen(x);
      reference::rope(T, H, head, begin, size, interleaved, position.data(), widen(table).data(), expected.data());
      expect_close(part(both, 0, x.size()), expected, 1e-6);
      expect_close(part(both, x.size(), x.size()), widen(x), 1e-6);
    }
}

TEST(ValueHead, IsADotProductAndItsGradientsAreExactChains) {
  for (uint32_t T : {1u, 40u, 900u})
    for (uint32_t C : {1u, 16u, 77u}) {
      const Floats x = random_floats(T * C, 23), w = random_floats(C, 24), dy = random_floats(T, 25), dx0 = random_floats(T * C, 26),
                   dw0 = random_floats(C, 27);
      const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        Floats y(T), dx = dx0, dw = dw0;
        set.value_head(stream, T, C, x.data(), w.data(), y.data());
        set.value_head_backward(stream, T, C, x.data(), w.data(), dy.data(), dx.data(), dw.data());
        return joined({y, dx, dw});
      });
      Doubles y(T);
      Floats dx = dx0, dw = dw0;
      for (uint32_t t = 0; t < T; ++t)
        for (uint32_t c = 0; c < C; ++c) {
          y[t] += double(x[t * C + c]) * w[c];
          dx[t * C + c] = std::fmaf(dy[t], w[c], dx[t * C + c]);
          dw[c] = std::fmaf(dy[t], x[t * C + c], dw[c]);
        }
      expect_close(part(got, 0, T), y, 1e-5);
      EXPECT_TRUE(same_bits(part(got, T, T * C + C), joined({dx, dw})));
    }
}

TEST(Reduce, SumOfSquaresIsTheSameOnAnyNumberOfThreads) {
  for (uint64_t n : {uint64_t(0), uint64_t(1), uint64_t(65535), uint64_t(65537), uint64_t(500001)}) {
    const Floats x = random_floats(n, 28, 1e10f);
    long double expected = 0;
    for (float v : x) expected += static_cast<long double>(v) * v;
    double first = -1;
    for (const hone_kernels *set : sets())
      for (uint32_t threads : {1u, 2u, 3u}) {
        Threads pool(threads);
        const double got = set->sum_of_squares(pool.stream(), n, x.data());
        if (first < 0) first = got;
        EXPECT_EQ(got, first);
        EXPECT_NEAR(got, double(expected), 1e-13 * double(expected));
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
    for (uint32_t width = slots; width > 1; width /= 2)
      for (uint32_t s = 0; s < width / 2; ++s)
        for (uint64_t i = 0; i < n; ++i) data[s][i] = data[2 * s][i] + data[2 * s + 1][i];
    EXPECT_TRUE(same_bits(got, data[0])) << slots;
  }
}

TEST(Reduce, FindsTheOneValueThatIsNotFinite) {
  for (const hone_kernels *set : sets())
    for (uint32_t threads : {1u, 3u}) {
      Threads pool(threads);
      Floats x = random_floats(200003, 50, 1e38f);
      for (float &v : x)
        if (!std::isfinite(v)) v = 0;
      EXPECT_EQ(set->all_finite(pool.stream(), x.size(), x.data()), 1);
      for (float bad : {NAN, -NAN, INFINITY, -INFINITY})
        for (size_t at : {size_t(0), x.size() / 2, x.size() - 1}) {
          const float kept = std::exchange(x[at], bad);
          EXPECT_EQ(set->all_finite(pool.stream(), x.size(), x.data()), 0);
          x[at] = kept;
        }
      EXPECT_EQ(set->all_finite(pool.stream(), 0, nullptr), 1);
    }
}

TEST(Memory, IsAlignedZeroedAndRefusedAsNull) {
  for (const hone_kernels *set : sets()) {
    for (size_t bytes : {size_t(0), size_t(1), size_t(1000), size_t(1) << 20}) {
      auto *p = static_cast<unsigned char *>(set->allocate(bytes));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
      for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(p[i], 0);
      set->release(p);
    }
    EXPECT_EQ(set->allocate(SIZE_MAX), nullptr);
    EXPECT_EQ(set->allocate(SIZE_MAX / 2), nullptr);
    set->release(nullptr);
    EXPECT_EQ(set->synchronize(nullptr), 0);
  }
}

TEST(Memory, FillsAndCopiesAllAndNoMore) {
  for (uint64_t n : kLengths) {
    const Floats from = random_floats(n, 60);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats filled(n + 1), copied(n + 1), in(n + 1), out(n + 1);
      set.fill(stream, filled.data(), n, 2.5f);
      set.copy(stream, copied.data(), from.data(), n);
      set.copy_in(stream, in.data(), from.data(), n * 4);
      set.copy_out(stream, out.data(), in.data(), n * 4);
      return joined({filled, copied, out});
    });
    Floats filled(n, 2.5f), copied = from;
    filled.push_back(0), copied.push_back(0);
    EXPECT_TRUE(same_bits(got, joined({filled, copied, copied})));
  }
}

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
