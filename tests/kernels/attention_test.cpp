// attention, packed and cached, against the double reference; gradients against finite differences.
#include "kernels/attention/op.h"

#include <array>

#include "tests/kernels/support.h"

namespace hone::test {
namespace {

struct Shape {
  std::vector<uint32_t> lengths;
  uint32_t H, G, Dk, Dv;
  std::vector<uint32_t> prefix = {};  // empty: none
};
const std::vector<Shape> kShapes = {{{1}, 1, 1, 1, 1},          {{1, 2, 3}, 2, 2, 4, 4},   {{16, 17, 15}, 4, 2, 16, 16},
                                    {{0, 5, 0, 40}, 4, 1, 24, 16}, {{100, 33}, 3, 3, 20, 7},     {{70, 3, 41}, 9, 3, 24, 64},
                                    {{50}, 5, 1, 8, 80},        {{40, 20}, 2, 2, 16, 112},  {{257, 64, 1}, 4, 2, 32, 48}};
// Rows after rows that they share.
const std::vector<Shape> kShared = {{{1, 1, 2}, 2, 1, 4, 3, {0, 0, 0}},
                                    {{16, 3, 20, 0, 2, 7, 1}, 4, 2, 8, 16, {0, 0, 0, 0, 4, 4, 6}},
                                    {{33, 40, 17, 5, 100, 64, 9}, 3, 3, 20, 7, {0, 0, 0, 3, 4, 4, 4}}};

struct Problem {
  Shape s;
  std::vector<uint32_t> start{0};
  uint32_t T = 0;
  float scale;
  Floats q, k, v, dy;
  explicit Problem(const Shape &shape, uint32_t seed = 1) : s(shape), scale(1 / std::sqrt(float(shape.Dk))) {
    for (uint32_t n : s.lengths) start.push_back(T += n);
    q = random_floats(size_t(T) * s.H * s.Dk, seed, 1.5f);
    k = random_floats(size_t(T) * s.G * s.Dk, seed + 1, 1.5f);
    v = random_floats(size_t(T) * s.G * s.Dv, seed + 2);
    dy = random_floats(size_t(T) * s.H * s.Dv, seed + 3);
  }
  const uint32_t *prefix() const { return s.prefix.empty() ? nullptr : s.prefix.data(); }
  uint32_t R() const { return uint32_t(s.lengths.size()); }
  size_t outputs() const { return size_t(T) * s.H * s.Dv; }
  Floats packed(const hone_kernels &set, hone_stream *stream, Floats *lse = nullptr) const {
    Floats y(outputs(), NAN), own(size_t(T) * s.H, NAN);
    set.attention(stream, R(), start.data(), prefix(), s.H, s.G, s.Dk, s.Dv, scale, q.data(), k.data(), v.data(), y.data(), own.data());
    if (lse) *lse = own;
    return y;
  }
  Doubles reference(const Doubles &q2, const Doubles &k2, const Doubles &v2, Doubles *lse = nullptr) const {
    Doubles y(outputs()), own(size_t(T) * s.H);
    reference::attention(R(), start.data(), prefix(), s.H, s.G, s.Dk, s.Dv, scale, q2.data(), k2.data(), v2.data(), y.data(), own.data());
    if (lse) *lse = own;
    return y;
  }
};

std::vector<Shape> all_shapes() {
  std::vector<Shape> all = kShapes;
  all.insert(all.end(), kShared.begin(), kShared.end());
  return all;
}

TEST(Attention, AgreesWithTheReferenceInDouble) {
  for (const Shape &s : all_shapes()) {
    const Problem p(s);
    const Floats both = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats lse;
      const Floats y = p.packed(set, stream, &lse);
      return joined({y, lse});
    });
    Doubles lse;
    const Doubles y = p.reference(widen(p.q), widen(p.k), widen(p.v), &lse);
    expect_close(part(both, 0, y.size()), y, 3e-6, "y");
    expect_close(part(both, y.size(), lse.size()), lse, 3e-6, "lse");
  }
}

