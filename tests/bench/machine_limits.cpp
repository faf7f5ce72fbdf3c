// machine_limits.cpp -- what this machine can do at most, with all threads at once: multiply-adds a second in f32 and, where the
// CPU has instructions for them, in bf16 (the faster of vectors and tiles), and bytes a second read from memory. Compiled for this very CPU. JSON on stdout.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

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

}  // namespace

int main(int argc, char **argv) {
  const unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : std::thread::hardware_concurrency();
  const Vector x = all(1), y = all(1e-9f);
  const double f32 = best_rate(threads, 2.0 * kLanes * kChains * kSteps, [&](unsigned) { run_chains([&](Vector s) { return add_product(x, y, s); }); });
  double bf16 = 0;
#if defined(__AVX512BF16__)
  const __m512bh pairs = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  bf16 = best_rate(threads, 4.0 * kLanes * kChains * kSteps, [&](unsigned) { run_chains([&](Vector s) { return _mm512_dpbf16_ps(s, pairs, pairs); }); });
#endif
#if defined(__AMX_BF16__)
  constexpr long kAskForState = 0x1023, kTileData = 18;  // as kernels/cpu/choose.cpp
  if (syscall(SYS_arch_prctl, kAskForState, kTileData) == 0) {
    constexpr long kTileSteps = 400'000;  // of four tiles of 16 x 16 outputs, 32 steps each
    bf16 = std::max(bf16, best_rate(threads, 2.0 * 4 * 16 * 16 * 32 * kTileSteps, [&](unsigned) {
      struct {
        unsigned char palette = 1, others[15] = {};
        unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
      } config;
      asm volatile("ldtilecfg %0" ::"m"(config));
      _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
      _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
      for (long i = 0; i < kTileSteps; ++i) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      _tile_release();
    }));
  }
#endif
  const size_t bytes = size_t{256} << 20;  // each: more than any cache
  std::vector<float *> data;
  for (unsigned i = 0; i < threads; ++i) {
    data.push_back(static_cast<float *>(std::aligned_alloc(size_t{1} << 21, bytes)));
    madvise(data.back(), bytes, MADV_HUGEPAGE);
    std::fill(data.back(), data.back() + bytes / 4, 1.0f);
  }
  const double read = best_rate(threads, static_cast<double>(bytes), [&](unsigned i) {
    Vector sum[4] = {all(0), all(0), all(0), all(0)};
    for (const float *p = data[i], *end = p + bytes / 4; p < end; p += 4 * kLanes)
      for (int c = 0; c < 4; ++c) sum[c] += load(p + c * kLanes);
    for (Vector &s : sum) asm volatile("" : : "v"(s));
  });
  std::printf("{\"threads\": %u, \"f32_gflops\": %.1f, \"bf16_gflops\": %.1f, \"read_gigabytes\": %.1f}\n", threads, f32 * 1e-9, bf16 * 1e-9, read * 1e-9);
}
