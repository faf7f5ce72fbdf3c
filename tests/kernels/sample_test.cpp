// sample: the recorded log-prob is logprob's, the filters keep what a full sort keeps, and frequencies are the probabilities.
#include "kernels/sample/op.h"

#include <map>

#include "tests/kernels/support.h"

namespace hone::test {
namespace {

struct Picked {
  std::vector<int32_t> token;
  Floats logp;
};
Picked pick(const hone_kernels &set, hone_stream *stream, uint32_t R, uint32_t V, const Floats &logits, hone_sample_args args,
            const Floats &uniform) {
  Picked p{std::vector<int32_t>(R, -1), Floats(R)};
  set.sample(stream, R, V, logits.data(), &args, uniform.data(), p.token.data(), p.logp.data());
  return p;
}
Floats uniforms(uint32_t R, uint32_t seed) {
  std::mt19937 bits(seed);
  Floats u(R);
  for (float &v : u) v = float(bits() >> 8) / 16777216.0f;
  return u;
}
Floats repeated(const Floats &row, uint32_t R) {
  Floats all;
  for (uint32_t r = 0; r < R; ++r) all.insert(all.end(), row.begin(), row.end());
  return all;
}

TEST(Sample, RecordsTheVeryBitsThatLogprobComputes) {
  for (uint32_t V : {1u, 16u, 67u, 1000u})
    for (float temperature : {1.0f, 0.6f, 0.0f}) {
      const uint32_t R = 300;
      const Floats logits = random_floats(R * V, V, 4), u = uniforms(R, 1);
      const Floats both = everywhere([&](const hone_kernels &set, hone_stream *stream) {
        const Picked p = pick(set, stream, R, V, logits, {temperature, 0.9f, 0.01f, 20}, u);
        Floats logp(R), lse(R);
        set.logprob(stream, R, V, logits.data(), temperature > 0 ? temperature : 1, p.token.data(), logp.data(), lse.data(), nullptr);
        EXPECT_TRUE(same_bits(p.logp, logp));
        return joined({Floats(p.token.begin(), p.token.end()), p.logp});
      });
      for (uint32_t r = 0; r < R; ++r) ASSERT_TRUE(both[r] >= 0 && both[r] < V);
    }
}

TEST(Sample, PicksWithTheProbabilitiesOfTheSoftmax) {
  const uint32_t V = 20, R = 40000;
  const Floats row = random_floats(V, 2, 1.5f), logits = repeated(row, R), u = uniforms(R, 3);
  const Picked p = pick(*sets().back(), nullptr, R, V, logits, {0.8f, 1, 0, 0}, u);
  double total = 0, squares = 0;
  for (float x : row) total += std::exp(x / 0.8);
  std::vector<double> count(V);
  for (int32_t id : p.token) ++count[id];
  for (uint32_t v = 0; v < V; ++v) {
    const double expected = R * std::exp(row[v] / 0.8) / total;
    squares += (count[v] - expected) * (count[v] - expected) / expected;
  }
  EXPECT_LT(squares, 43.8);  // chi squared, 19 degrees of freedom, p = 0.001; the uniforms are fixed
}

TEST(Sample, KeepsExactlyWhatAFullSortKeeps) {
  std::mt19937 bits(4);
  for (int trial = 0; trial < 200; ++trial) {
    const uint32_t V = trial % 8 == 7 ? 1000 + bits() % 4000 : 1 + bits() % 90, R = 200;
    Floats row = random_floats(V, bits(), 2);
    if (trial % 2)
      for (float &x : row) x = std::round(x * 2) / 2;  // many ties
    const float top_ps[] = {1, 0.95f, 0.5f, 0.01f, 0}, min_ps[] = {0, 0.05f, 0.9f};
    const hone_sample_args args = {trial % 3 ? 1.0f : 0.7f, top_ps[bits() % 5], min_ps[bits() % 3], uint32_t(bits() % 3 ? bits() % (V > 90 ? 300 : 20) : 0)};
    std::vector<int32_t> ids(V);
    Doubles weights(V);
    const uint32_t n = reference::kept_by_filters(V, widen(row).data(), args, ids.data(), weights.data());
    double total = 0;
    for (uint32_t i = 0; i < n; ++i) total += weights[i];
    const Floats u = uniforms(R, bits());
    const Picked p = pick(*sets()[trial % sets().size()], nullptr, R, V, repeated(row, R), args, u);
    for (uint32_t r = 0; r < R; ++r) {
      double running = 0;
      uint32_t i = 0;
      while (i + 1 < n && (running += weights[i]) <= double(u[r]) * total) ++i;
      const bool at_an_edge = std::abs(running - double(u[r]) * total) < 1e-5 * total;
      if (!at_an_edge)
        ASSERT_EQ(p.token[r], ids[i]) << "trial " << trial << ", top_k " << args.top_k << ", top_p " << args.top_p << ", min_p " << args.min_p;
      else
        ASSERT_TRUE(std::count(ids.begin(), ids.begin() + n, p.token[r]));
    }
  }
}

TEST(Sample, GreedyTakesTheLargestLogitAndTheLowestIdOnTies) {
  for (const hone_kernels *set : sets()) {
    Floats logits = random_floats(50, 5);
    logits[17] = logits[31] = 100;
    const Picked p = pick(*set, nullptr, 1, 50, logits, {0, 1, 0, 0}, {0.99f});
    EXPECT_EQ(p.token[0], 17);
    for (uint32_t V = 1; V < 70; ++V) {  // below zero, so that nothing beyond the last may count
      Floats low = random_floats(V, V);
      for (float &x : low) x = -1 - std::abs(x);
      const int32_t largest = int32_t(std::max_element(low.begin(), low.end()) - low.begin());
      EXPECT_EQ(pick(*set, nullptr, 1, V, low, {0, 1, 0, 0}, {0.99f}).token[0], largest) << V;
    }
  }
}

TEST(Sample, TopKOfTiesTakesTheLowerIds) {
  for (const hone_kernels *set : sets())
    for (float u = 0; u < 1; u += 0.01f) {
      const Picked p = pick(*set, nullptr, 1, 40, Floats(40, -2), {1, 1, 0, 3}, {u});
      ASSERT_EQ(p.token[0], int32_t(u * 3));
    }
}

TEST(Sample, TheLastUniformStillPicksAnIdOfPositiveWeight) {
  for (const hone_kernels *set : sets()) {
    Floats logits = random_floats(33, 6);
    for (int v = 20; v < 33; ++v) logits[v] = -INFINITY;
    const Picked p = pick(*set, nullptr, 1, 33, logits, {1, 1, 0, 0}, {std::nextafter(1.0f, 0.0f)});
    EXPECT_LT(p.token[0], 20);
  }
}

TEST(Sample, HostileLogitsPickAnIdAndNeverHang) {
  const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
  for (const hone_kernels *set : sets())
    for (float temperature : {1.0f, 0.0f})
      for (const hone_sample_args &args : {hone_sample_args{temperature, 1, 0, 0}, hone_sample_args{temperature, 0.5f, 0.1f, 3}}) {
        for (float value : bad)
          EXPECT_EQ(pick(*set, nullptr, 1, 21, Floats(21, value), args, {0.7f}).token[0], 0) << value;
        Floats mixed(21, NAN);
        mixed[13] = 0.5f;
        EXPECT_EQ(pick(*set, nullptr, 1, 21, mixed, args, {0.7f}).token[0], 13);
        mixed[5] = -INFINITY;
        EXPECT_EQ(pick(*set, nullptr, 1, 21, mixed, args, {0.7f}).token[0], 13);
        Floats infinite(21, 1);
        infinite[9] = INFINITY;
        EXPECT_EQ(pick(*set, nullptr, 1, 21, infinite, args, {0.7f}).token[0], 9);
      }
}

TEST(Sample, ARowDoesNotDependOnItsCompany) {
  const uint32_t R = 500, V = 70;
  const Floats logits = random_floats(R * V, 7, 2), u = uniforms(R, 8);
  for (const hone_kernels *set : sets()) {
    Threads pool(3);
    const Picked all = pick(*set, pool.stream(), R, V, logits, {0.9f, 0.9f, 0.02f, 30}, u);
    for (uint32_t r = 0; r < R; r += 13) {
      const Picked one = pick(*set, nullptr, 1, V, part(logits, r * V, V), {0.9f, 0.9f, 0.02f, 30}, {u[r]});
      ASSERT_EQ(one.token[0], all.token[r]);
      ASSERT_TRUE(same_bits(one.logp, part(all.logp, r, 1)));
    }
  }
}

}  // namespace
}  // namespace hone::test