TEST(Attention, LargeScoresNeitherOverflowNorVanish) {
  Problem p({{1, 40}, 2, 1, 8, 5}, 80);
  for (size_t i = 0; i < p.q.size(); ++i) p.q[i] = (i % 3 ? -1.0f : 1.0f) * (40 + p.q[i]);
  for (float &k : p.k) k = 3 + k;
  const Floats y = everywhere([&](const hone_kernels &set, hone_stream *stream) { return p.packed(set, stream); });
  expect_close(y, p.reference(widen(p.q), widen(p.k), widen(p.v)), 3e-4);  // scores in the hundreds, so f32 keeps fewer digits
  EXPECT_GT(std::abs(p.q[0] * p.scale * 8 * 3), 100);
}

TEST(Attention, GradientsAgreeWithFiniteDifferences) {
  for (const Shape &s : {kShapes[0], kShapes[1], Shape{{18, 0, 33}, 4, 2, 5, 3}, Shape{{50}, 2, 1, 3, 4}, kShared[0], kShared[1], Shape{{20, 30, 5}, 2, 1, 3, 4, {0, 0, 0}}}) {
    const Problem p(s, 20);
    const Floats dq0 = random_floats(p.q.size(), 30), dk0 = random_floats(p.k.size(), 31), dv0 = random_floats(p.v.size(), 32);
    const Floats got = everywhere([&](const hone_kernels &set, hone_stream *stream) {
      Floats lse, dq = dq0, dk = dk0, dv = dv0;
      const Floats y = p.packed(set, stream, &lse);
      set.attention_backward(stream, p.R(), p.start.data(), p.prefix(), s.H, s.G, s.Dk, s.Dv, p.scale, p.q.data(), p.k.data(), p.v.data(),
                             y.data(), lse.data(), p.dy.data(), dq.data(), dk.data(), dv.data());
      return joined({dq, dk, dv});
    });
    const Doubles q = widen(p.q), k = widen(p.k), v = widen(p.v), dy = widen(p.dy);
    const Doubles dq = plus(finite_differences(q, [&](const Doubles &x) { return dot(dy, p.reference(x, k, v)); }), dq0);
    const Doubles dk = plus(finite_differences(k, [&](const Doubles &x) { return dot(dy, p.reference(q, x, v)); }), dk0);
    const Doubles dv = plus(finite_differences(v, [&](const Doubles &x) { return dot(dy, p.reference(q, k, x)); }), dv0);
    expect_close(part(got, 0, dq.size()), dq, 2e-5, "dq");
    expect_close(part(got, dq.size(), dk.size()), dk, 2e-5, "dk");
    expect_close(part(got, dq.size() + dk.size(), dv.size()), dv, 2e-5, "dv");
  }
}

TEST(Attention, LongRowsHaveTheSameGradientBitsEverywhere) {
  const Problem p(kShapes.back(), 40);
  const Shape &s = p.s;
  everywhere([&](const hone_kernels &set, hone_stream *stream) {
    Floats lse, dq(p.q.size()), dk(p.k.size()), dv(p.v.size());
    const Floats y = p.packed(set, stream, &lse);
    set.attention_backward(stream, p.R(), p.start.data(), p.prefix(), s.H, s.G, s.Dk, s.Dv, p.scale, p.q.data(), p.k.data(), p.v.data(),
                           y.data(), lse.data(), p.dy.data(), dq.data(), dk.data(), dv.data());
    return joined({dq, dk, dv});
  });
}

TEST(Attention, ARowDoesNotDependOnItsCompany) {
  for (const hone_kernels *set : sets()) {
    const Problem p(kShapes.back(), 50);
    const Floats all = p.packed(*set, nullptr);
    for (uint32_t r = 0; r < p.R(); ++r) {
      Problem alone({{p.s.lengths[r]}, p.s.H, p.s.G, p.s.Dk, p.s.Dv});
      const size_t at = p.start[r], n = p.s.lengths[r];
      alone.q = part(p.q, at * p.s.H * p.s.Dk, n * p.s.H * p.s.Dk);
      alone.k = part(p.k, at * p.s.G * p.s.Dk, n * p.s.G * p.s.Dk);
      alone.v = part(p.v, at * p.s.G * p.s.Dv, n * p.s.G * p.s.Dv);
      EXPECT_TRUE(same_bits(alone.packed(*set, nullptr), part(all, at * p.s.H * p.s.Dv, n * p.s.H * p.s.Dv))) << set->isa;
    }
  }
}

