// support.h -- what the kernel tests share: every set on several thread counts, random data, comparison, finite differences.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/sets.h"
#include "kernels/table.h"

namespace hone::test {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// A stream whose loop really runs on n threads, ranges taken in any order.
class Threads {
 public:
  explicit Threads(uint32_t n) : stream_{n, this, n > 1 ? loop : nullptr, nullptr} {}
  hone_stream *stream() { return &stream_; }
  uint64_t forks() const { return forks_; }

 private:
  static void loop(void *pool, uint64_t n, uint64_t grain, void (*body)(void *, uint64_t, uint64_t), void *arg) {
    auto *self = static_cast<Threads *>(pool);
    ++self->forks_;
    std::atomic<uint64_t> next{0};
    const auto work = [&] {
      for (uint64_t begin; (begin = next.fetch_add(grain)) < n;) body(arg, begin, std::min(begin + grain, n));
    };
    std::vector<std::thread> others;
    for (uint32_t i = 1; i < self->stream_.threads; ++i) others.emplace_back(work);
    work();
    for (auto &t : others) t.join();
  }
  hone_stream stream_;
  std::atomic<uint64_t> forks_{0};
};

inline std::vector<const hone_kernels *> sets() {
  std::vector<const hone_kernels *> found;
  for (const char *isa : {"plain", "avx2", "avx512", "avx512bf16", "amx"})
    if (const hone_kernels *set = kernels::set_named(isa)) found.push_back(set);
  return found;
}

// A weight packed for one set; `data` stays the caller's.
struct Weight {
  std::vector<char> packed;
  hone_weight weight;
  Weight(const hone_kernels &set, hone_stream *stream, uint32_t dtype, uint32_t N, uint32_t K, const float *data)
      : packed(set.packed_bytes(dtype, N, K)), weight{dtype, 0, N, K, data, packed.data()} {
    set.pack_weight(stream, dtype, N, K, data, packed.data());
  }
};

// Any NaN equals any other: its sign and payload are no promise.
inline bool same_bits(const Floats &a, const Floats &b, size_t *where = nullptr) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], 4) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]))) {
      if (where) *where = i;
      return false;
    }
  return true;
}

// Runs on every set, with 1, 2 and 3 threads, expects the same bits from all, and returns them.
inline Floats everywhere(const std::function<Floats(const hone_kernels &, hone_stream *)> &run) {
  Floats first;
  bool begun = false;
  for (const hone_kernels *set : sets())
    for (uint32_t threads : {1u, 2u, 3u}) {
      Threads pool(threads);
      Floats out = run(*set, pool.stream());
      if (!begun) first = out, begun = true;
      size_t at = 0;
      EXPECT_TRUE(same_bits(first, out, &at)) << set->isa << " with " << threads << " threads differs at " << at << ": "
                                             << (at < first.size() ? first[at] : 0) << " and " << (at < out.size() ? out[at] : 0);
    }
  return first;
}

inline Floats random_floats(size_t n, uint32_t seed, float scale = 1) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal(0, scale);
  Floats x(n);
  for (float &v : x) v = normal(bits);
  return x;
}
inline Doubles widen(const Floats &x) { return Doubles(x.begin(), x.end()); }
inline Floats joined(std::initializer_list<Floats> parts) {
  Floats all;
  for (const Floats &p : parts) all.insert(all.end(), p.begin(), p.end());
  return all;
}
inline Floats part(const Floats &x, size_t begin, size_t n) { return Floats(x.begin() + begin, x.begin() + begin + n); }

// Each within tolerance of the size of what is expected, or of 1.
inline void expect_close(const Floats &got, const Doubles &expected, double tolerance, const std::string &what = "") {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << what << " at " << i;
}

// d loss / d x by central differences, in double.
inline Doubles finite_differences(Doubles x, const std::function<double(const Doubles &)> &loss) {
  Doubles slope(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i], step = 1e-5 * std::max(1.0, std::abs(kept));
    x[i] = kept + step;
    const double up = loss(x);
    x[i] = kept - step;
    const double down = loss(x);
    x[i] = kept;
    slope[i] = (up - down) / (2 * step);
  }
  return slope;
}
inline double dot(const Doubles &a, const Doubles &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
inline Doubles plus(Doubles a, const Floats &b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

}  // namespace hone::test
