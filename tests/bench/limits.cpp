// limits.cpp -- the measurements of limits.h. Compiled for this very CPU.
#include "tests/bench/limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

namespace hone::bench {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Units of work a second, of all threads together: the best of several rounds in which each does `work` of its own.
double best_rate(unsigned threads, double units_each, const std::function<void(unsigned)> &work) {
  double best = 0;
  for (int round = 0; round < 12; ++round) {
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> all;
    std::atomic<double> begin{0};
    for (unsigned i = 0; i < threads; ++i)
      all.emplace_back([&, i] {
        if (++ready == threads) begin = now();
        while (begin.load() == 0) {
        }
        work(i);
      });
    for (std::thread &thread : all) thread.join();
    best = std::max(best, threads * units_each / (now() - begin));
  }
  return best;
}

#if defined(__AVX512F__)
using Vector = __m512;
Vector add_product(Vector x, Vector y, Vector sum) { return _mm512_fmadd_ps(x, y, sum); }
Vector all(float x) { return _mm512_set1_ps(x); }
Vector load(const float *p) { return _mm512_load_ps(p); }
#else
using Vector = __m256;
Vector add_product(Vector x, Vector y, Vector sum) { return _mm256_fmadd_ps(x, y, sum); }
Vector all(float x) { return _mm256_set1_ps(x); }
Vector load(const float *p) { return _mm256_load_ps(p); }
#endif
constexpr int kLanes = sizeof(Vector) / 4, kChains = 12;
constexpr long kSteps = 5'000'000;

template <class Step>
void run_chains(const Step &step) {
  Vector sum[kChains];
  for (Vector &s : sum) s = all(0);
  for (long i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sum[c] = step(sum[c]);
    asm volatile("" : : "v"(sum[0]), "v"(sum[1]));
  }
  for (Vector &s : sum) asm volatile("" : : "v"(s));
}

#if defined(__AVX512BF16__)
double pairs_rate(unsigned threads) {
  const __m512bh pairs = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  return best_rate(threads, 4.0 * kLanes * kChains * kSteps,
                   [&](unsigned) { run_chains([&](Vector s) { return _mm512_dpbf16_ps(s, pairs, pairs); }); });
}
#endif

#if defined(__AMX_BF16__) || defined(__AMXBF16__)  // as g++ and as clang 14 call it
double tiles_rate(unsigned threads) {
  constexpr long kAskForState = 0x1023, kTileData = 18;  // as kernels/cpu/choose.cpp
  if (syscall(SYS_arch_prctl, kAskForState, kTileData) != 0) return 0;
  constexpr long kTileSteps = 400'000;  // of four tiles of 16 x 16 outputs, 32 steps each
  return best_rate(threads, 2.0 * 4 * 16 * 16 * 32 * kTileSteps, [&](unsigned) {
    struct {
      unsigned char palette = 1, others[15] = {};
      unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    asm volatile("ldtilecfg %0" ::"m"(config));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (long i = 0; i < kTileSteps; ++i) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
  });
}
#endif

}  // namespace

double f32_flops(unsigned threads) {
  const Vector x = all(1), y = all(1e-9f);
  return best_rate(threads, 2.0 * kLanes * kChains * kSteps, [&](unsigned) { run_chains([&](Vector s) { return add_product(x, y, s); }); });
}

double bf16_flops([[maybe_unused]] unsigned threads) {
  double best = 0;
#if defined(__AVX512BF16__)
  best = std::max(best, pairs_rate(threads));
#endif
#if defined(__AMX_BF16__) || defined(__AMXBF16__)  // as g++ and as clang 14 call it
  best = std::max(best, tiles_rate(threads));
#endif
  return best;
}

double bytes_read(unsigned threads) {
  const size_t bytes = size_t{256} << 20;  // each: more than any cache
  std::vector<float *> data;
  for (unsigned i = 0; i < threads; ++i) {
    data.push_back(static_cast<float *>(std::aligned_alloc(size_t{1} << 21, bytes)));
    madvise(data.back(), bytes, MADV_HUGEPAGE);
    std::fill(data.back(), data.back() + bytes / 4, 1.0f);
  }
  const double best = best_rate(threads, static_cast<double>(bytes), [&](unsigned i) {
    Vector sum[4] = {all(0), all(0), all(0), all(0)};
    for (const float *p = data[i], *end = p + bytes / 4; p < end; p += 4 * kLanes)
      for (int c = 0; c < 4; ++c) sum[c] += load(p + c * kLanes);
    for (Vector &s : sum) asm volatile("" : : "v"(s));
  });
  for (float *p : data) std::free(p);
  return best;
}

}  // namespace hone::bench

#else

namespace hone::bench {
double f32_flops(unsigned) { return 0; }
double bf16_flops(unsigned) { return 0; }
double bytes_read(unsigned) { return 0; }
}  // namespace hone::bench

#endif