// A problem's tokens as rows that each have a copy of what they share; token[i] is the problem's that stands at i.
struct Unshared {
  Problem problem;
  std::vector<size_t> token;
};
Floats picked(const Floats &x, const std::vector<size_t> &token, size_t width) {
  Floats out;
  for (const size_t t : token) out.insert(out.end(), x.begin() + t * width, x.begin() + (t + 1) * width);
  return out;
}
Unshared unshared(const Problem &p) {
  Shape s = p.s;
  std::vector<size_t> token;
  for (uint32_t r = 0; r < p.R(); ++r) {
    const uint32_t before = p.s.prefix[r];
    if (before != r) s.lengths[r] += p.s.lengths[before];
    for (uint32_t t = p.start[before]; before != r && t < p.start[before + 1]; ++t) token.push_back(t);
    for (uint32_t t = p.start[r]; t < p.start[r + 1]; ++t) token.push_back(t);
  }
  s.prefix.clear();
  Problem apart(s);
  apart.q = picked(p.q, token, s.H * s.Dk), apart.k = picked(p.k, token, s.G * s.Dk), apart.v = picked(p.v, token, s.G * s.Dv);
  apart.dy = picked(p.dy, token, s.H * s.Dv);
  return {apart, token};
}

TEST(Attention, ASharedPrefixGivesTheBitsThatACopyInEachRowGives) {
  for (const Shape &s : kShared) {
    const Problem p(s, 90);
    const Unshared other = unshared(p);
    Floats lse, lse_apart;
    const Floats y = p.packed(*sets()[0], nullptr, &lse), y_apart = other.problem.packed(*sets()[0], nullptr, &lse_apart);
    EXPECT_TRUE(same_bits(picked(y, other.token, s.H * s.Dv), y_apart));
    EXPECT_TRUE(same_bits(picked(lse, other.token, s.H), lse_apart));
  }
}

TEST(Attention, TheGradientOfASharedPrefixIsTheSumOfThoseOfItsCopies) {
  for (const Shape &s : kShared) {
    Problem p(s, 95);
    Unshared other = unshared(p);
    // Copies of a prefix have a gradient of their own at its first occurrence only, as the shared one has it once.
    std::vector<bool> seen(p.T);
    for (size_t i = 0; i < other.token.size(); ++i) {
      if (seen[other.token[i]]) std::fill_n(other.problem.dy.begin() + i * s.H * s.Dv, s.H * s.Dv, 0.0f);
      seen[other.token[i]] = true;
    }
    const auto gradients = [&](const Problem &of) {
      Floats lse, dq(of.q.size()), dk(of.k.size()), dv(of.v.size());
      const Floats y = of.packed(*sets()[0], nullptr, &lse);
      sets()[0]->attention_backward(nullptr, of.R(), of.start.data(), of.prefix(), s.H, s.G, s.Dk, s.Dv, of.scale, of.q.data(), of.k.data(),
                                    of.v.data(), y.data(), lse.data(), of.dy.data(), dq.data(), dk.data(), dv.data());
      return std::array<Floats, 3>{dq, dk, dv};
    };
    const std::array<Floats, 3> shared = gradients(p), apart = gradients(other.problem);
    const size_t widths[] = {s.H * s.Dk, s.G * s.Dk, s.G * s.Dv};
    for (int which = 0; which < 3; ++which) {
      Doubles sum(shared[which].size());
      for (size_t i = 0; i < other.token.size(); ++i)
        for (size_t c = 0; c < widths[which]; ++c) sum[other.token[i] * widths[which] + c] += apart[which][i * widths[which] + c];
      expect_close(shared[which], sum, 2e-6, which == 0 ? "dq" : which == 1 ? "dk" : "dv");
    }
  }
}

TEST(Attention, NothingOfTheFutureShowsNotEvenNaN) {
  for (const hone_kernels *set : sets()) {
    Problem p({{40}, 2, 1, 8, 20});
    const Floats clean = p.packed(*set, nullptr);
    const uint32_t last = 23;
    for (size_t i = (last + 1) * 8; i < p.k.size(); ++i) p.k[i] = NAN;
    for (size_t i = (last + 1) * 20; i < p.v.size(); ++i) p.v[i] = i % 2 ? INFINITY : NAN;
    EXPECT_TRUE(same_bits(part(p.packed(*set, nullptr), 0, (last + 1) * 40), part(clean, 0, (last + 1) * 40))) << set->isa;
  }
}

// Feeds the rows of a problem through the cache in random cuts, in random company, through shuffled pages full of NaN.
Floats through_the_cache(const Problem &p, const hone_kernels &set, hone_stream *stream, uint32_t page_tokens, uint32_t seed) {
  const Shape &s = p.s;
  std::mt19937 bits(seed);
  const hone_kv_page_shape shape = {page_tokens, s.G, s.Dk, s.Dv};
  uint32_t max_pages = 1, n_pages = 0;
  for (uint32_t n : s.lengths) max_pages = std::max(max_pages, n / page_tokens + 1), n_pages += n / page_tokens + 1;
  std::vector<uint32_t> page(n_pages);
  for (uint32_t i = 0; i < n_pages; ++i) page[i] = i;
  std::shuffle(page.begin(), page.end(), bits);
  std::vector<std::vector<uint32_t>> tables(p.R());
  for (uint32_t r = 0, next = 0; r < p.R(); ++r) {
    for (uint32_t i = 0; i < p.s.lengths[r] / page_tokens + 1; ++i) tables[r].push_back(page[next++]);
    tables[r].resize(max_pages);
  }
  Floats pages(n_pages * set.kv_page_bytes(&shape) / 4, NAN), y(p.outputs(), NAN);
  std::vector<uint32_t> done(p.R());
  while (true) {
    std::vector<uint32_t> rows;
    for (uint32_t r = 0; r < p.R(); ++r)
      if (done[r] < s.lengths[r] && bits() % 3) rows.push_back(r);
    if (done == s.lengths) return y;
    std::shuffle(rows.begin(), rows.end(), bits);
    std::vector<uint32_t> start{0}, first, table;
    Floats q, k, v;
    const auto append = [](Floats &to, const Floats &from, size_t at, size_t n, size_t width) {
      to.insert(to.end(), from.begin() + at * width, from.begin() + (at + n) * width);
    };
    for (uint32_t r : rows) {
      const uint32_t n = std::min<uint32_t>(bits() % 2 ? 1 : bits() % 60, s.lengths[r] - done[r]), at = p.start[r] + done[r];
      append(q, p.q, at, n, s.H * s.Dk), append(k, p.k, at, n, s.G * s.Dk), append(v, p.v, at, n, s.G * s.Dv);
      start.push_back(start.back() + n), first.push_back(done[r]);
      table.insert(table.end(), tables[r].begin(), tables[r].end());
    }
    Floats out(size_t(start.back()) * s.H * s.Dv, NAN);
    const hone_cached_rows cached = {uint32_t(rows.size()), max_pages, start.data(), first.data(), table.data()};
    set.attention_cached(stream, &cached, &shape, s.H, p.scale, q.data(), k.data(), v.data(), pages.data(), out.data());
    for (size_t i = 0; i < rows.size(); ++i) {
      const uint32_t n = start[i + 1] - start[i], r = rows[i];
      std::copy_n(out.begin() + size_t(start[i]) * s.H * s.Dv, size_t(n) * s.H * s.Dv,
                  y.begin() + size_t(p.start[r] + done[r]) * s.H * s.Dv);
      done[r] += n;
    }
  }
}

TEST(Attention, GivesTheSameBitsPackedAndCached) {
  for (const Shape &s : kShapes) {
    const Problem p(s, 60);
    const Floats packed = p.packed(*sets()[0], nullptr);
    for (uint32_t page_tokens : {16u, 32u, 64u}) {
      const Floats cached = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        return through_the_cache(p, set, stream, page_tokens, page_tokens);
      });
      EXPECT_TRUE(same_bits(packed, cached)) << "page of " << page_tokens;
    }
  }
}

TEST(Attention, ACopiedPageServesAsTheOriginal) {
  const hone_kv_page_shape shape = {16, 2, 5, 3};
  for (const hone_kernels *set : sets()) {
    const size_t n = set->kv_page_bytes(&shape) / 4;
    EXPECT_EQ(n, 16u * 2 * (5 + 3));
    Floats pages = random_floats(3 * n, 70);
    const Floats before = pages;
    set->copy_page(nullptr, &shape, pages.data(), 2, 0);
    EXPECT_EQ(part(pages, 2 * n, n), part(before, 0, n));
    EXPECT_EQ(part(pages, 0, 2 * n), part(before, 0, 2 * n));
  }
}

}  // namespace
}  // namespace hone::test
